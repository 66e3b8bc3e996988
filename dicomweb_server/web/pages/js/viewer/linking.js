// Which slice of one stack belongs to a slice of another.
import { SAME_PLACE, axes, dot, normal } from './geometry.js';

// Slices that lie within about 20 degrees of each other can be compared.
const PARALLEL = 0.94;

// How two stacks (lists of frames) are linked: 'place', by position in the patient, where they
// are of one Frame of Reference, or lie the same way and mostly beside each other; else 'share',
// by how far along each one is, as of two that show one place again and again.
export function way(a, b) {
  const [first, second] = [a[0], b[0]];
  const lies = [first, second].map((frame) => frame?.position && axes(frame.orientation));
  if (!lies[0] || !lies[1] || a.length < 2 || b.length < 2) return 'share';
  if (Math.abs(dot(normal(lies[0]), normal(lies[1]))) < PARALLEL) return 'share';
  const along = normal(lies[1]);
  const [spanA, spanB] = [a, b].map((frames) => {
    const ends = [frames[0], frames.at(-1)].map((frame) => dot(frame.position, along));
    return [Math.min(...ends), Math.max(...ends)];
  });
  const isDeep = ([low, high]) => high - low > SAME_PLACE;
  if (!isDeep(spanA) && !isDeep(spanB)) return 'share';
  if (first.reference && first.reference === second.reference) return 'place';
  const common = Math.min(spanA[1], spanB[1]) - Math.max(spanA[0], spanB[0]);
  return common >= 0.5 * Math.min(spanA[1] - spanA[0], spanB[1] - spanB[0]) ? 'place' : 'share';
}

// The index in `b` for index `index` of `a`, shifted by `offset` (of shift()).
export function partner(a, index, b, offset = 0) {
  if (!a.length || !b.length) return 0;
  if (way(a, b) === 'share') {
    const share = a.length > 1 ? index / (a.length - 1) : 0;
    return clamp(Math.round(share * (b.length - 1) + offset), b);
  }
  const along = normal(axes(b[0].orientation));
  return nearest(b, along, dot(a[index].position, along) + offset);
}

// What keeps the two as they are now: millimetres along b, or slices of it.
export function shift(a, indexA, b, indexB) {
  if (!a.length || !b.length) return 0;
  if (way(a, b) === 'share') return indexB - (a.length > 1 ? indexA / (a.length - 1) : 0) * (b.length - 1);
  const along = normal(axes(b[0].orientation));
  return dot(b[indexB].position, along) - dot(a[indexA].position, along);
}

function nearest(frames, along, at) {
  let [best, least] = [0, Infinity];
  for (const [index, frame] of frames.entries()) {
    const away = Math.abs(dot(frame.position, along) - at);
    if (away < least) [best, least] = [index, away];
  }
  return best;
}

const clamp = (index, frames) => Math.min(frames.length - 1, Math.max(0, index));
