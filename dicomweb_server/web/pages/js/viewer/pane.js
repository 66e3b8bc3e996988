// One pane: a series of a study, the slice that is wanted, and the picture that is painted. The
// two may differ for a moment; what is written on the pane is always that of the painted one.
import { Problem, isAbort, text } from '../api.js';
import { clear, showIn } from '../document.js';
import { fill, h } from '../dom.js';
import { date, t } from '../i18n.js';
import { wordFor } from '../states.js';
import { Contrast } from './contrast.js';
import { UPRIGHT, fitScale, fitted, flipSides, flipUpDown, likewise, moved, rotate, zoomed } from './geometry.js';
import { listen } from './gestures.js';
import { Lengths } from './lengths.js';
import { partner } from './linking.js';
import { Overlay } from './overlay.js';
import { plan } from './pictures.js';
import { Screen } from './screen.js';
import { address, loadSeries } from './series.js';
import { Sharper } from './sharper.js';
import { find } from './stacks.js';

const PATIENCE = 200; // ms that an older slice may stand while another one is wanted
const SETTLED = 250; // ms without a change of size before pictures for it are asked for
const MENTIONED = 4000; // ms that a word over a picture is to be read
const AHEAD = 24;

export class Pane {
  constructor(viewer, title) {
    Object.assign(this, { viewer, stacks: [], stack: 0, phase: 0, index: 0, direction: 1, along: 'slices' });
    Object.assign(this, { view: UPRIGHT, painted: null, study: null, series: null });
    this.planned = new Map(); // key → frame
    this.screen = new Screen();
    this.overlay = new Overlay();
    this.lengths = new Lengths(this);
    this.sharper = new Sharper(this);
    this.message = h('p', { class: 'v-message', hidden: true });
    this.document = h('div', { class: 'v-document holder', hidden: true });
    this.stage = h('div', { class: 'v-stage', tabindex: 0, role: 'group', 'aria-label': title }, this.screen.base, this.screen.detail, this.lengths.element, this.overlay.element, this.message, this.document, h('p', { class: 'v-warning' }, t('notForDiagnosis')));
    this.contrast = new Contrast(this);
    this.slider = h('input', { type: 'range', class: 'v-slider', min: 1, step: 1, 'aria-label': t('vSlice'), oninput: () => this.goTo(this.slider.value - 1) });
    this.choices = h('div', { class: 'v-choices' });
    this.element = h('section', { class: 'v-pane', 'aria-label': title }, this.choices, this.stage, this.slider);
    this.element.addEventListener('focusin', () => this.activate());
    listen(this.stage, this, () => viewer.tool);
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(this.stage);
  }

  close() {
    this.abort?.abort();
    this.observer.disconnect();
    for (const timer of ['blanking', 'resizing']) clearTimeout(this[timer]);
    cancelAnimationFrame(this.frameHandle);
    this.viewer.pictures.want(this, []);
    this.contrast.close();
    this.sharper.close();
    clear(this.document);
    this.closed = true;
  }

  activate = () => this.viewer.activate(this);

  // --- what is shown ---

  // Show a series; `instance` is the one to begin with. Nothing of another one stays, nor does a study
  // that was chosen before and is still on its way come instead.
  async open(study, series, instance) {
    this.abort?.abort();
    this.abort = new AbortController();
    const { signal } = this.abort;
    Object.assign(this, { study, series, stacks: [], wanted: null });
    this.contrast.forget();
    this.blank(t('loading'));
    this.viewer.changed(this);
    try {
      const found = await loadSeries(study.uid, series.uid, signal);
      if (signal.aborted) return;
      if (!found.length) throw new Problem(404, '', '');
      this.stacks = found;
      const place = instance && find(found, instance);
      this.pick(place?.stack ?? 0, place);
    } catch (error) {
      if (isAbort(error) || signal.aborted) return;
      if (!(error instanceof Problem)) console.error(error);
      const word = wordFor(error);
      this.blank(t(word === 'failed' ? 'vNoSeries' : word), () => this.open(study, series, instance));
    }
  }

  // Nothing of what was shown stays: another study is wanted.
  leave(message, retry) {
    this.abort?.abort();
    this.stacks = [];
    this.blank(message, retry);
    this.overlay.study(null, null);
  }

  // Show a stack: its middle, or of what has no places its beginning.
  pick(stack, place) {
    this.stack = stack;
    const { phases, spatial, document } = this.stacks[stack];
    this.phase = place?.phase ?? 0;
    this.index = place?.index ?? (spatial ? Math.floor((phases[0].length - 1) / 2) : 0);
    this.along = phases.length > 1 && phases[0].length === 1 ? 'phases' : 'slices';
    this.view = UPRIGHT;
    this.blank('');
    this.document.hidden = !document;
    if (document) this.showDocument(document);
    else this.resized();
    this.viewer.changed(this);
    if (!place) this.viewer.align(this);
  }

  showDocument({ instance, kind, title }) {
    const uids = { study: this.study.uid, series: this.series.uid, instance };
    if (['report', 'pdf', 'video', 'wave'].includes(kind)) showIn(this.document, uids, kind, title || t(`kind.${kind}`));
    else this.blank(t('vNoPicture'));
  }

  blank(message, retry) {
    clearTimeout(this.blanking);
    this.stage.classList.remove('v-waiting');
    this.painted = null;
    this.screen.clear();
    delete this.stage.dataset.slice;
    clear(this.document);
    this.document.hidden = true;
    this.slider.disabled = true;
    this.overlay.study(this.study?.study, this.series?.item);
    this.overlay.picture(null);
    this.overlay.view(null, this.view, this.room);
    this.lengths.draw();
    this.viewer.pictures.want(this, []);
    this.say(message, retry);
  }

  say(message, retry) {
    this.message.hidden = !message;
    fill(this.message, message, retry && h('button', { class: 'button', type: 'button', onclick: retry }, t('retry')));
  }

  // Say it over the picture for a while.
  mention(message) {
    const { painted } = this;
    if (!painted) return;
    this.say(message);
    setTimeout(() => this.painted === painted && this.say(''), MENTIONED);
  }

  get current() {
    return this.stacks[this.stack];
  }

  // The frames that scrolling goes through, and where it is.
  list() {
    if (!this.current) return [];
    const { phases } = this.current;
    return this.along === 'phases' ? phases.map((frames) => frames[this.indexIn(frames)]) : phases[this.phase];
  }

  // Where in another phase the place is that is looked at.
  indexIn(frames) {
    const own = this.current.phases[this.phase];
    return frames.length === own.length ? this.index : partner(own, this.index, frames);
  }

  length = () => this.list().length;
  at = () => (this.along === 'phases' ? this.phase : this.index);
  frame = () => this.list()[this.at()];

  // --- scrolling ---

  step(by) {
    this.goTo(this.at() + by);
  }

  goTo(wanted, { isFollowing = false } = {}) {
    const at = Math.min(this.length() - 1, Math.max(0, wanted));
    if (at === this.at() || !this.length()) return;
    if (!this.looping) this.direction = at > this.at() ? 1 : -1;
    this.set(at);
    if (!isFollowing) this.viewer.scrolled(this);
  }

  set(at) {
    if (this.along === 'phases') this.setPhase(at);
    else this.index = at;
    this.update();
  }

  setPhase(wanted) {
    const { phases } = this.current;
    const phase = (wanted + phases.length) % phases.length;
    this.index = this.indexIn(phases[phase]);
    this.phase = phase;
    this.update();
  }

  // One further, if that picture is here: for cine. Those that cannot be had are passed over.
  advance() {
    const frames = this.list();
    if (frames.length < 2 || this.painted?.frame !== this.frame()) return this.isBroken(this.frame()) && this.set((this.at() + 1) % frames.length);
    const next = (this.at() + 1) % frames.length;
    const key = this.key(frames[next]);
    if (!this.viewer.pictures.get(key) && !this.isBroken(frames[next])) return false;
    this.direction = 1;
    this.set(next);
    this.flush();
    this.viewer.scrolled(this);
    return true;
  }

  isBroken = (frame) => Boolean(frame && this.viewer.pictures.problem(this.key(frame)));

  // --- pictures ---

  key = (frame, more = {}) => address(frame, { window: this.contrast.asked(frame), box: this.box(frame), ...more });

  // A picture larger than the pane by far is asked for smaller.
  box({ rows, columns, fixed }) {
    const [image, pixels] = [Math.max(rows ?? 0, columns ?? 0), Math.min(2, devicePixelRatio || 1)];
    if (!image || !this.fitSize || (fixed && !rows)) return undefined;
    const side = Math.ceil((this.fitSize * pixels) / 256) * 256;
    return image > 1024 && side < image / 1.25 ? [side, side] : undefined;
  }

  update() {
    if (!this.frameHandle) this.frameHandle = requestAnimationFrame(() => this.flush());
  }

  // Ask for the wanted picture and those around it; paint it if it is here.
  flush() {
    cancelAnimationFrame(this.frameHandle);
    this.frameHandle = 0;
    if (this.closed || !this.length()) return;
    const frames = this.list();
    const at = this.at();
    const frame = frames[at];
    const { pictures } = this.viewer;
    const [width, height] = this.box(frame) ?? [frame.columns ?? 1024, frame.rows ?? 1024];
    const room = Math.floor(this.viewer.memory / 3 / (width * height * 4));
    const ahead = Math.max(1, Math.min(AHEAD, room));
    const around = plan(at, frames.length, this.direction, { ahead, behind: Math.ceil(ahead / 4), loop: this.looping });
    this.planned = new Map(around.map((place) => [this.key(frames[place]), frames[place]]));
    this.slider.max = frames.length;
    this.slider.value = at + 1;
    this.slider.setAttribute('aria-valuetext', t('vOf', { n: at + 1, all: frames.length }));
    this.slider.disabled = frames.length < 2;
    pictures.want(this, [...this.planned.keys()]);
    const key = this.key(frame);
    if (pictures.get(key)) this.paint(frame, key);
    else if (pictures.problem(key)) this.fail(frame, pictures.problem(key));
    else this.wait(frame);
  }

  wait(frame) {
    clearTimeout(this.blanking);
    this.stage.classList.add('v-waiting');
    if (this.painted?.frame === frame) return; // only its window or size is another
    this.blanking = setTimeout(() => this.hold(frame, t('vLoading', { n: frame.index + 1 })), this.painted ? PATIENCE : 0);
  }

  // Nothing but words, in place of a picture that is not here.
  hold(frame, message, retry) {
    this.painted = null;
    this.screen.clear();
    delete this.stage.dataset.slice;
    this.overlay.picture(null);
    this.overlay.view(null, this.view, this.room);
    this.lengths.draw();
    this.say(message, retry);
  }

  fail(frame, error) {
    clearTimeout(this.blanking);
    const n = frame.index + 1;
    if (error.passing) this.hold(frame, t(error.status ? 'vBusy' : 'vNetwork'));
    else this.hold(frame, t('vCannot', { n }), () => this.viewer.pictures.retry());
    this.stage.classList.toggle('v-waiting', Boolean(error.passing));
  }

  // A picture has come, or failed.
  arrived(key) {
    this.sharper.arrived(key);
    if (!this.length()) return;
    const frame = this.frame();
    const wanted = this.key(frame);
    const { pictures } = this.viewer;
    if (key === wanted) {
      if (pictures.get(key)) this.paint(frame, key);
      else this.fail(frame, pictures.problem(key));
      return;
    }
    // One on the way from the painted slice to the wanted one, with its own number
    const passing = this.planned.get(key);
    if (!passing || !this.painted || this.painted.frame === frame || this.along === 'phases') return;
    const [here, there, goal] = [this.painted.frame, passing, frame].map(({ index }) => index);
    const isOnTheWay = passing.phase === frame.phase && Math.abs(there - goal) < Math.abs(here - goal);
    if (isOnTheWay && pictures.get(key)) this.paint(passing, key, { isPassing: true });
  }

  paint(frame, key, { isPassing = false } = {}) {
    const picture = this.viewer.pictures.get(key);
    clearTimeout(this.blanking);
    if (!isPassing) this.stage.classList.remove('v-waiting');
    if (this.painted?.key === key && this.painted.exact) return;
    if (!this.image || this.painted?.frame !== frame) this.measureImage(frame, picture);
    this.screen.paint(picture, this.contrast.effective(frame), frame.inverted);
    this.say('');
    this.painted = { frame, key, exact: true, window: this.contrast.effective(frame), length: this.current.phases[frame.phase].length, phases: this.current.phases.length };
    this.stage.dataset.slice = frame.index + 1;
    this.overlay.picture(this.painted);
    this.place();
    if (isPassing) this.wait(this.frame());
    this.viewer.painted(this);
  }

  // The image in pixels that are square: as high as they are in the patient.
  measureImage({ rows, columns, aspect }, picture) {
    const image = { width: columns ?? picture.width, height: rows ? rows * aspect : picture.height };
    const isSame = this.image?.width === image.width && this.image?.height === image.height;
    this.image = image;
    if (!isSame || !this.fitSize) this.resized();
  }

  // --- the view ---

  get room() {
    return { width: this.stage.clientWidth || 1, height: this.stage.clientHeight || 1 };
  }

  change(view, { isFollowing = false } = {}) {
    if (!this.image) return;
    this.view = view;
    this.place();
    if (!isFollowing) this.viewer.viewed(this);
  }

  // What tells how large the image is here; millimetres of a pixel, where they are the patient's.
  get extent() {
    const { spacing, where } = this.frame() ?? {};
    return { image: this.image, pane: this.room, mm: where === 'patient' ? spacing[1] : null };
  }

  // Lie as the image of another pane does.
  follow(other) {
    if (this.image && other.image) this.change(likewise(other.view, other.extent, this.extent), { isFollowing: true });
  }

  zoom = (factor, at = [0, 0]) => this.image && this.change(zoomed(this.view, factor, at));
  move = (dx, dy) => this.image && this.change(moved(this.view, dx, dy, this.image, this.room));
  fit = () => this.image && this.change(fitted(this.view, this.image, this.room));
  actual = () => this.zoom(1 / (devicePixelRatio || 1) / this.view.scale);
  rotate = () => this.turn(rotate);
  flipSides = () => this.turn(flipSides);
  flipUpDown = () => this.turn(flipUpDown);

  turn(how) {
    const view = how(this.view);
    this.change(view.fit && this.image ? fitted(view, this.image, this.room) : view);
  }

  reset() {
    this.view = UPRIGHT;
    this.contrast.invert(false);
    this.fit();
    this.contrast.choose(null);
  }

  resized() {
    const { room, image } = this;
    const frame = this.frame();
    const whole = image ?? (frame?.rows && { width: frame.columns, height: frame.rows * frame.aspect });
    if (whole) this.fitSize = fitScale([1, 0, 0, 1], whole, room) * Math.max(whole.width, whole.height);
    if (image && this.view.fit) this.view = fitted(this.view, image, room);
    if (this.painted) this.place();
    clearTimeout(this.resizing);
    this.resizing = setTimeout(() => this.update(), this.painted ? SETTLED : 0);
  }

  place() {
    this.screen.place(this.view, this.image, this.room);
    this.overlay.view(this.painted?.frame, this.view, this.room);
    this.lengths.draw();
    this.sharper.soon();
  }

  get title() {
    return [date(text(this.study?.study, '00080020')), text(this.series?.item, '0008103E')].filter(Boolean).join(', ');
  }
}
