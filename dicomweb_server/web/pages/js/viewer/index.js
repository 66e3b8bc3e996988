// The image viewer: one study, or two beside each other.
import { isAbort, name, text, values, Problem } from '../api.js';
import { announce, fill, h } from '../dom.js';
import { savePicture } from '../download.js';
import { date, t } from '../i18n.js';
import { wordFor } from '../states.js';
import { Around } from './around.js';
import { choice, likeSeries, pickSeries, seriesTitle, stackTitle } from './choices.js';
import { Cine } from './cine.js';
import { actionOf, openHelp } from './keys.js';
import * as linking from './linking.js';
import { MOVES } from './moves.js';
import { Pane } from './pane.js';
import { Pictures } from './pictures.js';
import { address, loadOthers, loadPicture, loadStudy } from './series.js';
import { Tools, presetsOf } from './tools.js';

// Decoded pictures that are kept; a phone has less.
const memory = () => ((navigator.deviceMemory ?? 4) < 4 || innerWidth < 700 ? 96 : 320) << 20;

// Show `studies`, one or two; `series` and `instance` are of the first one, and begun with.
// Raises Problem if the first cannot be had. Gives {close()}.
export async function open(root, { studies, series, instance, onClose }) {
  const viewer = new Viewer(root, onClose);
  try {
    await viewer.load(studies, series, instance);
  } catch (error) {
    viewer.close();
    throw error;
  }
  return viewer;
}

export class Viewer {
  constructor(root, onClose) {
    Object.assign(this, { root, onClose, panes: [], tool: 'scroll', linked: true, viewLinked: false, offsets: [0, 0], isBare: false });
    this.isRailOpen = innerWidth >= 960;
    this.memory = memory();
    this.abort = new AbortController();
    this.studies = new Map(); // uid → what loadStudy() gives
    this.others = []; // data sets of the patient's other studies
    this.pictures = new Pictures({
      load: loadPicture,
      tell: (key) => this.panes.forEach((pane) => pane.arrived(key)),
      limit: this.memory,
      drop: (bitmap) => bitmap.close(),
    });
    this.cine = new Cine(() => this.updateTools());
    addEventListener('keydown', (this.onKey = (event) => this.key(event)));
    addEventListener('online', (this.onLine = () => this.pictures.retry()));
  }

  close() {
    this.cine.stop();
    removeEventListener('keydown', this.onKey);
    removeEventListener('online', this.onLine);
    this.abort.abort();
    clearTimeout(this.telling);
    for (const pane of this.panes) pane.close();
    this.panes = [];
    this.pictures.close();
    this.help?.close();
  }

  async load(uids, series, instance) {
    const [uid, other] = uids;
    // That of the second is told in its own pane
    const [first, second] = await Promise.all([this.study(uid), other && this.study(other).catch(() => null)]);
    if (!this.root.isConnected) return; // another view has come meanwhile
    this.around = new Around(this);
    this.field = h('div', { class: 'v-panes' });
    this.tools = new Tools(this);
    fill(this.root, (this.element = h('div', { class: 'viewer' }, this.around.banner, this.tools.element, h('div', { class: 'v-body' }, this.around.rail, this.field))));
    const main = this.addPane();
    main.open(first, pickSeries(first, series), instance);
    if (other) this.beside(main, other, second);
    this.activate(main);
    loadOthers(first, this.abort.signal)
      .then((others) => {
        this.others = others;
        this.panes.forEach((pane) => this.showChoices(pane));
      })
      .catch(() => {}); // without them there is nothing to compare with but this study
  }

  // Raises Problem.
  async study(uid) {
    if (!this.studies.has(uid)) {
      const found = await loadStudy(uid, this.abort.signal);
      if (!found.study) throw new Problem(404, '', '');
      this.studies.set(uid, found);
    }
    return this.studies.get(uid);
  }

  // A second pane with the study `uid`, which is `study` if that has been loaded.
  async beside(pane, uid, study) {
    const second = this.addPane();
    Object.assign(second, { study: pane.study, series: pane.series }); // to find the like of
    if (study) second.open(study, likeSeries(study, pane.series));
    else await this.switchStudy(second, uid);
  }

  // --- panes ---

  addPane() {
    const pane = new Pane(this, t('vPane', { n: this.panes.length + 1 }));
    this.panes.push(pane);
    this.field.append(pane.element);
    this.field.classList.toggle('v-two', this.panes.length > 1);
    return pane;
  }

  activate(pane) {
    if (this.active === pane) return;
    this.active = pane;
    for (const each of this.panes) each.element.classList.toggle('v-active', each === pane && this.panes.length > 1);
    if (this.cine.playing && this.cine.pane !== pane) this.cine.stop();
    this.around.show();
    this.updateTools();
  }

  get other() {
    return this.panes.find((pane) => pane !== this.active);
  }

  // What a pane shows is another, or is shown another way.
  changed(pane) {
    if (pane.closed) return;
    this.showChoices(pane);
    if (pane === this.active) {
      if (pane.current) this.cine.rate = this.rated ?? Math.min(60, Math.max(1, Math.round(pane.current.rate ?? 10)));
      if (this.cine.playing && pane.length() < 2) this.cine.stop();
    }
    this.around.show(); // the banner tells whether both are of one patient
    const shown = this.panes.map(({ series, stack }) => `${series?.uid}/${stack}`).join();
    if (this.shownSeries !== shown) {
      this.shownSeries = shown;
      this.offsets = [0, 0];
    }
    this.updateTools();
  }

  scrolled(pane) {
    const other = this.panes.find((each) => each !== pane);
    if (!other || !this.linked || !other.length() || !pane.length()) return;
    const offset = this.offsets[this.panes.indexOf(pane)];
    other.goTo(linking.partner(pane.list(), pane.at(), other.list(), offset), { isFollowing: true });
  }

  // Zoom, place and turn of one pane, and its window, are those of the other if that is wished.
  viewed(pane) {
    const other = this.panes.find((each) => each !== pane);
    if (other && this.viewLinked && !other.closed) other.follow(pane);
  }

  windowed(pane) {
    const other = this.panes.find((each) => each !== pane);
    const [from, to] = [pane.frame(), other?.frame()];
    if (!this.viewLinked || !from?.grey || !to?.grey || other.closed) return;
    const window = pane.contrast.choice && pane.contrast.effective(from);
    if (pane.contrast.choice && !window) return; // of a table, which the other has not
    const { center, width, kind, name, own } = window ?? {};
    other.contrast.choose(window ? { center, width, kind, name: own ? name : '', own } : null, { isFollowing: true });
  }

  // A series that is new here begins beside what the other pane shows.
  align(pane) {
    const other = this.panes.find((each) => each !== pane);
    if (!other || !this.linked || !other.length() || !pane.length()) return;
    pane.goTo(linking.partner(other.list(), other.at(), pane.list()), { isFollowing: true });
  }

  painted(pane) {
    this.showHeld(pane);
    if (pane !== this.active || this.cine.playing) return;
    clearTimeout(this.telling);
    this.telling = setTimeout(() => {
      const { frame, length } = pane.painted ?? {};
      if (frame) announce(t('vOf', { n: frame.index + 1, all: length }));
    }, 700);
  }

  showHeld(pane) {
    if (pane === this.active && this.presetsFor !== pane.frame()) {
      this.presetsFor = pane.frame();
      if (!this.cine.playing) this.tools.showPresets(pane);
    }
  }

  // --- what is chosen ---

  show(series) {
    const { study } = this.active;
    const found = study.series.find(({ uid }) => uid === series);
    if (found) this.active.open(study, found);
    if (innerWidth < 700) this.do('series');
  }

  // Above each pane: which study, series, stack and phase.
  showChoices(pane) {
    const { study, series, stacks, current } = pane;
    if (!study) return;
    const listed = new Map([...this.studies.values()].map((each) => [each.uid, each.study]));
    for (const item of this.others) listed.set(text(item, '0020000D'), item);
    const differ = new Set([...listed.values()].map((item) => text(item, '00100020') + name(item))).size > 1;
    if (pane.wanted && !listed.has(pane.wanted)) listed.set(pane.wanted, {}); // gone, or nothing is known of it yet
    const titled = (item) => [date(text(item, '00080020')), text(item, '00081030') || values(item, '00080061').join(' '), differ && name(item)].filter(Boolean).join(' · ') || '–';
    const parts = [];
    if (this.panes.length > 1 || listed.size > 1) {
      parts.push(choice(t('vStudy'), [...listed].map(([uid, item]) => [uid, titled(item)]), pane.wanted ?? study.uid, (uid) => this.switchStudy(pane, uid)));
    }
    if (study.series.length > 1) parts.push(
      choice(t('vSeries'), study.series.map(({ uid, item }) => [uid, seriesTitle(item)]), series.uid, (uid) => pane.open(study, study.series.find((each) => each.uid === uid))),
    );
    if (stacks.length > 1) parts.push(choice(t('vStack'), stacks.map((stack, place) => [place, stackTitle(stack, place)]), pane.stack, (place) => pane.pick(Number(place))));
    if (current?.phases.length > 1 && current.phases[0].length > 1) {
      const ways = [['slices', t('vSlices')], ['phases', t('vPhases', { n: current.phases.length })]];
      parts.push(choice(t('vAlong'), ways, pane.along, (along) => this.setAlong(pane, along)));
    }
    const label = parts.map(({ value }) => value).join();
    if (pane.choicesShown === label && parts.length === pane.choices.childElementCount && !this.choicesStale(pane, parts)) return;
    pane.choicesShown = label;
    const focused = [...pane.choices.children].find((one) => one === document.activeElement)?.title;
    fill(pane.choices, parts);
    parts.find(({ title }) => title === focused)?.focus();
  }

  choicesStale = (pane, parts) => parts.some((part, place) => part.length !== pane.choices.children[place].length);

  // Of several that are chosen one after the other the last is shown. What was there before does not
  // stay under its name while it is on its way.
  async switchStudy(pane, uid) {
    pane.wanted = uid;
    pane.leave(t('loading'));
    this.changed(pane);
    try {
      const study = await this.study(uid);
      if (!pane.closed && pane.wanted === uid) pane.open(study, likeSeries(study, pane.series));
    } catch (error) {
      if (!isAbort(error) && !pane.closed && pane.wanted === uid) pane.leave(t(wordFor(error)), () => this.switchStudy(pane, uid));
    }
  }

  setAlong(pane, along) {
    pane.along = along;
    pane.flush();
    this.changed(pane);
  }

  updateTools() {
    const { tool, cine, linked, viewLinked, panes, isBare, isRailOpen } = this;
    if (!this.active || !this.tools) return;
    const state = { tool, playing: cine.playing, rate: cine.rate, linked, viewLinked, compared: panes.length > 1, isBare, isRailOpen };
    this.tools.update(this.active, state);
  }

  // --- what tools and keys do ---

  key(event) {
    const found = actionOf(event);
    if (!found || !this.active || document.querySelector('dialog[open]')) return;
    event.preventDefault();
    this.do(found.action, found.n);
  }

  do(action, n) {
    const pane = this.active;
    const did = this[`on_${action}`] ?? MOVES[action];
    if (did) did.call(this, pane, n);
    else pane[action]();
  }

  setTool(tool) {
    this.tool = tool;
    this.updateTools();
  }

  setRate(rate) {
    this.rated = rate;
    this.cine.rate = rate;
  }

  choose(choice) {
    if (choice && !choice.isOwn) this.active.contrast.choose(choice.stored === 0 ? null : choice);
  }

  on_preset(pane, n) {
    const choice = presetsOf(pane.frame())[n - 1];
    this.choose(choice);
    if (choice) announce(choice.own ? t(`vWindow.${choice.name}`) : choice.name);
  }

  on_play(pane) {
    if (this.cine.playing) this.cine.stop();
    else if (pane.length() > 1) this.cine.start(pane);
  }

  on_invert(pane) {
    pane.contrast.invert(!pane.contrast.inverted);
  }

  on_text() {
    this.isBare = !this.isBare;
    this.element.classList.toggle('v-bare', this.isBare);
    this.updateTools();
  }

  // The whole image as it is painted, at its full size; its name is no patient's.
  on_save(pane) {
    const { painted, contrast } = pane;
    if (!painted) return;
    const { frame, window } = painted;
    const name = frame.frame > 1 ? `${frame.instance}-${frame.frame}` : frame.instance;
    savePicture(address(frame, { window }), name, contrast.inverted).catch((error) => {
      announce(t(wordFor(error)));
      pane.mention(t(wordFor(error)));
    });
  }

  on_series() {
    this.isRailOpen = !this.isRailOpen;
    this.around.show();
    this.updateTools();
  }

  on_link() {
    if (this.panes.length < 2) return;
    this.linked = !this.linked;
    // Linked again they keep the distance at which they were put
    const [a, b] = this.panes.map((each) => [each.list(), each.at()]);
    if (this.linked) this.offsets = [linking.shift(...a, ...b), linking.shift(...b, ...a)];
    announce(t(this.linked ? 'vLinked' : 'vUnlinked'));
    this.updateTools();
  }

  on_linkView() {
    if (this.panes.length < 2) return;
    this.viewLinked = !this.viewLinked;
    announce(t(this.viewLinked ? 'vViewLinked' : 'vViewUnlinked'));
    if (this.viewLinked) {
      this.viewed(this.active);
      if (this.active.contrast.choice) this.windowed(this.active);
    }
    this.updateTools();
  }

  on_measure() {
    this.setTool(this.tool === 'measure' ? 'scroll' : 'measure');
    announce(t(`vDo.${this.tool}`));
  }

  // A second pane: the newest earlier study, else this one again.
  async on_compare(pane) {
    if (this.panes.length > 1) {
      this.other.close();
      this.other.element.remove();
      this.shownSeries = null; // at what distance they were linked is over
      this.panes = [pane];
      this.field.classList.remove('v-two');
      pane.element.classList.remove('v-active');
    } else {
      const when = text(pane.study.study, '00080020');
      // Of one name, too: a Patient ID alone is sometimes another one's
      const isPrior = (item) => text(item, '0020000D') !== pane.study.uid && name(item) === name(pane.study.study);
      const others = this.others.filter(isPrior);
      const prior = others.find((item) => text(item, '00080020') <= when) ?? others[0];
      pane.element.classList.add('v-active');
      if (prior) await this.beside(pane, text(prior, '0020000D'));
      else this.addPane().open(pane.study, pane.series);
      if (this.panes.length < 2) return; // it has been closed meanwhile
    }
    this.panes.forEach((each) => this.showChoices(each));
    this.around.show();
    this.updateTools();
  }

  on_otherPane() {
    this.other?.stage.focus();
  }

  on_seriesOn(pane, by = 1) {
    const { series } = pane.study;
    const at = series.indexOf(pane.series) + by;
    if (series[at]) pane.open(pane.study, series[at]);
  }

  on_seriesBack(pane) {
    this.on_seriesOn(pane, -1);
  }

  on_help() {
    this.help = openHelp();
  }
}
