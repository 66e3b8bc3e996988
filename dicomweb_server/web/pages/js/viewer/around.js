// What stands around the panes: whose study it is, and the series of it.
import { name, number, resource, text } from '../api.js';
import { fill, h, icon } from '../dom.js';
import { date, t } from '../i18n.js';
import { GLYPHS } from '../kinds.js';
import { badge, born, picture } from '../parts.js';
import { seriesTitle } from './choices.js';

export class Around {
  constructor(viewer) {
    this.viewer = viewer;
    this.banner = h('header', { class: 'v-banner' });
    this.rail = h('nav', { class: 'v-rail', 'aria-label': t('vDo.series') });
  }

  // That of the active pane, and whether the others show the same patient.
  show() {
    const { active, panes, isRailOpen } = this.viewer;
    const { study, uid, series } = active?.study ?? {};
    if (!study) return;
    const patients = new Set(panes.map((pane) => `${text(pane.study?.study, '00100020')}\n${name(pane.study?.study)}`));
    const told = `${uid} ${patients.size}`;
    if (this.told !== told) this.showBanner(study, patients.size > 1);
    this.told = told;
    if (this.railOf !== uid) {
      this.railOf = uid;
      fill(this.rail, h('ul', {}, series.map((one) => h('li', {}, this.thumbnail(uid, one)))));
    }
    for (const each of this.rail.querySelectorAll('button')) {
      const isShown = each.dataset.series === active.series?.uid;
      each.setAttribute('aria-current', String(isShown));
      if (isShown && isRailOpen) each.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    }
    this.rail.hidden = !isRailOpen;
  }

  showBanner(study, isOfTwo) {
    const facts = [text(study, '00100020') && t('vId', { id: text(study, '00100020') }), born(study)].filter(Boolean);
    document.title = `${name(study) || t('noName')} – dicomweb-server`;
    fill(
      this.banner,
      h('button', { type: 'button', class: 'button plain v-back', onclick: () => this.viewer.onClose(), 'aria-label': t('vBack'), title: t('vBack') }, icon('back')),
      h('div', { class: 'v-patient' }, h('h1', {}, name(study) || t('noName')), h('p', {}, facts.join(' · '))),
      h('p', { class: 'v-examined' }, h('b', {}, text(study, '00081030') || t('noDescription')), ' ', date(text(study, '00080020'))),
      isOfTwo && h('p', { class: 'v-differ', role: 'alert' }, icon('warning'), t('vDiffer')),
      h('p', { class: 'v-not' }, icon('warning'), h('strong', {}, t('notForDiagnosis'))),
    );
  }

  thumbnail(study, { uid, item }) {
    const modality = text(item, '00080060');
    const glyph = GLYPHS[{ SR: 'report', DOC: 'pdf', ECG: 'wave', KO: 'report' }[modality]] ?? 'image';
    const title = seriesTitle(item);
    const images = number(item, '00201209');
    return h(
      'button',
      { type: 'button', class: 'v-series', dataset: { series: uid }, onclick: () => this.viewer.show(uid), title },
      picture(resource({ study, series: uid }, 'thumbnail'), glyph),
      h('span', { class: 'v-described' }, h('span', {}, title), h('small', {}, modality && badge(modality), images !== null && t('vImages', { n: images }))),
    );
  }
}
