// What keys do, on the keyboards of those who read the page.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { actionOf } from '../../dicomweb_server/web/pages/js/viewer/keys.js';

const within = (...selectors) => ({ closest: (wanted) => wanted.split(', ').some((one) => selectors.includes(one)) });
const pressed = (key, code, more = {}) => actionOf({ key, code, target: within(), ...more });

test('brackets are keys where they are written with Alt or AltGr', () => {
  assert.deepEqual(pressed('[', 'BracketLeft'), { action: 'phaseBack' });
  assert.deepEqual(pressed('[', 'BracketLeft', { ctrlKey: true, altKey: true }), { action: 'phaseBack' }); // Windows
  assert.deepEqual(pressed(']', 'Digit6', { altKey: true }), { action: 'phaseOn' }); // a Mac
  assert.equal(pressed('[', 'BracketLeft', { ctrlKey: true }), null); // back, of Firefox
  assert.equal(pressed('[', 'BracketLeft', { metaKey: true }), null); // and of Safari
  assert.equal(pressed('x', 'KeyX', { altKey: true }), null);
});

test('digits are keys by their place, but for the minus that is there on French keyboards', () => {
  assert.deepEqual(pressed('&', 'Digit1'), { action: 'preset', n: 1 });
  assert.deepEqual(pressed('6', 'Digit6', { shiftKey: true }), { action: 'preset', n: 6 });
  assert.deepEqual(pressed('-', 'Digit6'), { action: 'zoomOut' });
});

test('keys that scroll a document are left to it', () => {
  for (const key of ['ArrowDown', 'PageDown', 'Home']) assert.equal(actionOf({ key, target: within('.v-document') }), null);
  assert.deepEqual(actionOf({ key: 'n', target: within('.v-document') }), { action: 'seriesOn' });
});
