// What is written over a picture. It tells of the picture that is painted, and of no other.
import { text } from '../api.js';
import { h } from '../dom.js';
import { count, date, t } from '../i18n.js';
import { axes, dot, edges, letters, normal, scaleBar, sizeAcross } from './geometry.js';

const PLACES = ['study', 'slice', 'window', 'place', 'left', 'right', 'top', 'bottom'];
const number = (value, digits = 1) => count(Number(value.toFixed(digits)));

export class Overlay {
  constructor() {
    this.parts = Object.fromEntries(PLACES.map((place) => [place, h('div', { class: `v-${place}` })]));
    this.bar = h('div', { class: 'v-bar' });
    this.length = h('span');
    this.scale = h('div', { class: 'v-scale' }, this.bar, this.length);
    this.element = h('div', { class: 'v-text', 'aria-hidden': 'true' }, Object.values(this.parts), this.scale);
  }

  study(study, series) {
    const lines = [date(text(study, '00080020')), text(study, '00081030'), text(series, '0008103E')];
    this.parts.study.replaceChildren(...lines.filter(Boolean).map((line) => h('div', {}, line)));
  }

  // `painted` {frame, length, phases, window, exact}; null while nothing is to be seen.
  picture(painted) {
    const { frame, length, phases, window, exact } = painted ?? {};
    const { slice, window: corner, place } = this.parts;
    slice.replaceChildren(...(frame ? [h('b', {}, `${frame.index + 1} / ${length}`), phases > 1 && h('div', {}, t('vPhaseOf', { n: frame.phase + 1, all: phases }))].filter(Boolean) : []));
    corner.textContent = frame?.grey ? windowText(window, frame, exact) : '';
    place.replaceChildren(...(frame ? placeTexts(frame).map((line) => h('div', {}, line)) : []));
  }

  view(frame, view, room) {
    const lies = frame && (axes(frame.orientation) ?? frame.sides);
    const told = lies ? edges(lies, view.turn) : {};
    for (const edge of ['left', 'right', 'top', 'bottom']) this.parts[edge].textContent = told[edge] ?? '';
    const bar = frame?.spacing && scaleBar(sizeAcross(frame, view), Math.min(160, room.width / 3));
    this.scale.hidden = !bar;
    if (!bar) return;
    this.bar.style.width = `${bar.length}px`;
    const size = bar.mm >= 10 ? `${number(bar.mm / 10)} cm` : `${number(bar.mm, 3)} mm`;
    this.length.textContent = frame.where === 'detector' ? `${size} (${t('vAtDetector')})` : size;
  }
}

export const windowText = (window, frame, exact) => {
  if (!window) return frame.lut ? frame.lut : t('vAutomatic');
  const numbers = t('vCentreWidth', { center: number(window.center), width: number(window.width) });
  return `${exact ? '' : '≈ '}${window.name ? `${windowName(window)}: ` : ''}${numbers}`;
};

// Ours have names in every language; those of a file are as they stand there.
export function windowName({ name, own }) {
  return own ? t(`vWindow.${name}`) : name;
}

function placeTexts(frame) {
  const texts = [];
  const lies = frame.position && axes(frame.orientation);
  if (lies) {
    const along = normal(lies);
    const main = along.map(Math.abs).indexOf(Math.max(...along.map(Math.abs)));
    const at = dot(frame.position, along) * Math.sign(along[main]);
    const side = letters([0, 1, 2].map((axis) => (axis === main ? Math.sign(at) : 0)));
    texts.push(`${side} ${number(Math.abs(at))} mm`);
  }
  if (frame.thickness) texts.push(t('vThick', { mm: number(frame.thickness, 2) }));
  return texts;
}
