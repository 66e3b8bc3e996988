// Which of several choices that a reader makes one after the other is shown.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Contrast } from '../../dicomweb_server/web/pages/js/viewer/contrast.js';
import { Viewer } from '../../dicomweb_server/web/pages/js/viewer/index.js';
import { Pane } from '../../dicomweb_server/web/pages/js/viewer/pane.js';

const studyOf = (uid) => ({ uid, study: {}, series: [{ uid: `${uid}.1`, item: {} }] });

// A viewer whose studies come when they are told to, with a pane that shows no pictures.
function viewing(context) {
  context.mock.method(globalThis, 'fetch', () => new Promise(() => {})); // no series ever comes
  const coming = new Map();
  const viewer = Object.create(Viewer.prototype);
  const study = (uid) => new Promise((resolve) => coming.set(uid, () => resolve(studyOf(uid))));
  Object.assign(viewer, { study, changed() {} });
  const pane = Object.create(Pane.prototype);
  const classes = new Set();
  const classList = { add: (name) => classes.add(name), remove: (name) => classes.delete(name), toggle: (name, isSo) => classes[isSo ? 'add' : 'delete'](name) };
  Object.assign(pane, { viewer, blank() {}, study: studyOf('1.1'), stage: { classList }, classes, overlay: { study() {} } });
  pane.contrast = new Contrast(pane);
  return { viewer, pane, come: (uid) => coming.get(uid)() };
}

test('of two studies that are chosen the last is shown, whichever comes first', async (context) => {
  const { viewer, pane, come } = viewing(context);
  const chosen = [viewer.switchStudy(pane, '1.2'), viewer.switchStudy(pane, '1.3')];
  for (const uid of ['1.3', '1.2']) come(uid);
  await Promise.all(chosen);
  assert.equal(pane.study.uid, '1.3');
});

test('a slow study does not replace a series that was chosen after it', async (context) => {
  const { viewer, pane, come } = viewing(context);
  const chosen = viewer.switchStudy(pane, '1.2');
  pane.open(pane.study, { uid: '1.1.7', item: {} });
  come('1.2');
  await chosen;
  assert.deepEqual([pane.study.uid, pane.series.uid], ['1.1', '1.1.7']);
});

test('what was inverted is not when another series comes', (context) => {
  const { pane } = viewing(context);
  pane.contrast.invert(true);
  assert.ok(pane.classes.has('v-inverted'));
  pane.open(pane.study, { uid: '1.1.7', item: {} });
  assert.deepEqual([pane.contrast.inverted, pane.classes.has('v-inverted')], [false, false]);
});

test('nothing of a study stays while another one that was chosen is on its way', async (context) => {
  const { viewer, pane, come } = viewing(context);
  pane.open(pane.study, { uid: '1.1.7', item: {} });
  const { signal } = pane.abort;
  pane.stacks = [{ phases: [[{}]] }];
  const chosen = viewer.switchStudy(pane, '1.2');
  assert.deepEqual([pane.stacks, signal.aborted], [[], true]);
  come('1.2');
  await chosen;
  assert.equal(pane.study.uid, '1.2');
});

test('the banner tells of two patients whichever pane has changed', () => {
  const viewer = Object.create(Viewer.prototype);
  const [active, other] = [{ study: studyOf('1.1') }, { study: studyOf('1.2') }];
  let shown = 0;
  const around = { show: () => (shown += 1) };
  Object.assign(viewer, { panes: [active, other], active, around, showChoices() {}, updateTools() {} });
  viewer.changed(other);
  assert.equal(shown, 1);
});
