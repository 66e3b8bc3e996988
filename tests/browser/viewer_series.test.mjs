// What the viewer makes of metadata: frames, and stacks in the order to look at them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UPRIGHT, distance, edges, flipSides, spacingAlong } from '../../dicomweb_server/web/pages/js/viewer/geometry.js';
import { FIELDS, read } from '../../dicomweb_server/web/pages/js/viewer/frames.js';
import { find, stacks } from '../../dicomweb_server/web/pages/js/viewer/stacks.js';

const attribute = (...Value) => ({ vr: 'DS', Value });
const AXIAL = [1, 0, 0, 0, 1, 0];

function slice(order, z, more = {}) {
  return {
    '00080016': attribute('1.2.840.10008.5.1.4.1.1.4'),
    '00080018': attribute(`1.2.${order}`),
    '00200013': attribute(order),
    '00280004': attribute('MONOCHROME2'),
    '00280010': attribute(64),
    '00280011': attribute(32),
    ...(z === null ? {} : { '00200032': attribute(0, 0, z), '00200037': attribute(...AXIAL) }),
    ...more,
  };
}

const read_ = (...datasets) => stacks(datasets.map(read));
const orders = (phase) => phase.map(({ order }) => order);

test('slices lie in the order of their places, from the side that was numbered first', () => {
  const [up] = read_(slice(3, 20), slice(1, 0), slice(2, 10));
  assert.deepEqual(orders(up.phases[0]), [1, 2, 3]);
  const [down] = read_(slice(3, 0), slice(1, 20), slice(2, 10));
  assert.deepEqual(orders(down.phases[0]), [1, 2, 3]);
  // Numbers that say nothing of the places
  const [mixed] = read_(slice(5, 0), slice(2, 10), slice(9, 20), slice(1, 30));
  assert.deepEqual(mixed.phases[0].map(({ position }) => position[2]), [30, 20, 10, 0]);
});

test('without places they are in the order of their numbers', () => {
  const [only] = read_(slice(10, null), slice(9, null), slice(1, null));
  assert.deepEqual(orders(only.phases[0]), [1, 9, 10]);
  assert.equal(only.spatial, false);
});

test('planes of different orientation are stacks of their own', () => {
  const coronal = { '00200037': attribute(1, 0, 0, 0, 0, -1), '00200032': attribute(0, 5, 0) };
  const found = read_(slice(1, 0), slice(2, 1), slice(3, 0, coronal), slice(4, 1, { ...coronal, '00200032': attribute(0, 6, 0) }));
  assert.deepEqual(found.map(({ phases }) => orders(phases[0])), [[1, 2], [3, 4]]);
});

test('planes that turn around an axis are one stack', () => {
  const turned = (order) => {
    const angle = (order * Math.PI) / 12;
    return slice(order, 0, { '00200037': attribute(Math.cos(angle), Math.sin(angle), 0, 0, 0, -1) });
  };
  const [only, ...others] = read_(...[3, 1, 2, 5, 4].map(turned));
  assert.deepEqual(orders(only.phases[0]), [1, 2, 3, 4, 5]);
  assert.deepEqual(others, []);
});

test('places that are shown again and again are phases', () => {
  const at = (order, z, time) => slice(order, z, { '00181060': attribute(time) });
  const [found] = read_(at(1, 0, 10), at(2, 0, 90), at(3, 5, 10), at(4, 5, 90), at(5, 10, 11), at(6, 10, 92));
  assert.deepEqual(found.phases.map(orders), [[1, 3, 5], [2, 4, 6]]);
});

test('echoes are told apart where some slices are missing', () => {
  const at = (order, z, echo) => slice(order, z, { '00180081': attribute(echo) });
  const [found] = read_(at(1, 0, 20), at(2, 0, 80), at(3, 5, 20), at(4, 10, 20), at(5, 10, 80));
  assert.deepEqual(found.phases.map(orders), [[1, 3, 4], [2, 5]]);
});

test('one place through time is one stack', () => {
  const [found] = read_(...[3, 1, 2].map((order) => slice(order, 7, { '00181060': attribute(order * 40) })));
  assert.deepEqual(found.phases.map(orders), [[1, 2, 3]]);
});

test('a clip is a stack of its own, with its rate', () => {
  const clip = (order, more) => slice(order, null, { '00280008': attribute(4), ...more });
  const found = read_(clip(2, { '00181063': attribute(40) }), clip(1, { '00082144': attribute(30) }), slice(3, null));
  assert.deepEqual(found.map(({ phases }) => phases[0].map(({ order, frame }) => `${order}.${frame}`)), [['1.1', '1.2', '1.3', '1.4'], ['2.1', '2.2', '2.3', '2.4'], ['3.1']]);
  assert.deepEqual(found.map(({ rate }) => rate), [30, 25, null]);
  const [vector] = read_(clip(1, { '00181065': attribute(0, 50, 50, 50) }));
  assert.equal(vector.rate, 20);
});

// Functional groups: an item with one sequence of one item each.
const group = (...pairs) => Object.fromEntries(pairs.map(([tag, item]) => [tag, { vr: 'SQ', Value: [item] }]));

test('functional groups tell where each frame of one instance is, those of the frame first', () => {
  const placed = (z, index) => group(['00209113', { '00200032': attribute(1, 2, z) }], ['00209111', { '00209128': attribute(index) }], ['00289132', { '00281050': attribute(index * 100), '00281051': attribute(50) }]);
  const shared = group(['00209116', { '00200037': attribute(...AXIAL) }], ['00289110', { '00280030': attribute(0.5, 0.25) }], ['00289145', { '00281052': attribute(-1024), '00281053': attribute(2) }]);
  const [found] = read_(
    slice(1, null, { '00280008': attribute(4), '52009229': { vr: 'SQ', Value: [shared] }, '52009230': { vr: 'SQ', Value: [placed(5, 1), placed(5, 2), placed(0, 1), placed(0, 2)] } }),
  );
  assert.deepEqual(found.phases.map((phase) => phase.map(({ frame }) => frame)), [[1, 3], [2, 4]]);
  const [frame] = found.phases[1];
  assert.deepEqual([frame.spacing, frame.where, frame.aspect, frame.intercept, frame.slope], [[0.5, 0.25], 'patient', 2, -1024, 2]);
  assert.deepEqual(frame.windows, [{ center: 200, width: 50, kind: 'linear', name: '' }]);
});

test('spacing says where it is meant', () => {
  const [detector] = read(slice(1, null, { '00181164': attribute(0.1, 0.1) })).frames;
  assert.deepEqual([detector.spacing, detector.where], [[0.1, 0.1], 'detector']);
  const region = (more) => ({ '00186012': attribute(1), '00186024': attribute(3), '00186026': attribute(3), '0018602C': attribute(0.02), '0018602E': attribute(0.03), ...more });
  const seen = (...regions) => read(slice(1, null, { '00186011': { vr: 'SQ', Value: regions } })).frames[0];
  assert.deepEqual(seen(region(), region()).spacing.map((size) => size.toFixed(2)), ['0.30', '0.20']);
  assert.equal(seen(region(), region({ '0018602C': attribute(0.05) })).spacing, null); // they differ
  assert.equal(seen(region({ '00186024': attribute(4) })).spacing, null); // seconds
  assert.equal(read(slice(1, null, { '00280030': attribute(0, 1) })).frames[0].spacing, null);
  assert.equal(read(slice(1, null, { '00280034': attribute(2, 1) })).frames[0].aspect, 2);
});

test('ultrasound is measured within a region of tissue, and nowhere else (PS3.3 C.8.5.5)', () => {
  const region = ([left, top, right, bottom], more) => ({
    ...{ '00186018': attribute(left), '0018601A': attribute(top), '0018601C': attribute(right), '0018601E': attribute(bottom) },
    ...{ '00186012': attribute(1), '00186024': attribute(3), '00186026': attribute(3), '0018602C': attribute(0.02), '0018602E': attribute(0.03), ...more },
  });
  const doppler = region([0, 40, 31, 63], { '00186012': attribute(3), '00186024': attribute(4), '00186026': attribute(7) });
  const seen = (regions, more) => read(slice(1, null, { '00186011': { vr: 'SQ', Value: regions }, ...more })).frames[0];
  const mm = (frame, ...line) => {
    const spacing = spacingAlong(line, frame);
    return spacing && Number(distance(line, { ...frame, spacing }).toFixed(3));
  };
  for (const more of [{}, { '00280030': attribute(0.2, 0.2) }]) {
    const frame = seen([region([0, 0, 15, 39]), region([16, 0, 31, 39]), doppler], more);
    assert.equal(mm(frame, [1, 2], [11, 2]), 2);
    assert.equal(mm(frame, [1, 2], [1, 12]), 3);
    assert.equal(mm(frame, [15.9, 39.9], [15.9, 29.9]), 3); // its last pixels are its own
    assert.equal(mm(frame, [1, 50], [11, 50]), null); // time
    assert.equal(mm(frame, [1, 30], [1, 50]), null);
    assert.equal(mm(frame, [1, 2], [30, 2]), null); // of two pictures beside each other
    assert.equal(mm(frame, [31, 2], [40, 2]), null);
  }
  const larger = region([0, 0, 15, 39], { '0018602C': attribute(0.05) });
  const frame = seen([larger, region([16, 0, 31, 39])]);
  assert.deepEqual([frame.spacing, mm(frame, [1, 2], [11, 2]), mm(frame, [17, 2], [27, 2])], [null, 5, 2]);
  const inset = seen([region([0, 0, 31, 39]), region([4, 4, 8, 8], { '00186012': attribute(5), '00186024': attribute(0) })]);
  assert.deepEqual([mm(inset, [1, 2], [11, 2]), mm(inset, [1, 2], [5, 5])], [2, null]);
  const tall = seen([region([0, 0, 31, 39])], { '00280034': attribute(2, 1) }); // shown twice as high
  assert.equal(mm(tall, [1, 2], [1, 72]), 10.5);
});

test('projections are measured in the patient only where their spacing is corrected (PS3.3 10.7.1.1)', () => {
  const where = (more) => read(slice(1, null, { '00280030': attribute('0.2', '0.2'), ...more })).frames[0].where;
  const [imager, scanned] = ['00181164', '00182010'];
  for (const tag of [imager, scanned]) {
    assert.equal(where({ [tag]: attribute('0.20', 0.2) }), 'detector');
    assert.equal(where({ [tag]: attribute(0.2, 0.2), '00280A02': { vr: 'CS', Value: ['FIDUCIAL'] } }), 'patient');
    assert.equal(where({ [tag]: attribute(0.25, 0.25) }), 'patient'); // corrected
  }
  assert.equal(where({}), 'patient');
  for (const tag of [imager, scanned, '00280A02']) assert.ok(FIELDS.includes(tag));
});

test('what is no image is no frame, but is there', () => {
  const report = { '00080016': attribute('1.2.840.10008.5.1.4.1.1.88.33'), '00080018': attribute('1.9') };
  const found = read_(slice(1, 0), report, { '00080016': attribute('1.2.840.10008.5.1.4.1.1.481.5'), '00080018': attribute('1.8') });
  assert.deepEqual(found.map(({ document }) => document?.kind), [undefined, 'report', 'nothing']);
  assert.deepEqual(find(found, '1.9'), { stack: 1, phase: 0, index: 0 });
  assert.equal(find(found, '1.7'), null);
  const [state] = read_({ '00080016': attribute('1.2.840.10008.5.1.4.1.1.11.1'), '00080018': attribute('1.6') });
  assert.ok(state.phases[0][0].fixed && !state.phases[0][0].grey);
});

test('what the server shows in colours has no window', () => {
  const grey = (more) => read(slice(1, null, more)).frames[0].grey;
  assert.ok(grey({}));
  assert.ok(!grey({ '00080016': attribute('1.2.840.10008.5.1.4.1.1.66.4') })); // a segmentation
  assert.ok(!grey({ '00280004': attribute('PALETTE COLOR') }));
  assert.ok(!grey({ '00089205': attribute('MIXED') }));
});

test('empty and broken attributes are as if they were not there', () => {
  const [frame] = read(slice(1, null, { '00200032': attribute(0, 'x', 1), '00200037': { vr: 'DS' }, '00281050': attribute(null), '00281051': attribute(0), '00280008': attribute(0) })).frames;
  assert.deepEqual([frame.position, frame.orientation, frame.windows, frame.count], [null, null, [], 1]);
});

test('only attributes are asked for, as tags with dots into sequences', () => {
  for (const path of FIELDS.split(',')) assert.match(path, /^[0-9A-F]{8}(\.[0-9A-F]{8})*$/);
});

test('all phases lie in one direction, however each is numbered', () => {
  const places = (datasets) => read_(...datasets)[0].phases.map((phase) => phase.map(({ position }) => position[2]));
  const at = (order, z, time) => slice(order, z, { '00181060': attribute(time) });
  // There and back again
  const even = [at(1, 0, 1), at(2, 5, 1), at(3, 10, 1), at(4, 10, 2), at(5, 5, 2), at(6, 0, 2)];
  assert.deepEqual(places(even), [[0, 5, 10], [0, 5, 10]]);
  const acquired = (order, z, number) => slice(order, z, { '00200012': attribute(number) });
  const uneven = [acquired(1, 0, 1), acquired(2, 5, 1), acquired(3, 10, 1), acquired(4, 10, 2), acquired(5, 5, 2)];
  assert.deepEqual(places(uneven), [[0, 5, 10], [5, 10]]);
});

test('frames of a dose lie where its offsets tell (PS3.3 C.8.8.3.2)', () => {
  const dose = (offsets) => read(slice(1, 100, { '00280008': attribute(3), '3004000C': attribute(...offsets) }));
  const places = (instance) => instance.frames.map(({ position }) => position[2]);
  assert.deepEqual(places(dose([0, 2.5, 5])), [100, 102.5, 105]);
  assert.deepEqual(places(dose([100, 97.5, 95])), [100, 97.5, 95]); // as places themselves
  const [only] = stacks([dose([0, 2.5, 5])]);
  assert.deepEqual([only.phases.length, only.spatial], [1, true]);
  assert.ok(FIELDS.includes('3004000C'));
});

test('a number of frames that no image has does not stop the page', { timeout: 20_000 }, () => {
  const { frames } = read(slice(1, null, { '00280008': attribute(2 ** 31 - 1) }));
  assert.ok(frames.length <= 100_000);
});

test('an X-ray tells its sides by its Patient Orientation, biped ones alone', () => {
  const sides = (row, column, more = {}) => read(slice(1, null, { '00200020': attribute(row, column), ...more })).frames[0].sides;
  const seen = (turn, ...given) => edges(sides(...given), turn(UPRIGHT).turn);
  assert.deepEqual(seen((view) => view, 'L', 'F'), { left: 'R', right: 'L', top: 'H', bottom: 'F' });
  assert.deepEqual(seen(flipSides, 'L', 'F'), { left: 'L', right: 'R', top: 'H', bottom: 'F' });
  assert.deepEqual(seen((view) => view, 'P', 'FL'), { left: 'A', right: 'P', top: 'HR', bottom: 'FL' }); // a breast, oblique
  for (const given of [['', ''], ['L', ''], ['LE', 'CD'], ['L', 'R'], ['P', 'F', { '00102210': attribute('QUADRUPED') }]]) assert.equal(sides(...given), null);
  assert.equal(read(slice(1, 0)).frames[0].sides, null);
  for (const tag of ['00200020', '00102210']) assert.ok(FIELDS.includes(tag));
});
