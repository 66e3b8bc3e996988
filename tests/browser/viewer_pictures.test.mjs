// Windows, and which pictures are fetched, kept and given up.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pictures, Recent, plan } from '../../dicomweb_server/web/pages/js/viewer/pictures.js';
import * as windows from '../../dicomweb_server/web/pages/js/viewer/windows.js';

const soon = () => new Promise((resolve) => setTimeout(resolve, 0));
const linear = (center, width, kind = 'linear') => ({ center, width, kind });

test('grey levels follow PS3.3 C.11.2.1', () => {
  // The example of C.11.2.1.2.1: c=2048, w=4096 of 12 bits covers 0 to 4095
  assert.equal(windows.grey(linear(2048, 4096), 0), 0);
  assert.equal(windows.grey(linear(2048, 4096), 4095), 255);
  assert.equal(windows.grey(linear(100, 1), 99), 0);
  assert.equal(windows.grey(linear(100, 1), 100), 255);
  assert.equal(windows.grey(linear(0, 10, 'linear-exact'), 0), 127.5);
  assert.equal(windows.grey(linear(7, 3, 'sigmoid'), 7), 127.5);
});

test('a level stands for a value that is shown as that level', () => {
  for (const window of [linear(40, 400), linear(0.5, 0.1, 'linear-exact'), linear(-600, 1500, 'sigmoid')]) {
    for (const level of [1, 64, 128, 254]) {
      assert.ok(Math.abs(windows.grey(window, windows.valueOf(window, level)) - level) < 1e-6, `${window.kind} ${level}`);
    }
  }
});

test('a preview is what the other window shows, as far as the levels tell', () => {
  const same = windows.remap(linear(40, 400), linear(40, 400), false);
  assert.deepEqual([...same], Array.from({ length: 256 }, (_, level) => level));
  const narrow = windows.remap(linear(40, 400), linear(40, 200), false);
  assert.deepEqual([narrow[0], narrow[63], narrow[192], narrow[255]], [0, 0, 255, 255]);
  const inverted = windows.remap(linear(40, 400), linear(100, 400), true);
  assert.ok(inverted[128] > 128); // a higher center is darker, and here brighter
});

test('dragging right widens and dragging up brightens, and a width stays allowed', () => {
  const start = linear(40, 400);
  assert.ok(windows.dragged(start, 10, 0).width > 400);
  const brighter = windows.dragged(start, 0, -10);
  assert.ok(windows.grey(brighter, 40) > windows.grey(start, 40));
  assert.equal(windows.dragged(start, -1e6, 0).width, 1);
  assert.ok(windows.dragged(linear(0, 1e-5, 'linear-exact'), -1e6, 0).width > 0);
});

test('parameters have finite numbers of at most 16 characters', () => {
  for (const center of [-1234567.8912345, 1 / 3, 1e-12, 65535]) {
    const [c, w, kind] = windows.parameter(linear(center, 1 / 7, 'linear-exact')).split(',');
    assert.match(c, /^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/);
    assert.ok(c.length <= 16 && w.length <= 16);
    assert.equal(kind, 'linear-exact');
  }
});

test('a frame without a window is shown from its lowest to its highest value', () => {
  const frame = { bits: 16, signed: true, slope: 2, intercept: -10, padding: [-2000, -2000] };
  const found = windows.measured(Int16Array.from([-2000, -100, 0, 300]).buffer, frame);
  assert.deepEqual([found.center, found.width], [190, 800]); // -210 to 590
  assert.equal(windows.measured(Int16Array.from([-2000]).buffer, frame), null);
  assert.ok(windows.measured(Uint8Array.from([5, 5]).buffer, { ...frame, bits: 8, signed: false }).width > 0);
});

test('what is planned begins with the wanted one and looks where it is going', () => {
  const found = plan(10, 100, 1, { ahead: 8, behind: 2 });
  assert.equal(found[0], 10);
  assert.deepEqual([...found].sort((a, b) => a - b), [8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18]);
  assert.ok(found.indexOf(11) < found.indexOf(9));
  assert.ok(plan(10, 100, -1, { ahead: 8, behind: 2 }).includes(2));
  assert.deepEqual(plan(99, 100, 1, { ahead: 3, behind: 0 }), [99]);
  assert.deepEqual(plan(99, 100, 1, { ahead: 3, behind: 0, loop: true }), [99, 0, 1, 2]);
  assert.deepEqual(plan(0, 1, 1), [0]);
});

test('what was used last stays, within its bytes', () => {
  const dropped = [];
  const kept = new Recent(30, (value) => dropped.push(value));
  for (const key of ['a', 'b', 'c']) kept.put(key, key, 10);
  kept.get('a');
  kept.put('d', 'd', 10);
  assert.deepEqual([dropped, kept.bytes, kept.has('a')], [['b'], 30, true]);
  kept.put('large', 'large', 100);
  assert.deepEqual([kept.has('large'), kept.bytes], [true, 100]);
  kept.clear();
  assert.equal(kept.bytes, 0);
});

// Pictures whose answers come when the test says so.
function held(options = {}) {
  const asked = new Map();
  const told = [];
  const pictures = new Pictures({
    limit: 1000,
    tell: (key) => told.push(key),
    load: (key, signal) =>
      new Promise((resolve, reject) => {
        asked.set(key, { signal, answer: () => resolve({ picture: `picture ${key}`, bytes: 1 }), refuse: reject });
        signal.addEventListener('abort', () => reject(signal.reason));
      }),
    ...options,
  });
  return { pictures, asked, told };
}

test('no more are on their way than may be, the wanted one before the others', async () => {
  const { pictures, asked, told } = held({ abreast: 2 });
  pictures.want('pane', ['1', '2', '3', '4']);
  assert.deepEqual([...asked.keys()], ['1', '2']);
  pictures.want('pane', ['3', '2', '1', '4']);
  assert.deepEqual([...asked.keys()], ['1', '2', '3']); // although two are on their way
  asked.get('1').answer();
  await soon();
  assert.deepEqual([told, pictures.get('1')], [['1'], 'picture 1']);
});

test('what nobody wants any more is given up, and its answer is not told', async () => {
  const { pictures, asked, told } = held();
  pictures.want('pane', ['1', '2']);
  pictures.want('other', ['2']);
  pictures.want('pane', ['9']);
  assert.deepEqual([asked.get('1').signal.aborted, asked.get('2').signal.aborted], [true, false]);
  await soon();
  assert.deepEqual(told, []);
  assert.equal(pictures.problem('1'), undefined);
});

test('two panes take turns', () => {
  const { pictures, asked } = held({ abreast: 3 });
  pictures.want('left', []);
  pictures.want('right', ['r1', 'r2', 'r3', 'r4', 'r5', 'r6']);
  pictures.want('left', ['l1', 'l2', 'l3']);
  assert.ok(asked.has('l1')); // although three of the other one are on their way
});

test('a failure of the network is tried again, another one is not', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  const { pictures, asked, told } = held();
  const settle = async () => {
    for (let turn = 0; turn < 10; turn += 1) await Promise.resolve();
  };
  pictures.want('pane', ['1', '2']);
  asked.get('1').refuse(Object.assign(new Error('away'), { passing: true }));
  asked.get('2').refuse(new Error('damaged'));
  await settle();
  assert.deepEqual(told, ['1', '2']);
  assert.equal(pictures.problem('2').message, 'damaged');
  const second = asked.get('2');
  asked.delete('1');
  context.mock.timers.tick(600);
  assert.ok(asked.has('1'));
  assert.equal(asked.get('2'), second);
  asked.get('1').answer();
  await settle();
  assert.equal(pictures.problem('1'), undefined);
  pictures.retry();
  assert.notEqual(asked.get('2'), second);
});

test('closing gives everything up', async () => {
  const dropped = [];
  const { pictures, asked } = held({ drop: (picture) => dropped.push(picture) });
  pictures.want('pane', ['1', '2']);
  asked.get('1').answer();
  await soon();
  pictures.close();
  assert.ok(asked.get('2').signal.aborted);
  assert.deepEqual([dropped, pictures.coming], [['picture 1'], 0]);
});
