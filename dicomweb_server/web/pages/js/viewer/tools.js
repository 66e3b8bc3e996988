// The tool bar.
import { fill, h } from '../dom.js';
import { t } from '../i18n.js';
import { glyph } from './icons.js';
import { keyOf } from './keys.js';
import { windowName } from './overlay.js';
import { CT, same } from './windows.js';

const DRAGS = ['scroll', 'window', 'zoom', 'pan', 'measure'];
const VIEW = ['zoomIn', 'zoomOut', 'fit', 'actual', 'rotate', 'flipSides', 'flipUpDown'];
const RATES = [1, 2, 5, 10, 15, 20, 25, 30, 40, 60];

export class Tools {
  constructor(viewer) {
    this.viewer = viewer;
    this.buttons = {};
    this.presets = h('select', { 'aria-label': t('vPreset'), onchange: () => viewer.choose(this.choices[this.presets.value]) });
    this.rate = h('select', { 'aria-label': t('vRate'), onchange: () => viewer.setRate(Number(this.rate.value)) });
    this.more = h(
      'div',
      { class: 'v-more', id: 'v-more' },
      this.group(t('vView'), VIEW),
      this.group(t('vShow'), ['text', 'link', 'linkView', 'save', 'help']),
    );
    const open = this.button('more', () => this.unfold());
    open.setAttribute('aria-controls', 'v-more');
    open.classList.add('v-opens');
    this.element = h(
      'div',
      { class: 'v-tools', role: 'toolbar', 'aria-label': t('vTools') },
      h('div', { class: 'v-group', role: 'group', 'aria-label': t('vDrag') }, DRAGS.map((name) => this.button(name, () => viewer.setTool(name)))),
      h('div', { class: 'v-group v-extra' }, h('label', { class: 'v-select' }, this.presets, h('span', { 'aria-hidden': 'true' }, t('vPreset'))), this.button('invert'), this.button('reset')),
      h('div', { class: 'v-group' }, this.button('play'), h('label', { class: 'v-select v-rate v-extra' }, this.rate, h('span', { 'aria-hidden': 'true' }, t('vRate')))),
      h('div', { class: 'v-group' }, this.button('series'), this.button('compare'), open),
      this.more,
    );
    for (const name of ['compare', 'measure']) this.buttons[name].classList.add('v-extra');
    open.setAttribute('aria-expanded', 'false');
  }

  // What has no room is unfolded, and folded again. What is how wide, viewer.css tells.
  unfold() {
    const isOpen = this.element.classList.toggle('v-open');
    this.buttons.more.setAttribute('aria-expanded', String(isOpen));
  }

  group = (label, names) => h('div', { class: 'v-group', role: 'group', 'aria-label': label }, names.map((name) => this.button(name)));

  button(name, action = () => this.viewer.do(name)) {
    const key = keyOf(name);
    const label = t(`vDo.${name}`);
    const attributes = { type: 'button', class: 'v-tool', dataset: { tool: name }, onclick: action };
    attributes.title = key ? `${label} (${key === ' ' ? '␣' : key.toUpperCase()})` : label;
    const made = h('button', attributes, glyph(name), h('span', {}, t(`vShort.${name}`)));
    this.buttons[name] = made;
    return made;
  }

  press(name, isPressed) {
    this.buttons[name].setAttribute('aria-pressed', String(isPressed));
  }

  // Show how things are with the pane that the tools work on.
  update(pane, { tool, playing, rate, linked, viewLinked, compared, isBare, isRailOpen }) {
    for (const name of DRAGS) this.press(name, tool === name);
    this.press('invert', pane.contrast.inverted);
    this.press('link', linked);
    this.press('linkView', viewLinked);
    this.press('compare', compared);
    this.press('text', !isBare);
    this.press('series', isRailOpen);
    this.buttons.link.hidden = this.buttons.linkView.hidden = !compared;
    const isImage = Boolean(pane.current && !pane.current.document);
    const isPlayable = pane.length() > 1;
    for (const name of [...DRAGS, ...VIEW, 'invert', 'reset', 'save']) this.buttons[name].disabled = !isImage;
    this.buttons.play.disabled = this.rate.disabled = !isPlayable;
    this.buttons.play.replaceChildren(glyph(playing ? 'pause' : 'play'), h('span', {}, t(playing ? 'vShort.pause' : 'vShort.play')));
    this.buttons.play.title = `${t(playing ? 'vDo.pause' : 'vDo.play')} (␣)`;
    const rates = RATES.includes(rate) ? RATES : [...RATES, rate].sort((a, b) => a - b);
    fill(this.rate, rates.map((value) => h('option', { value, selected: value === rate }, t('vPerSecond', { n: value }))));
    this.showPresets(pane);
  }

  showPresets(pane) {
    const frame = pane.frame();
    this.choices = presetsOf(frame);
    const { choice } = pane.contrast;
    let at = this.choices.findIndex((one) => one.stored !== undefined ? (choice?.stored ?? (choice ? -1 : 0)) === one.stored : same(one, choice));
    if (at < 0) at = this.choices.push({ ...choice, name: t('vOwn'), isOwn: true }) - 1;
    fill(this.presets, this.choices.map((one, value) => h('option', { value, selected: value === at }, one.own ? windowName(one) : one.name)));
    this.presets.disabled = !frame?.grey;
  }
}

// The windows of a frame's file, then the usual ones of its modality.
export function presetsOf(frame) {
  if (!frame?.grey) return [{ stored: 0, name: t('vAsStored') }];
  const named = frame.windows.map(({ name }, stored) => ({ stored, name: name || (stored ? t('vStored', { n: stored + 1 }) : t('vAsStored')) }));
  if (frame.lut || !named.length) named.splice(0, 1, { stored: 0, name: frame.lut || t('vAutomatic') });
  const usual = frame.hounsfield ? CT.map((window) => ({ ...window, own: true })) : [];
  return [...named, ...usual];
}
