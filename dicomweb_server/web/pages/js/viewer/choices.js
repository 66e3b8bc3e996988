// Which series there are to choose, how they are called, and which one to begin with.
import { Problem, number, text } from '../api.js';
import { h } from '../dom.js';
import { t } from '../i18n.js';

export function choice(label, options, selected, choose) {
  const made = h('select', { 'aria-label': label, title: label }, options.map(([value, written]) => h('option', { value, selected: String(value) === String(selected) }, written)));
  made.addEventListener('change', () => choose(made.value));
  return made;
}

export function seriesTitle(item) {
  const order = number(item, '00200011');
  return [order === null ? '' : `${order}.`, text(item, '0008103E') || text(item, '00080060') || t('noDescription')].filter(Boolean).join(' ');
}

export function stackTitle({ phases, document }, place) {
  if (document) return document.title || t(`kind.${document.kind === 'nothing' ? 'file' : document.kind}`);
  return t('vStackOf', { n: place + 1, images: phases.reduce((sum, frames) => sum + frames.length, 0) });
}

// The series to begin with: the one that is named, else the first with pictures.
export function pickSeries({ series }, wanted) {
  const named = series.find(({ uid }) => uid === wanted);
  const shown = series.find(({ item }) => !['SR', 'KO', 'PR', 'RTSTRUCT', 'RTPLAN', 'REG', 'SEG', 'DOC'].includes(text(item, '00080060')));
  const found = named ?? shown ?? series[0];
  if (!found) throw new Problem(404, '', '');
  return found;
}

// The series of another study that is most like the one that is shown.
export function likeSeries(study, shown) {
  const alike = ({ item }) => ['00080060', '0008103E', '00180015', '00201209'].reduce((sum, tag, place) => sum + (text(item, tag) === text(shown?.item, tag) ? 8 >> place : 0), 0);
  return [...study.series].sort((a, b) => alike(b) - alike(a))[0] ?? pickSeries(study);
}
