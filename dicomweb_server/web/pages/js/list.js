// The list of studies: search, order, pages. The address holds all of it.
import { isAbort, name, number, resource, search, text, values } from './api.js';
import { announce, button, debounce, fill, h, icon, refill } from './dom.js';
import { count, date, t, time } from './i18n.js';
import { badges, born, explained, picture } from './parts.js';
import { empty, failure } from './states.js';
import { openPanel } from './upload.js';

const PAGE = 25; // studies
const TYPING = 300; // ms without a key before what was typed is searched for
const MODALITIES = 'CR CT DOC DX ECG ES IO MG MR NM OP PT PX RF RTDOSE RTPLAN RTSTRUCT SEG SM SR US XA XC'.split(' ');
const PERIODS = { today: 0, week: 6, month: 29, year: 364 }; // days before today
const COLUMNS = [
  { key: 'patient', order: 'PatientName' },
  { key: 'study', order: 'StudyDescription' },
  { key: 'date', order: 'StudyDate', newest: true },
  { key: 'modalities' },
  { key: 'series', order: 'NumberOfStudyRelatedSeries', newest: true },
  { key: 'images', order: 'NumberOfStudyRelatedInstances', newest: true },
];
const FIELDS = ['name', 'id', 'accession', 'period', 'from', 'to', 'modality', 'sort', 'page'];
const FIRST = '-StudyDate'; // the order of the server itself

// Where the next pages begin, by search and page: the server goes on from there at no cost.
const beginnings = new Map();
const MOST_BEGINNINGS = 200;

let last = '#/';
let left = null; // {address, y, link}: how the list was left

// The address of the list as it was seen last.
export const lastSearch = () => last;

export function open(root, query) {
  const list = new List(root);
  list.start(query);
  return list;
}

class List {
  constructor(root) {
    this.root = root;
    this.abort = null;
    this.typed = debounce(() => this.change({ page: '' }, { keep: true }), TYPING);
  }

  start(query) {
    document.title = `${t('studies')} – dicomweb-server`;
    this.state = stateOf(query);
    this.results = h('div', { class: 'results' });
    fill(
      this.root,
      h('div', { class: 'list-head' }, h('h1', {}, t('studies')), (this.total = h('p', { class: 'total' }))),
      (this.form = this.searchForm()),
      this.results,
    );
    this.showState();
    // Not waited for: what is typed meanwhile is of this view already.
    this.load().then((isShown) => isShown && this.comeBack());
  }

  close() {
    left = { address: last, y: scrollY, link: document.activeElement?.getAttribute('href') };
    this.abort?.abort();
    this.typed.cancel();
  }

  // To where the list was left for a study.
  comeBack() {
    if (left?.address !== last) return;
    scrollTo(0, left.y);
    const links = [...this.results.querySelectorAll('.through')];
    links.find((link) => link.getAttribute('href') === left.link)?.focus({ preventScroll: true });
    left = null;
  }

  // Something was stored.
  refresh() {
    this.load();
  }

  // The address has changed: by us, or by the browser's buttons.
  update(query) {
    const state = stateOf(query);
    const isTyped = this.asked === location.hash;
    this.asked = null;
    if (FIELDS.some((field) => state[field] !== this.state[field])) {
      this.state = state;
      this.showState({ isTyped });
      this.load();
    }
    return true;
  }

  // Take what the form says, and `changes`, into the address. `keep`: in place of the entry there
  // is, so that a word is not as many steps back as it has letters.
  change(changes, { keep = false } = {}) {
    this.typed.cancel();
    const state = { ...this.state, ...this.formState(), ...changes };
    const query = new URLSearchParams();
    for (const field of FIELDS) if (state[field]) query.set(field, state[field]);
    const asked = String(query);
    const hash = `#/${asked && `?${asked}`}`;
    if (hash === location.hash || (hash === '#/' && !location.hash)) return;
    this.asked = hash;
    if (keep && (this.isSearch() || state.page !== this.state.page)) {
      history.replaceState(null, '', hash);
      this.update(query);
    } else location.hash = hash;
  }

  isSearch() {
    return ['name', 'id', 'accession'].some((field) => this.state[field]);
  }

  searchForm() {
    const typing = { oninput: () => this.typed(), autocomplete: 'off', spellcheck: 'false' };
    const chosen = { onchange: () => this.change({ page: '' }) };
    const input = (key, attributes) =>
      h('label', { class: `field ${key}` }, h('span', {}, t(`search.${key}`)), h('input', { name: key, ...attributes }));
    const select = (key, options) =>
      h('label', { class: `field ${key}` }, h('span', {}, t(`search.${key}`)), h('select', { name: key, ...chosen }, options));
    const modalities = MODALITIES.map((code) => h('option', { value: code }, `${code} – ${explained(code)}`));
    const periods = [...Object.keys(PERIODS), 'range'];
    const form = h(
      'form',
      { class: 'search', role: 'search', 'aria-label': t('search') },
      input('name', { type: 'search', placeholder: t('search.nameHint'), ...typing }),
      input('id', { type: 'search', ...typing }),
      input('accession', { type: 'search', ...typing }),
      select('period', [
        h('option', { value: '' }, t('period.any')),
        periods.map((key) => h('option', { value: key }, t(`period.${key}`))),
      ]),
      select('modality', [h('option', { value: '' }, t('modality.any')), modalities]),
      h(
        'div',
        { class: 'range', hidden: true },
        input('from', { type: 'date', ...chosen }),
        input('to', { type: 'date', ...chosen }),
      ),
      (this.more = button(t('more'), { class: 'plain more', glyph: 'down', 'aria-expanded': 'false', onclick: () => this.unfold() })),
      button(t('clear'), { class: 'plain clear', glyph: 'close', onclick: () => this.clear() }),
    );
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.change({ page: '' });
    });
    return form;
  }

  // On a narrow screen: the fields that are seldom needed.
  unfold(isOpen = !this.form.classList.contains('open')) {
    this.form.classList.toggle('open', isOpen);
    this.more.setAttribute('aria-expanded', String(isOpen));
  }

  formState() {
    const told = Object.fromEntries(new FormData(this.form));
    for (const key of ['name', 'id', 'accession']) told[key] = told[key].trim();
    if (told.period !== 'range') told.from = told.to = '';
    return told;
  }

  // Into the form, but for the field that is being typed in if that is where it comes from.
  showState({ isTyped = false } = {}) {
    for (const field of this.form.elements) {
      if (field.name && !(isTyped && field === document.activeElement)) field.value = this.state[field.name] ?? '';
    }
    this.form.querySelector('.range').hidden = this.state.period !== 'range';
    this.form.querySelector('.clear').hidden = !isFiltered(this.state);
    if (['id', 'accession', 'period', 'modality'].some((key) => this.state[key])) this.unfold(true);
  }

  clear() {
    this.form.reset();
    for (const field of this.form.elements) if (field.name) field.value = '';
    this.change({ page: '' });
    this.form.elements.name.focus();
  }

  async load() {
    last = location.hash || '#/';
    this.abort?.abort();
    const { signal } = (this.abort = new AbortController());
    this.results.setAttribute('aria-busy', 'true');
    if (!this.results.childElementCount) fill(this.results, waiting());
    try {
      const page = Math.max(1, Number(this.state.page) || 1);
      const found = await pageOf(this.state, page, signal);
      // The list has become shorter, or the link is old.
      if (found.items.length === 0 && page > 1) this.change({ page: '' }, { keep: true });
      else refill(this.results, this.shown(found, page));
      if (this.resorted) this.root.querySelector(this.resorted)?.focus();
      this.resorted = null;
    } catch (error) {
      if (isAbort(error)) return false;
      this.total.textContent = '';
      fill(this.results, failure(error, () => this.load(), { part: true }));
    }
    this.results.removeAttribute('aria-busy');
    return true;
  }

  shown({ items, total, next }, page) {
    const told = total === null ? '' : t('found', { n: total });
    this.total.textContent = told;
    announce(told);
    if (items.length === 0) return this.nothing();
    const start = (page - 1) * PAGE;
    return [
      this.sorting(),
      h(
        'table',
        { class: 'studies' },
        h('caption', { class: 'hidden' }, t('studies')),
        h('thead', {}, h('tr', {}, h('td', { class: 'picture' }), COLUMNS.map((column) => this.heading(column)))),
        h('tbody', {}, items.map(row)),
      ),
      this.pages(page, start + 1, start + items.length, total, next),
    ];
  }

  nothing() {
    if (isFiltered(this.state)) {
      return empty('search', t('noMatch'), t('noMatchText'), button(t('clear'), { onclick: () => this.clear() }));
    }
    return empty('upload', t('nothingStored'), t('nothingStoredText'), button(t('upload'), { class: 'primary', glyph: 'upload', onclick: () => openPanel() }));
  }

  order() {
    const order = this.state.sort || FIRST;
    return { name: order.replace('-', ''), descending: order.startsWith('-') };
  }

  heading({ key, order, newest }) {
    if (!order) return h('th', { scope: 'col', class: key }, t(`column.${key}`));
    const now = this.order();
    const isIt = now.name === order;
    const next = isIt ? !now.descending : Boolean(newest);
    const sort = `${next ? '-' : ''}${order}`;
    return h(
      'th',
      { scope: 'col', class: key, 'aria-sort': isIt ? (now.descending ? 'descending' : 'ascending') : null },
      h(
        'button',
        { type: 'button', class: 'sort', dataset: { sort: key }, onclick: () => this.resort(sort, `[data-sort="${key}"]`) },
        h('span', {}, t(`column.${key}`)),
        isIt && icon(now.descending ? 'down' : 'up'),
      ),
    );
  }

  // For narrow screens, which have no headings.
  sorting() {
    const choices = COLUMNS.filter(({ order }) => order).flatMap(({ key, order }) =>
      [order, `-${order}`].map((value) =>
        h('option', { value, selected: value === (this.state.sort || FIRST) }, `${t(`column.${key}`)} ${value === order ? '↑' : '↓'}`),
      ),
    );
    const choice = h('select', { name: 'order', onchange: () => this.resort(choice.value, '[name=order]') }, choices);
    return h('label', { class: 'field sorting' }, h('span', {}, t('sortBy')), choice);
  }

  resort(sort, chosen) {
    this.resorted = chosen; // it is drawn anew, and keeps the focus
    this.change({ sort: sort === FIRST ? '' : sort, page: '' });
  }

  pages(page, first, last, total, next) {
    if (page === 1 && !next) return null;
    const turn = (label, glyph, to, isThere) =>
      button(label, { glyph, quiet: true, disabled: !isThere, onclick: () => this.turn(to) });
    const many = total === null ? `${count(first)}–${count(last)} …` : t('pageOf', { first, last, n: total });
    return h(
      'nav',
      { class: 'pages', 'aria-label': t('pages') },
      turn(t('firstPage'), 'first', 1, page > 1),
      turn(t('previousPage'), 'previous', page - 1, page > 1),
      h('span', {}, many),
      turn(t('nextPage'), 'next', page + 1, Boolean(next)),
    );
  }

  turn(page) {
    this.change({ page: page > 1 ? String(page) : '' });
    this.root.querySelector('h1').tabIndex = -1;
    this.root.querySelector('h1').focus();
    scrollTo(0, 0);
  }
}

const stateOf = (query) => Object.fromEntries(FIELDS.map((field) => [field, query.get(field) ?? '']));

const isFiltered = (state) => ['name', 'id', 'accession', 'period', 'modality'].some((field) => state[field]);

// One page of studies. What lies beyond the first is asked for by where the last one ended, if
// that is known, else by its number.
async function pageOf(state, page, signal) {
  const parameters = parametersOf(state);
  const key = JSON.stringify(parameters);
  const known = page > 1 ? beginnings.get(`${page} ${key}`) : null;
  const byNumber = () => search(['studies'], { ...parameters, limit: PAGE, offset: (page - 1) * PAGE || '' }, { signal });
  const found = known
    ? await search([], {}, { signal, address: known.address }).catch((error) => {
        if (error.status !== 400) throw error;
        beginnings.delete(`${page} ${key}`); // it begins elsewhere by now
        return byNumber();
      })
    : await byNumber();
  if (known) found.total ??= known.total;
  if (found.next) {
    if (beginnings.size >= MOST_BEGINNINGS) beginnings.delete(beginnings.keys().next().value);
    beginnings.set(`${page + 1} ${key}`, { address: found.next, total: found.total });
  }
  return found;
}

function parametersOf(state) {
  const parameters = {};
  if (state.name) {
    parameters.PatientName = state.name;
    parameters.fuzzymatching = true;
  }
  if (state.id) parameters.PatientID = beginning(state.id);
  if (state.accession) parameters.AccessionNumber = beginning(state.accession);
  if (state.modality) parameters.ModalitiesInStudy = state.modality;
  parameters.StudyDate = dates(state);
  parameters.orderby = state.sort;
  parameters.includefield = 'StudyDescription';
  return parameters;
}

const beginning = (value) => (/[*?]/.test(value) ? value : `${value}*`);

function dates({ period, from, to }) {
  if (period === 'range') {
    const [low, high] = [from, to].map((day) => day.replaceAll('-', ''));
    return low || high ? `${low}-${high}` : '';
  }
  if (!(period in PERIODS)) return '';
  const today = new Date();
  const first = new Date(today.getFullYear(), today.getMonth(), today.getDate() - PERIODS[period]);
  return `${da(first)}-${da(today)}`;
}

function da(day) {
  const parts = [day.getFullYear(), day.getMonth() + 1, day.getDate()];
  return parts.map((part) => String(part).padStart(2, '0')).join('');
}

function row(study) {
  const uid = text(study, '0020000D');
  const patient = name(study) || t('noName');
  const described = text(study, '00081030');
  const modalities = values(study, '00080061');
  const when = text(study, '00080020');
  const details = [text(study, '00100020'), born(study)].filter(Boolean);
  const cell = (key, ...children) => h('td', { class: key }, children);
  const images = number(study, '00201208') ?? 0;
  return h(
    'tr',
    {},
    h('td', { class: 'picture' }, picture(resource({ study: uid }, 'thumbnail'))),
    cell(
      'patient',
      h('a', { href: `#/study/${uid}`, class: 'through', dir: 'auto' }, patient),
      h('small', {}, details.join(' · ')),
    ),
    cell('study', h('span', {}, described || t('noDescription')), h('small', {}, text(study, '00080050'))),
    cell('date', h('span', {}, when ? date(when) : '–'), h('small', {}, time(text(study, '00080030')))),
    cell('modalities', badges(modalities)),
    cell('series', count(number(study, '00201206') ?? 0)),
    // In words where there are no headings.
    h('td', { class: 'images', dataset: { label: t('objects', { n: images }) } }, h('span', {}, count(images))),
  );
}

function waiting() {
  const line = h('span', { class: 'ghost' });
  return h('div', { class: 'waiting' }, h('p', { class: 'hidden' }, t('loading')), Array.from({ length: 6 }, () => line.cloneNode()));
}
