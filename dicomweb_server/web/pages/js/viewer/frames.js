// What the viewer knows of each frame: from the metadata of a series (PS3.18 Annex F), of
// attributes or of functional groups (PS3.3 C.7.6.16).
import { number, text, values } from '../api.js';
import { kindOf } from '../kinds.js';
import { axes, dot, normal } from './geometry.js';

const GROUPS = [
  '00209113.00200032', '00209116.00200037', '00289110.00280030', '00289110.00180050',
  '00209111.00209056', '00209111.00209128', '00289132.00281050', '00289132.00281051',
  '00289132.00281055', '00289132.00281056', '00289145.00281052', '00289145.00281053',
  '00189114.00189082', '00189117.00189087',
];

// What is asked for, instead of all metadata.
export const FIELDS = [
  '00080016', '00080018', '00080060', '0008103E', '00082144', '00089205', '00180040', '00180050', '00180081', '00181060',
  '00102210', '00181063', '00181065', '00181164', '00182010',
  '00186011.00186012', '00186011.00186018', '00186011.0018601A', '00186011.0018601C', '00186011.0018601E',
  '00186011.00186024', '00186011.00186026', '00186011.0018602C', '00186011.0018602E', '00189087',
  '00200012', '00200013', '00200020', '00200032', '00200037',
  '00200052', '00200100', '00280002', '00280004', '00280008', '00280010', '00280011', '00280030',
  '00280034', '00280A02', '00280100', '00280101', '00280103', '00280120', '00280121', '00281050', '00281051',
  '00281052', '00281053', '00281055', '00281056', '00283010.00283003', '20500020', '3004000C', '7FE00008', '7FE00009',
  ...GROUPS.flatMap((path) => [`52009229.${path}`, `52009230.${path}`]),
].join(',');

const KINDS = { LINEAR_EXACT: 'linear-exact', SIGMOID: 'sigmoid' };
const SEGMENTATION = '1.2.840.10008.5.1.4.1.1.66.';
const MOST_FRAMES = 100_000; // more than is gone through by hand; the number may be anything
const PRESENTATION = '1.2.840.10008.5.1.4.1.1.11.'; // presentation states: shown as pictures

// One instance as {instance, kind, frames, rate}: `kind` is 'image' for what is shown picture by
// picture; else what kindOf() says, or 'nothing', with no frames.
export function read(dataset) {
  const instance = text(dataset, '00080018');
  const sopClass = text(dataset, '00080016');
  const fixed = sopClass.startsWith(PRESENTATION);
  let kind = kindOf(sopClass);
  if (kind === 'image' && !fixed && !number(dataset, '00280010')) kind = 'nothing';
  const about = { instance, kind, title: text(dataset, '0008103E'), number: number(dataset, '00200013') ?? 0, rate: rateOf(dataset) };
  if (kind !== 'image') return { ...about, frames: [] };
  const common = commonOf(dataset, { instance, fixed, number: about.number });
  const shared = values(dataset, '52009229')[0];
  const own = values(dataset, '52009230');
  const count = Math.min(MOST_FRAMES, Math.max(1, number(dataset, '00280008') ?? 1));
  const frames = [];
  for (let frame = 1; frame <= count; frame += 1) {
    const groups = (sequence) => values(own[frame - 1], sequence)[0] ?? values(shared, sequence)[0];
    frames.push({ ...common, frame, count, ...ofGroups(groups, dataset, common) });
  }
  shift(frames, floats(dataset, '3004000C'));
  return { ...about, frames };
}

function commonOf(dataset, { instance, fixed, number: order }) {
  const interpretation = text(dataset, '00280004');
  const sopClass = text(dataset, '00080016');
  // Segmentations are shown in colours over their images; others with a palette for some values
  const coloured = sopClass.startsWith(SEGMENTATION) || ['COLOR', 'MIXED'].includes(text(dataset, '00089205'));
  const float = Boolean(dataset['7FE00008'] || dataset['7FE00009']);
  const bits = number(dataset, '00280100') ?? 16;
  const signed = number(dataset, '00280103') === 1;
  const padding = number(dataset, '00280120');
  const limit = number(dataset, '00280121') ?? padding;
  const shape = text(dataset, '20500020');
  return {
    instance,
    order,
    fixed, // neither window nor region can be asked for
    rows: number(dataset, '00280010'),
    columns: number(dataset, '00280011'),
    reference: text(dataset, '00200052'),
    sides: sidesOf(dataset),
    grey: !fixed && !coloured && /^MONOCHROME/.test(interpretation) && bits > 1,
    inverted: shape ? shape === 'INVERSE' : interpretation === 'MONOCHROME1',
    hounsfield: text(dataset, '00080060') === 'CT',
    bits,
    signed,
    float,
    padding: padding === null ? null : [Math.min(padding, limit), Math.max(padding, limit)],
    lut: dataset['00283010'] ? text(values(dataset, '00283010')[0], '00283003') || 'LUT' : '',
    acquisition: number(dataset, '00200012') ?? 0,
    trigger: number(dataset, '00181060') ?? 0,
  };
}

// What a functional group tells, or else the attribute at the top.
function ofGroups(groups, dataset, common) {
  const position = floats(groups('00209113'), '00200032') ?? floats(dataset, '00200032');
  const orientation = floats(groups('00209116'), '00200037') ?? floats(dataset, '00200037');
  const windows = windowsOf(groups('00289132'));
  const rescale = groups('00289145') ?? dataset;
  const content = groups('00209111');
  const measures = groups('00289110');
  return {
    position: position?.length === 3 ? position : null,
    orientation: orientation?.length === 6 ? orientation : null,
    ...spacingOf(measures, dataset, common),
    thickness: number(measures, '00180050') ?? number(dataset, '00180050'),
    windows: windows.length ? windows : windowsOf(dataset),
    slope: number(rescale, '00281053') || 1,
    intercept: number(rescale, '00281052') ?? 0,
    stackId: text(content, '00209056'),
    time: number(content, '00209128') ?? number(dataset, '00200100') ?? 0,
    echo: number(groups('00189114'), '00189082') ?? number(dataset, '00180081') ?? 0,
    weight: number(groups('00189117'), '00189087') ?? number(dataset, '00189087') ?? 0,
  };
}

const SIDES = { L: [1, 0, 0], R: [-1, 0, 0], P: [0, 1, 0], A: [0, -1, 0], H: [0, 0, 1], F: [0, 0, -1] };

// Where rows and columns go by Patient Orientation (PS3.3 C.7.6.1.1.1), which images have that have no
// place in the patient: as axes, near enough for letters. Null if that is not told, or of an animal.
function sidesOf(dataset) {
  const [row, column] = values(dataset, '00200020').map(towards);
  const isBiped = text(dataset, '00102210') !== 'QUADRUPED';
  return isBiped && row && column && Math.abs(dot(row, column)) < 0.6 ? { row, column } : null;
}

// 'FR': to the feet, and less to the right.
function towards(letters) {
  const sides = [...String(letters ?? '')].map((letter) => SIDES[letter]);
  if (!sides.length || !sides.every(Boolean)) return null;
  return [0, 1, 2].map((axis) => sides.reduce((sum, side, place) => sum + side[axis] / 2 ** place, 0));
}

// A dose tells the place of its first frame, and by its Grid Frame Offset Vector how far from that the
// others lie along the normal (PS3.3 C.8.8.3.2).
function shift(frames, offsets) {
  for (const [place, offset] of (offsets ?? []).slice(0, frames.length).entries()) {
    const { position, orientation } = frames[place];
    const lies = position && axes(orientation);
    if (lies) frames[place].position = normal(lies).map((value, axis) => position[axis] + value * (offset - offsets[0]));
  }
}

function floats(dataset, tag) {
  const found = values(dataset, tag).map(Number);
  return found.length && found.every(Number.isFinite) ? found : null;
}

// Millimetres of a row and a column, and where they are meant: in the patient, at the detector
// (magnified, so that nothing can be measured), or by calibrated ultrasound.
function spacingOf(measures, dataset, { rows, columns }) {
  const pair = (found) => (found?.length === 2 && found.every((value) => value > 0) ? found : null);
  const told = (tag, where) => {
    const spacing = pair(tag === '00280030' && floats(measures, tag)) ?? pair(floats(dataset, tag));
    return spacing && { spacing, where };
  };
  const regions = regionsOf(dataset);
  const found = regions ? agreed(regions) : (told('00280030', 'patient') ?? told('00181164', 'detector'));
  if (found?.where === 'patient' && isUncorrected(found.spacing, dataset)) found.where = 'detector';
  const ratio = floats(dataset, '00280034');
  let aspect = found && found.where !== 'ultrasound' ? found.spacing[0] / found.spacing[1] : 1;
  if (ratio?.length === 2 && ratio[0] > 0 && ratio[1] > 0) aspect = ratio[0] / ratio[1];
  if (!(aspect > 0.02 && aspect < 50) || !rows || !columns) aspect = 1;
  return { spacing: found?.spacing ?? null, where: found?.where ?? '', regions, aspect };
}

// Pixel Spacing that is that of the detector, or of the film that was scanned, is not corrected for
// magnification, unless a calibration is said to have found just these values (PS3.3 §10.7.1.1).
function isUncorrected(spacing, dataset) {
  if (text(dataset, '00280A02')) return false;
  const alike = (value, place) => Math.abs(value / spacing[place] - 1) < 1e-4; // digits of a decimal
  return ['00181164', '00182010'].some((tag) => floats(dataset, tag)?.every(alike));
}

// The regions of an ultrasound image (PS3.3 C.8.5.5): the pixels that are theirs, the last ones
// included, and millimetres of a row and a column; null for those where what is across or down is no
// length of tissue, as time is in a Doppler trace. Null if the image has none.
function regionsOf(dataset) {
  const regions = values(dataset, '00186011').map((region) => {
    const [left, top, right, bottom] = ['00186018', '0018601A', '0018601C', '0018601E'].map((tag) => number(region, tag));
    const isPlane = number(region, '00186012') === 1;
    const isTissue = isPlane && number(region, '00186024') === 3 && number(region, '00186026') === 3;
    const size = ['0018602E', '0018602C'].map((tag) => Math.abs(number(region, tag) * 10)); // of centimetres
    return { left, top, right, bottom, isPlane, spacing: isTissue && size.every((mm) => mm > 0) ? size : null };
  });
  return regions.length ? regions : null;
}

// What the scale bar is of: two-dimensional tissue, if all such regions agree.
function agreed(regions) {
  const [first, ...others] = regions.filter(({ isPlane }) => isPlane);
  const agree = first?.spacing && others.every(({ spacing }) => String(spacing) === String(first.spacing));
  return agree ? { spacing: first.spacing, where: 'ultrasound' } : null;
}

function windowsOf(dataset) {
  const [centers, widths] = [values(dataset, '00281050'), values(dataset, '00281051')];
  const kind = KINDS[text(dataset, '00281056').toUpperCase()] ?? 'linear';
  const names = values(dataset, '00281055');
  return centers
    .map((center, place) => ({ center: Number(center), width: Number(widths[place]), kind, name: String(names[place] ?? '') }))
    .filter(({ center, width }) => Number.isFinite(center) && width > 0 && (kind !== 'linear' || width >= 1));
}

// Frames a second that the file wants to be shown with; null if it tells none.
function rateOf(dataset) {
  const told = number(dataset, '00082144') ?? number(dataset, '00180040');
  if (told > 0) return told;
  const steps = values(dataset, '00181065').slice(1).map(Number);
  const mean = steps.reduce((sum, value) => sum + value, 0) / steps.length;
  const milliseconds = number(dataset, '00181063') || mean;
  return milliseconds > 0 ? 1000 / milliseconds : null;
}
