// What stands in the image area of a pane while pictures are on their way.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Contrast } from '../../dicomweb_server/web/pages/js/viewer/contrast.js';
import { Pane } from '../../dicomweb_server/web/pages/js/viewer/pane.js';
import { UPRIGHT } from '../../dicomweb_server/web/pages/js/viewer/geometry.js';

const nothing = () => {};

// A pane of five slices without a page, and the pictures that have come.
function paneOf(context) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const classes = new Set();
  const classList = { add: (name) => classes.add(name), remove: (name) => classes.delete(name), toggle: (name, isSo) => classes[isSo ? 'add' : 'delete'](name) };
  const here = new Map();
  const viewer = { pictures: { want: nothing, get: (key) => here.get(key), problem: nothing }, painted: nothing };
  const frames = Array.from({ length: 5 }, (_, index) => ({ index, phase: 0, instance: `1.${index}`, windows: [] }));
  const pane = Object.create(Pane.prototype);
  Object.assign(pane, {
    viewer, classes, here, frames, stacks: [{ phases: [frames] }], stack: 0, phase: 0, index: 0, along: 'slices', view: UPRIGHT, said: '',
    list: () => frames, at: () => pane.index, frame: () => frames[pane.index], length: () => frames.length, key: ({ instance }) => instance,
    stage: { dataset: {}, classList }, slider: {}, document: { replaceChildren: nothing }, planned: new Map(frames.map((frame) => [frame.instance, frame])),
    screen: { clear: nothing, paint: nothing }, overlay: { study: nothing, picture: nothing, view: nothing }, lengths: { draw: nothing }, sharper: { arrived: nothing }, place: nothing, measureImage: nothing,
    say: (message) => { pane.said = message; },
  });
  pane.contrast = new Contrast(pane);
  return pane;
}

test('a slice that is waited for says nothing over a document that was opened since', (context) => {
  const pane = paneOf(context);
  pane.painted = { frame: pane.frames[4] };
  pane.wait(pane.frames[0]);
  pane.blank('');
  context.mock.timers.tick(1000);
  assert.deepEqual([pane.said, pane.classes.has('v-waiting')], ['', false]);
});

test('a slice on the way to the wanted one does not stand for longer than another', (context) => {
  const pane = paneOf(context);
  pane.painted = { frame: pane.frames[0] };
  pane.index = 4;
  pane.wait(pane.frame());
  context.mock.timers.tick(100);
  pane.here.set('1.2', {});
  pane.arrived('1.2');
  assert.equal(pane.painted.frame.index, 2);
  context.mock.timers.tick(1000);
  assert.deepEqual([pane.painted, pane.said], [null, 'vLoading']);
});

test('up is brighter, also where high values are dark and where a reader has inverted that', (context) => {
  const pane = paneOf(context);
  globalThis.requestAnimationFrame ??= nothing;
  const { contrast } = pane;
  Object.assign(contrast, { preview: nothing, end: nothing });
  const centre = (frame, inverted) => {
    pane.painted = { frame: { grey: true, windows: [{ center: 40, width: 400, kind: 'linear' }], ...frame } };
    Object.assign(contrast, { inverted, choice: null });
    contrast.drag(0, -8);
    return Math.sign(contrast.choice.center - 40);
  };
  const found = [[false, false], [true, false], [false, true], [true, true]].map(([dark, turned]) => centre({ inverted: dark }, turned));
  assert.deepEqual(found, [-1, 1, 1, -1]);
});

test('another phase is shown at the place that is looked at, also where it has fewer slices', () => {
  const at = (z, phase, index) => ({ position: [0, 0, z], orientation: [1, 0, 0, 0, 1, 0], reference: '1', phase, index });
  const phases = [[0, 5, 10, 15].map((z, index) => at(z, 0, index)), [5, 15].map((z, index) => at(z, 1, index))];
  const pane = Object.create(Pane.prototype);
  Object.assign(pane, { stacks: [{ phases }], stack: 0, phase: 0, index: 1, along: 'slices', update: nothing });
  pane.setPhase(1);
  assert.deepEqual([pane.phase, pane.index], [1, 0]);
  pane.setPhase(2);
  assert.deepEqual([pane.phase, pane.index], [0, 1]);
  Object.assign(pane, { along: 'phases', index: 3 });
  assert.deepEqual(pane.list().map(({ position }) => position[2]), [15, 15]);
  pane.set(1);
  assert.deepEqual([pane.phase, pane.index], [1, 1]);
});
