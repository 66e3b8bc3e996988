// Where an image lies in the patient (PS3.3 C.7.6.2.1.1), and how it lies on the screen.
// Vectors are arrays of numbers; millimetres in the patient, pixels of the image and of CSS.

export const SAME_PLACE = 0.01; // millimetres

export const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

export const cross = (a, b) => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];

// Image Orientation (Patient) as unit vectors along a row and down a column; null if it is none.
export function axes(orientation) {
  if (orientation?.length !== 6 || !orientation.every(Number.isFinite)) return null;
  const [row, column] = [orientation.slice(0, 3), orientation.slice(3)].map(unit);
  return row && column && Math.abs(dot(row, column)) < 0.1 ? { row, column } : null;
}

function unit(vector) {
  const length = Math.hypot(...vector);
  return length > 1e-6 ? vector.map((value) => value / length) : null;
}

export const normal = ({ row, column }) => cross(row, column);

// Whether two orientations are the same to within about two degrees.
export const alike = (a, b) => dot(a.row, b.row) > 0.999 && dot(a.column, b.column) > 0.999;

// The patient's side that a direction points to: 'L', 'PH'; at most three letters, the main one
// first (PS3.3 C.7.6.1.1.1: x grows to the left, y to the back, z to the head).
export function letters(direction) {
  return ['RL', 'AP', 'FH']
    .map((pair, axis) => ({ size: Math.abs(direction[axis]), letter: pair[direction[axis] > 0 ? 1 : 0] }))
    .filter(({ size }) => size > 0.15)
    .sort((a, b) => b.size - a.size)
    .map(({ letter }) => letter)
    .join('');
}

// What stands at the edges of the pane; `turn` is that of the view.
export function edges({ row, column }, turn) {
  // Of a direction on the screen, in the image: the inverse of a turn is its transposed
  const seen = (x, y) => {
    const [u, v] = [turn[0] * x + turn[1] * y, turn[2] * x + turn[3] * y];
    return letters(row.map((value, axis) => value * u + column[axis] * v));
  };
  return { left: seen(-1, 0), right: seen(1, 0), top: seen(0, -1), bottom: seen(0, 1) };
}

// --- the view: how an image of width × height lies in a pane ---------------------------------
//
// `turn` [a, b, c, d] is CSS's matrix of rotations and flips: x' = ax + cy, y' = bx + dy.
// `scale` is CSS pixels for one of the image; `x`, `y` from the pane's middle to the image's.

export const UPRIGHT = { turn: [1, 0, 0, 1], scale: 1, x: 0, y: 0, fit: true };

const times = (left, [a, b, c, d]) => [
  left[0] * a + left[2] * b,
  left[1] * a + left[3] * b,
  left[0] * c + left[2] * d,
  left[1] * c + left[3] * d,
];

const turned = (view, by) => ({
  ...view,
  turn: times(by, view.turn),
  x: by[0] * view.x + by[2] * view.y,
  y: by[1] * view.x + by[3] * view.y,
});

export const rotate = (view) => turned(view, [0, 1, -1, 0]); // a quarter, clockwise
export const flipSides = (view) => turned(view, [-1, 0, 0, 1]);
export const flipUpDown = (view) => turned(view, [1, 0, 0, -1]);

export function fitScale(turn, image, pane) {
  const [width, height] = turn[0] ? [image.width, image.height] : [image.height, image.width];
  return Math.min(pane.width / width, pane.height / height);
}

export const fitted = (view, image, pane) => ({
  ...view,
  scale: fitScale(view.turn, image, pane),
  x: 0,
  y: 0,
  fit: true,
});

// Zoom so that what is at the point (from the pane's middle) stays there.
export function zoomed(view, factor, [x, y], bounds = [0.02, 40]) {
  const scale = Math.min(bounds[1], Math.max(bounds[0], view.scale * factor));
  const by = scale / view.scale;
  return { ...view, scale, x: x - (x - view.x) * by, y: y - (y - view.y) * by, fit: false };
}

// Moved, but never so far that nothing of the image is left to be seen.
export function moved(view, dx, dy, image, pane) {
  const [width, height] = view.turn[0] ? [image.width, image.height] : [image.height, image.width];
  const within = (value, size, space) => {
    const most = (size * view.scale + space) / 2 - 30;
    return Math.min(most, Math.max(-most, value));
  };
  return {
    ...view,
    x: within(view.x + dx, width, pane.width),
    y: within(view.y + dy, height, pane.height),
    fit: false,
  };
}

// The six numbers of CSS's matrix() for something that lies at `box` of the image and has its
// own size `own`; transform-origin is its top left corner.
export function matrix(view, image, pane, box, own) {
  const turn = view.turn.map((value) => value * view.scale);
  const [x, y] = [box.x - image.width / 2, box.y - image.height / 2];
  const [sx, sy] = [box.width / own.width, box.height / own.height];
  return [
    turn[0] * sx,
    turn[1] * sx,
    turn[2] * sy,
    turn[3] * sy,
    pane.width / 2 + view.x + turn[0] * x + turn[2] * y,
    pane.height / 2 + view.y + turn[1] * x + turn[3] * y,
  ];
}

// The part of the image that is to be seen, in whole pixels; null if there is none.
export function visible(view, image, pane) {
  const corner = (x, y) => {
    const [u, v] = [(x - view.x) / view.scale, (y - view.y) / view.scale];
    return [
      view.turn[0] * u + view.turn[1] * v + image.width / 2,
      view.turn[2] * u + view.turn[3] * v + image.height / 2,
    ];
  };
  const a = corner(-pane.width / 2, -pane.height / 2);
  const b = corner(pane.width / 2, pane.height / 2);
  const [left, right] = [Math.floor(Math.max(0, Math.min(a[0], b[0]))), Math.ceil(Math.min(image.width, Math.max(a[0], b[0])))];
  const [top, bottom] = [Math.floor(Math.max(0, Math.min(a[1], b[1]))), Math.ceil(Math.min(image.height, Math.max(a[1], b[1])))];
  return right > left && bottom > top ? { x: left, y: top, width: right - left, height: bottom - top } : null;
}

// The point of the image that lies at [x, y] of the pane, from its middle; and the other way round.
export const toImage = ({ turn, scale, x, y }, image, [left, top]) => {
  const [u, v] = [(left - x) / scale, (top - y) / scale];
  return [turn[0] * u + turn[1] * v + image.width / 2, turn[2] * u + turn[3] * v + image.height / 2];
};

export const toPane = ({ turn, scale, x, y }, image, [left, top]) => {
  const [u, v] = [(left - image.width / 2) * scale, (top - image.height / 2) * scale];
  return [turn[0] * u + turn[2] * v + x, turn[1] * u + turn[3] * v + y];
};

// Millimetres between two points of an image whose pixels are shown square, `aspect` as high as they
// are wide; `spacing` is of rows and columns (PS3.3 §10.7.1.3).
export function distance([a, b], { spacing, aspect }) {
  const [across, down] = [b[0] - a[0], (b[1] - a[1]) / aspect];
  return Math.hypot(across * spacing[1], down * spacing[0]);
}

// The spacing that holds for a line: that of the frame, or, if it is ultrasound, of the region in
// which both ends lie (PS3.3 C.8.5.5); null where there is none, or several that differ.
export function spacingAlong([a, b], { spacing, aspect, regions }) {
  if (!regions) return spacing;
  const within = ([x, y], { left, top, right, bottom }) => x >= left && x <= right + 1 && y / aspect >= top && y / aspect <= bottom + 1;
  const touched = regions.filter((region) => within(a, region) || within(b, region));
  const common = touched.find((region) => within(a, region) && within(b, region));
  return common && touched.every((region) => String(region.spacing) === String(common.spacing)) ? common.spacing : null;
}

// How an image lies in a pane as another one does in its own: as large in the patient where both
// tell their spacing there, else as large a part of the pane.
export function likewise(view, { image, pane, mm }, own) {
  if (view.fit) return fitted({ ...view }, own.image, own.pane);
  const bySize = mm && own.mm;
  const ratio = bySize ? own.mm / mm : fitScale(view.turn, own.image, own.pane) / fitScale(view.turn, image, pane);
  return moved({ ...view, scale: view.scale * ratio, fit: false }, 0, 0, own.image, own.pane);
}

// Millimetres of one CSS pixel across the pane. Rows and columns differ where the image is shown as it
// was stored, as ultrasound is.
export const sizeAcross = ({ spacing, aspect }, { turn, scale }) => (turn[0] ? spacing[1] : spacing[0] / aspect) / scale;

// A scale bar of at most `room` CSS pixels: {mm, length}. `size` is millimetres of one.
export function scaleBar(size, room) {
  const most = size * room;
  if (!(most > 0 && Number.isFinite(most))) return null;
  const power = 10 ** Math.floor(Math.log10(most));
  const mm = power * ([5, 2, 1].find((step) => step * power <= most) ?? 1);
  return { mm, length: mm / size };
}
