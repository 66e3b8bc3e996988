// What keys do, in the order in which the help tells it. Each: key, name of the action, and what
// is written on the key where that is another.
import { dialog } from '../about.js';
import { h } from '../dom.js';
import { t } from '../i18n.js';

export const KEYS = [
  ['ArrowUp', 'previous', '↑ ←'], ['ArrowLeft', 'previous'],
  ['ArrowDown', 'next', '↓ →'], ['ArrowRight', 'next'],
  ['PageUp', 'back10'], ['PageDown', 'on10'], ['Home', 'first'], ['End', 'last'],
  ['[', 'phaseBack'], [']', 'phaseOn'], ['p', 'along'],
  [' ', 'play', '␣'], ['w', 'brighter'], ['s', 'darker'], ['a', 'moreContrast'], ['d', 'lessContrast'],
  ['1', 'preset', '1 … 9'], ['i', 'invert'],
  ['+', 'zoomIn'], ['-', 'zoomOut'], ['f', 'fit'], ['o', 'actual'],
  ['Shift+ArrowUp', 'panUp', '⇧ ↑ ↓ ← →'], ['Shift+ArrowDown', 'panDown'], ['Shift+ArrowLeft', 'panLeft'], ['Shift+ArrowRight', 'panRight'],
  ['m', 'measure'], ['Enter', 'point', '↵'], ['Backspace', 'unmeasure', '⌫'], ['Delete', 'unmeasure'],
  ['r', 'rotate'], ['h', 'flipSides'], ['v', 'flipUpDown'], ['x', 'reset'],
  ['n', 'seriesOn'], ['b', 'seriesBack'], ['c', 'compare'], ['q', 'otherPane'], ['l', 'link'], ['k', 'linkView'],
  ['t', 'text'], ['?', 'help'],
];

const ACTIONS = new Map(KEYS.map(([key, action]) => [key, action]));

// The key that an action has, for what buttons tell; and for aria-keyshortcuts.
export const keyOf = (action) => KEYS.find(([, name]) => name === action)?.[0];

// The action of a keydown and its number; null where the key is of no action, or means another
// thing where it was pressed.
export function actionOf(event) {
  const { target, key, code } = event;
  // Brackets want Alt or AltGr, which is Ctrl and Alt, on Italian, French and German keyboards
  const isBracket = event.altKey && (key === '[' || key === ']');
  if (event.metaKey || event.defaultPrevented || ((event.ctrlKey || event.altKey) && !isBracket)) return null;
  if (target.closest('dialog, select, input:not([type=range]), textarea, video')) return null;
  if (target.closest('input, .v-document') && /^(Arrow|Page|Home|End)/.test(key)) return null;
  if ((key === ' ' || key === 'Enter') && target.closest('button, a, input')) return null;
  // By its place: digits of French keyboards want Shift, and one is the minus without
  const digit = /^(?:Digit|Numpad)([1-9])$/.exec(code);
  if (digit && !isBracket && key !== '-') return { action: 'preset', n: Number(digit[1]) };
  const isArrow = event.shiftKey && key.startsWith('Arrow');
  const action = ACTIONS.get(isArrow ? `Shift+${key}` : key === '=' ? '+' : key.length === 1 ? key.toLowerCase() : key);
  return action ? { action } : null;
}

export function openHelp() {
  const seen = new Set();
  const rows = KEYS.filter(([, action]) => !seen.has(action) && seen.add(action) && !['panDown', 'panLeft', 'panRight'].includes(action)).map(([key, action, written]) =>
    h('div', {}, h('dt', {}, h('kbd', {}, written ?? (key.length === 1 ? key.toUpperCase() : t(`vKey.${key}`)))), h('dd', {}, t(`vDo.${action}`))),
  );
  const box = dialog(
    t('vDo.help'),
    'v-help',
    h('p', { class: 'warning' }, h('strong', {}, t('notForDiagnosis')), ' ', t('notForDiagnosisText')),
    h('ul', {}, ['mouse', 'touch'].map((kind) => h('li', {}, t(`vHelp.${kind}`)))),
    h('dl', { class: 'v-keys' }, rows),
  );
  // It is longer than most screens: keys scroll it
  const body = box.querySelector('.dialog-body');
  for (const [key, value] of Object.entries({ tabindex: '0', role: 'region', 'aria-label': t('vDo.help') })) body.setAttribute(key, value);
  return box;
}
