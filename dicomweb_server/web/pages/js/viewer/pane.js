// One pane: a series of a study, the slice that is wanted, and the picture that is painted. The
// two may differ for a moment; what is written on the pane is always that of the painted one.
import { Problem, isAbort, text } from '../api.js';
import { clear, showIn } from '../document.js';
import { announce, fill, h } from '../dom.js';
import { date, t } from '../i18n.js';
import { wordFor } from '../states.js';
import { UPRIGHT, fitScale, fitted, flipSides, flipUpDown, likewise, moved, rotate, toImage, visible, zoomed } from './geometry.js';
import { listen } from './gestures.js';
import { partner } from './linking.js';
import { Measures, lengthText } from './measures.js';
import { Overlay } from './overlay.js';
import { plan } from './pictures.js';
import { Screen } from './screen.js';
import { address, loadSeries, measure } from './series.js';
import { find } from './stacks.js';
import { dragged, same } from './windows.js';

const PATIENCE = 200; // ms that an older slice may stand while another one is wanted
const PAUSE = 120; // ms between exact pictures while a window is dragged
const SETTLED = 250; // ms without a change before a sharper part is asked for
const MENTIONED = 4000; // ms that a word over a picture is to be read
const AHEAD = 24;

export class Pane {
  constructor(viewer, title) {
    Object.assign(this, { viewer, stacks: [], stack: 0, phase: 0, index: 0, direction: 1, along: 'slices' });
    Object.assign(this, { choice: null, inverted: false, view: UPRIGHT, painted: null, study: null, series: null });
    this.sharp = {}; // who wants the sharper part, among the pictures
    this.planned = new Map(); // key → frame
    this.screen = new Screen();
    this.overlay = new Overlay();
    this.measures = new Measures();
    this.message = h('p', { class: 'v-message', hidden: true });
    this.document = h('div', { class: 'v-document holder', hidden: true });
    this.stage = h('div', { class: 'v-stage', tabindex: 0, role: 'group', 'aria-label': title }, this.screen.base, this.screen.detail, this.measures.element, this.overlay.element, this.message, this.document, h('p', { class: 'v-warning' }, t('notForDiagnosis')));
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
    for (const timer of ['blanking', 'sharpening', 'asking', 'resizing']) clearTimeout(this[timer]);
    cancelAnimationFrame(this.frameHandle);
    this.viewer.pictures.want(this, []);
    this.viewer.pictures.want(this.sharp, []);
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
    Object.assign(this, { study, series, stacks: [], choice: null, inverted: false, wanted: null });
    this.stage.classList.remove('v-inverted');
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
    this.drawLines();
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

  key = (frame, more = {}) => address(frame, { window: this.asked(frame), box: this.box(frame), ...more });

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
    this.drawLines();
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
    if (key === this.sharpKey) this.sharpen();
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
    this.screen.paint(picture, this.effective(frame), frame.inverted);
    this.say('');
    this.painted = { frame, key, exact: true, window: this.effective(frame), length: this.current.phases[frame.phase].length, phases: this.current.phases.length };
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

  // --- window ---

  // What is asked for: null for what the file shows first.
  asked(frame) {
    const { choice } = this;
    if (!choice || !frame.grey) return null;
    if (choice.stored === undefined) return choice;
    return choice.stored ? (frame.windows[choice.stored] ?? null) : null;
  }

  effective = (frame) => this.asked(frame) ?? (frame.lut ? null : (frame.windows[0] ?? frame.measured ?? null));

  setWindow(choice, { isFollowing = false } = {}) {
    this.choice = choice;
    this.preview();
    this.flush();
    this.viewer.changed(this);
    if (!isFollowing) this.viewer.windowed(this);
  }

  // Show at once, as far as the painted picture tells, what another window shows.
  preview() {
    const { painted } = this;
    if (!painted?.frame.grey) return;
    const to = this.effective(painted.frame);
    if (!to || same(to, painted.window)) return;
    this.screen.preview(to);
    Object.assign(painted, { exact: false, window: to });
    this.overlay.picture(painted);
  }

  async beginWindow() {
    const frame = this.painted?.frame;
    if (!frame?.grey) return;
    const { signal } = this.abort;
    if (!this.effective(frame) && !frame.windows.length && !frame.measured) {
      frame.measured = await measure(frame, signal).catch(() => null);
      if (signal.aborted || this.painted?.frame !== frame) return;
      if (!this.screen.made) this.screen.made = frame.measured;
    }
    this.screen.made ??= frame.windows[0] ?? null; // of a LUT, nearly
  }

  dragWindow(dx, dy) {
    const frame = this.painted?.frame;
    const from = frame?.grey && (this.effective(frame) ?? frame.windows[0] ?? frame.measured);
    if (!from) return;
    // Up is brighter, also where high values are shown dark
    this.choice = dragged(from, dx, Boolean(frame.inverted) === this.inverted ? dy : -dy);
    this.previewing ??= requestAnimationFrame(() => {
      this.previewing = undefined;
      if (!this.closed) this.preview();
    });
    this.asking ??= setTimeout(() => this.endWindow(), PAUSE);
  }

  // The exact picture; the last one that is asked for wins.
  endWindow() {
    clearTimeout(this.asking);
    this.asking = undefined;
    if (this.closed) return;
    this.flush();
    this.viewer.changed(this);
    this.viewer.windowed(this);
  }

  async nudgeWindow(dx, dy) {
    await this.beginWindow();
    this.dragWindow(dx, dy);
  }

  setInverted(inverted) {
    this.inverted = inverted;
    this.stage.classList.toggle('v-inverted', inverted);
    this.viewer.changed(this);
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
    this.setInverted(false);
    this.fit();
    this.setWindow(null);
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
    this.drawLines();
    clearTimeout(this.sharpening);
    this.sharpening = setTimeout(() => this.askSharper(), SETTLED);
  }

  // --- lengths ---

  // Points are of the pane, from its middle.
  beginLine(at) {
    const frame = this.painted?.frame;
    if (!frame || !this.image) return;
    this.measures.begin(frame, toImage(this.view, this.image, at));
    this.drawLines();
  }

  dragLine(at) {
    if (!this.image) return;
    this.measures.drag(toImage(this.view, this.image, at));
    this.drawLines();
  }

  endLine() {
    const frame = this.painted?.frame;
    const isOf = this.measures.open?.frame === frame;
    const line = this.measures.end(isOf ? this.view.scale : 0);
    this.showCross(false);
    this.drawLines();
    if (line) announce(lengthText(line, frame));
  }

  // By keys: the ends are where the cross in the middle of the pane is put down, twice; between,
  // the image is moved below it.
  point() {
    if (!this.painted) return;
    if (this.measures.open) {
      this.endLine();
      return;
    }
    this.beginLine([0, 0]);
    this.showCross(true);
    announce(t('vPoint'));
  }

  unmeasure() {
    const frame = this.painted?.frame;
    if (this.measures.open) this.measures.end(0);
    else if (!frame || !this.measures.undo(frame)) return;
    this.showCross(false);
    this.drawLines();
    announce(t('vUnmeasured'));
  }

  showCross(isShown) {
    this.measures.cross.hidden = !isShown;
  }

  drawLines() {
    const frame = this.painted?.frame;
    if (!this.measures.cross.hidden) {
      if (frame && this.measures.open?.frame === frame) this.measures.drag(toImage(this.view, this.image, [0, 0]));
      else this.showCross(false);
    }
    this.measures.draw(frame, this.view, this.image, this.room);
  }

  // What is zoomed into is asked for once more if the picture was made smaller.
  askSharper() {
    this.sharpKey = null;
    const { painted, image, view } = this;
    const frame = painted?.frame;
    const needed = view.scale * Math.min(2, devicePixelRatio || 1);
    const part = frame?.columns && !frame.fixed && painted.exact && this.screen.base.width < image.width * Math.min(1, needed) * 0.9 && visible(view, image, this.room);
    if (!part) {
      this.screen.blur();
      this.viewer.pictures.want(this.sharp, []);
      return;
    }
    const density = Math.min(1, needed);
    const region = { ...part, y: Math.round(part.y / frame.aspect), height: Math.round(part.height / frame.aspect) };
    this.part = { ...part, y: region.y * frame.aspect, height: region.height * frame.aspect };
    this.sharpKey = this.key(frame, { box: [part.width, part.height].map((side) => Math.max(1, Math.round(side * density))), region });
    this.sharpFor = frame;
    this.viewer.pictures.want(this.sharp, [this.sharpKey]);
    if (this.viewer.pictures.get(this.sharpKey)) this.sharpen();
  }

  sharpen() {
    const picture = this.viewer.pictures.get(this.sharpKey);
    const isOf = this.painted?.frame === this.sharpFor && this.painted?.exact && this.painted.key === this.key(this.sharpFor);
    if (!picture || !isOf) return;
    this.screen.sharpen(picture, this.part);
    this.screen.place(this.view, this.image, this.room);
  }

  get title() {
    return [date(text(this.study?.study, '00080020')), text(this.series?.item, '0008103E')].filter(Boolean).join(', ');
  }
}
