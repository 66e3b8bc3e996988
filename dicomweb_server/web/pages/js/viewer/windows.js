// VOI windows (PS3.3 C.11.2.1): what a picture is asked for with, and a preview of it.
// A window is {center, width, kind: linear|linear-exact|sigmoid, name}.

// Usual windows of CT, in Hounsfield units.
export const CT = [
  ['softTissue', 40, 400],
  ['lung', -600, 1500],
  ['bone', 400, 1800],
  ['brain', 40, 80],
  ['mediastinum', 50, 350],
  ['liver', 60, 160],
  ['vessels', 300, 600],
].map(([name, center, width]) => ({ name, center, width, kind: 'linear' }));

const round = (value) => Number(value.toPrecision(6));
const least = ({ kind }) => (kind === 'linear' ? 1 : 1e-6);

// The value of the parameter `window` (PS3.18 §8.3.5.1.4): numbers of at most 16 characters.
export const parameter = ({ center, width, kind }) => `${round(center)},${round(width)},${kind}`;

export const same = (a, b) => a === b || Boolean(a && b && parameter(a) === parameter(b));

// Drag by so many pixels: to the right is wider, up is brighter, faster for wide windows.
export function dragged(window, dx, dy) {
  const step = Math.max(window.width, 1e-3) / 256;
  const width = Math.max(least(window), window.width + dx * step * 1.5);
  return { ...window, width: round(width), center: round(window.center + dy * step * 1.5), name: '' };
}

// Grey level 0…255 of a value.
export function grey({ center, width, kind }, value) {
  let level;
  if (kind === 'sigmoid') level = 1 / (1 + Math.exp((-4 * (value - center)) / width));
  else if (kind === 'linear-exact') level = (value - center) / width + 0.5;
  else if (width <= 1) level = value > center - 0.5 ? 1 : 0;
  else level = (value - (center - 0.5)) / (width - 1) + 0.5;
  return 255 * Math.min(1, Math.max(0, level));
}

// The value that a grey level stands for: of the two ends the nearest one that does.
export function valueOf({ center, width, kind }, level) {
  const part = level / 255;
  if (kind === 'sigmoid') {
    const inside = Math.min(0.999, Math.max(0.001, part));
    return center - (width / 4) * Math.log(1 / inside - 1);
  }
  if (kind === 'linear-exact') return center + (part - 0.5) * width;
  return center - 0.5 + (part - 0.5) * Math.max(width - 1, 1e-6);
}

// How each grey level of a picture made with window `from` would be shown with `to`.
export function remap(from, to, inverted) {
  const table = new Uint8Array(256);
  for (let level = 0; level < 256; level += 1) {
    const value = valueOf(from, inverted ? 255 - level : level);
    const shown = Math.floor(grey(to, value) + 0.5);
    table[level] = inverted ? 255 - shown : shown;
  }
  return table;
}

// What a file with neither window nor LUT is shown with: the lowest to the highest value of the
// frame. `bytes` is the frame as native little endian.
export function measured(bytes, frame) {
  const found = extremes(samples(bytes, frame), frame.padding);
  if (!found) return null;
  const [low, high] = found.map((value) => value * frame.slope + frame.intercept).sort((a, b) => a - b);
  return { center: round((low + high) / 2), width: round(Math.max(high - low, 1e-3)), kind: 'linear-exact', name: '' };
}

function samples(buffer, { bits, signed, float }) {
  const size = Math.floor(buffer.byteLength / (bits / 8));
  if (float) return bits === 64 ? new Float64Array(buffer, 0, size) : new Float32Array(buffer, 0, size);
  const kinds = { 8: [Uint8Array, Int8Array], 16: [Uint16Array, Int16Array], 32: [Uint32Array, Int32Array] };
  const kind = kinds[bits]?.[signed ? 1 : 0];
  return kind ? new kind(buffer, 0, size) : [];
}

function extremes(values, padding) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (padding && value >= padding[0] && value <= padding[1]) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high && Number.isFinite(high - low) ? [low, high] : null;
}
