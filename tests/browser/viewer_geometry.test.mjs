// Where images lie, how they lie on the screen, and which slices belong together.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as geometry from '../../dicomweb_server/web/pages/js/viewer/geometry.js';
import { partner, shift, way } from '../../dicomweb_server/web/pages/js/viewer/linking.js';

const AXIAL = [1, 0, 0, 0, 1, 0];
const SAGITTAL = [0, 1, 0, 0, 0, -1];
const CORONAL = [1, 0, 0, 0, 0, -1];
const { UPRIGHT, axes, edges, flipSides, flipUpDown, rotate } = geometry;

test('the letters of the three planes are at the edges (PS3.3 C.7.6.1.1.1)', () => {
  const seen = (orientation) => edges(axes(orientation), UPRIGHT.turn);
  assert.deepEqual(seen(AXIAL), { left: 'R', right: 'L', top: 'A', bottom: 'P' });
  assert.deepEqual(seen(SAGITTAL), { left: 'A', right: 'P', top: 'H', bottom: 'F' });
  assert.deepEqual(seen(CORONAL), { left: 'R', right: 'L', top: 'H', bottom: 'F' });
});

test('oblique planes have two letters, the main one first', () => {
  assert.equal(geometry.letters([0.9, 0.43, 0]), 'LP');
  assert.equal(geometry.letters([-0.3, -0.2, -0.93]), 'FRA');
  assert.equal(geometry.letters([0.995, 0.05, -0.08]), 'L');
});

test('letters follow rotations and flips', () => {
  const seen = (view) => edges(axes(AXIAL), view.turn);
  assert.deepEqual(seen(flipSides(UPRIGHT)), { left: 'L', right: 'R', top: 'A', bottom: 'P' });
  assert.deepEqual(seen(flipUpDown(UPRIGHT)), { left: 'R', right: 'L', top: 'P', bottom: 'A' });
  // Clockwise: what was at the left is at the top
  assert.deepEqual(seen(rotate(UPRIGHT)), { left: 'P', right: 'A', top: 'R', bottom: 'L' });
  // A flip is of what is seen, also of what was turned before
  assert.deepEqual(seen(flipSides(rotate(UPRIGHT))), { left: 'A', right: 'P', top: 'R', bottom: 'L' });
  assert.deepEqual([1, 2, 3, 4].reduce(rotate, UPRIGHT).turn.map((value) => value + 0), UPRIGHT.turn);
});

test('what is no orientation has no axes', () => {
  for (const wrong of [null, [], [1, 0, 0], [0, 0, 0, 0, 1, 0], [1, 0, 0, 1, 0, 0], [NaN, 0, 0, 0, 1, 0]]) {
    assert.equal(axes(wrong), null);
  }
});

const image = { width: 512, height: 256 };
const pane = { width: 800, height: 600 };
const whole = { x: 0, y: 0, ...image };
// Where a point of the image is in the pane, by the matrix that CSS is given.
function seenAt(view, [x, y]) {
  const [a, b, c, d, e, f] = geometry.matrix(view, image, pane, whole, image);
  return [a * x + c * y + e, b * x + d * y + f];
}

test('an image is fitted into its pane, also when it is turned', () => {
  const view = geometry.fitted(UPRIGHT, image, pane);
  assert.deepEqual(seenAt(view, [0, 0]), [0, 100]);
  assert.deepEqual(seenAt(view, [512, 256]), [800, 500]);
  const turned = geometry.fitted(rotate(UPRIGHT), image, pane);
  assert.equal(turned.scale, 600 / 512);
  const [x, y] = seenAt(turned, [0, 256]);
  assert.ok(Math.abs(x - 250) < 1e-9 && Math.abs(y) < 1e-9); // bottom left is at the top left
});

test('zooming keeps what is at the pointer, whatever way the image is turned', () => {
  for (const start of [UPRIGHT, rotate(UPRIGHT), flipSides(UPRIGHT)]) {
    const view = geometry.moved(geometry.fitted(start, image, pane), 30, -20, image, pane);
    const at = seenAt(view, [100, 50]);
    const zoomed = geometry.zoomed(view, 2.5, [at[0] - 400, at[1] - 300]);
    seenAt(zoomed, [100, 50]).forEach((value, axis) => assert.ok(Math.abs(value - at[axis]) < 1e-9));
    assert.ok(!zoomed.fit);
  }
});

test('an image is never moved out of sight nor zoomed without end', () => {
  const far = geometry.moved(UPRIGHT, 1e6, -1e6, image, pane);
  assert.ok(geometry.visible(far, image, pane));
  assert.equal(geometry.zoomed(UPRIGHT, 1e9, [0, 0]).scale, 40);
});

test('the visible part is the whole at fit, and a part of it when zoomed in', () => {
  assert.deepEqual(geometry.visible(geometry.fitted(UPRIGHT, image, pane), image, pane), whole);
  const close = geometry.zoomed(geometry.fitted(flipSides(UPRIGHT), image, pane), 4, [-400, 0]);
  const part = geometry.visible(close, image, pane);
  assert.equal(part.x + part.width, 512); // mirrored: the left of the pane is the right of the image
  assert.equal(part.width, 128);
});

test('a point of the pane is a point of the image, and the other way round', () => {
  for (const start of [UPRIGHT, rotate(UPRIGHT), flipSides(rotate(UPRIGHT)), flipUpDown(UPRIGHT)]) {
    const view = geometry.moved(geometry.zoomed(start, 1.7, [31, -9]), 13, 40, image, pane);
    for (const point of [[0, 0], [100, 50], [511, 300]]) {
      const at = geometry.toPane(view, image, point);
      seenAt(view, point).forEach((value, axis) => assert.ok(Math.abs(value - at[axis] - [400, 300][axis]) < 1e-9));
      geometry.toImage(view, image, at).forEach((value, axis) => assert.ok(Math.abs(value - point[axis]) < 1e-9));
    }
  }
});

test('lengths are in millimetres of rows and columns, whatever shape a pixel has', () => {
  const square = { spacing: [0.5, 0.5], aspect: 1 };
  assert.equal(geometry.distance([[10, 10], [13, 14]], square), 2.5);
  const tall = { spacing: [2, 0.5], aspect: 4 }; // shown four times as high
  assert.equal(geometry.distance([[0, 0], [0, 40]], tall), 20); // ten rows of 2 mm
  assert.equal(geometry.distance([[0, 0], [40, 0]], tall), 20);
  const disagreeing = { spacing: [1, 1], aspect: 2 }; // a Pixel Aspect Ratio of its own
  assert.equal(geometry.distance([[0, 0], [0, 40]], disagreeing), 20);
});

test('another image lies likewise: as large in the patient, or else in its pane', () => {
  const small = { image: { width: 256, height: 256 }, pane };
  const view = geometry.zoomed(rotate(geometry.fitted(UPRIGHT, image, pane)), 3, [40, 50]);
  const [mine, own] = [{ image, pane, mm: 0.5 }, { ...small, mm: 1 }];
  const same = geometry.likewise(view, mine, own);
  assert.deepEqual([same.scale, same.turn], [view.scale * 2, view.turn]); // half as many pixels
  assert.deepEqual(geometry.likewise(same, own, mine), view); // and back
  const part = geometry.likewise(view, { image, pane }, small);
  assert.equal(part.scale / geometry.fitScale(view.turn, small.image, pane), view.scale / geometry.fitScale(view.turn, image, pane));
  assert.ok(geometry.likewise(geometry.fitted(view, image, pane), mine, own).fit);
});

test('scale bars have round lengths that fit', () => {
  assert.deepEqual(geometry.scaleBar(0.5, 150), { mm: 50, length: 100 });
  assert.deepEqual(geometry.scaleBar(0.001, 150), { mm: 0.1, length: 100 });
  assert.equal(geometry.scaleBar(NaN, 150), null);
});

// Slices of one stack, `from` mm upwards.
const stack = (from, step, length, { reference = '1', orientation = AXIAL } = {}) =>
  Array.from({ length }, (_, index) => ({ position: [0, 0, from + index * step], orientation, reference }));

test('stacks of one frame of reference are linked by position', () => {
  const [thin, thick] = [stack(0, 1, 101), stack(0, 5, 21)];
  assert.equal(way(thin, thick), 'place');
  assert.equal(partner(thin, 52, thick), 10);
  assert.equal(partner(thick, 20, thin), 100);
});

test('so are stacks that lie beside each other, in whatever order', () => {
  const [up, down] = [stack(0, 1, 100, { reference: 'a' }), stack(99, -1, 100, { reference: 'b' })];
  assert.equal(way(up, down), 'place');
  assert.equal(partner(up, 10, down), 89);
});

test('others are linked by how far along they are', () => {
  const apart = stack(5000, 1, 50, { reference: 'b' });
  assert.equal(way(stack(0, 1, 100), apart), 'share');
  assert.equal(partner(stack(0, 1, 100), 99, apart), 49);
  const sagittal = stack(0, 1, 11, { orientation: SAGITTAL });
  assert.equal(way(stack(0, 1, 101), sagittal), 'share');
  assert.equal(partner(stack(0, 1, 101), 50, sagittal), 5);
  assert.equal(way([{}, {}], [{}, {}, {}]), 'share');
  assert.equal(partner([{}, {}, {}], 2, [{}]), 0);
});

test('the size of a pixel of the screen is that across it, however the image is turned', () => {
  const view = { ...UPRIGHT, scale: 2 };
  const square = { spacing: [0.8, 0.4], aspect: 2 }; // shown in pixels that are square
  const ultrasound = { spacing: [0.2, 0.1], aspect: 1 }; // shown as it was stored
  assert.deepEqual([square, ultrasound].map((frame) => geometry.sizeAcross(frame, view)), [0.2, 0.05]);
  assert.deepEqual([square, ultrasound].map((frame) => geometry.sizeAcross(frame, rotate(view))), [0.2, 0.1]);
});

test('two that show one place again and again are linked by how far along they are', () => {
  const [a, b] = [stack(0, 0, 21), stack(0, 0, 41)];
  assert.equal(partner(a, 10, b), 20);
  assert.equal(partner(stack(-10, 1, 21), 3, b), 0); // the place is the same wherever the other one is
});

test('linked again, two stacks keep their distance, both ways', () => {
  const [a, b] = [stack(0, 2, 50), stack(10, -1, 100, { reference: '1' })];
  const [forth, back] = [shift(a, 20, b, 5), shift(b, 5, a, 20)];
  assert.equal(partner(a, 20, b, forth), 5);
  assert.equal(partner(b, 5, a, back), 20);
  assert.equal(partner(a, 21, b, forth), 3); // 2 mm up is two slices back
});
