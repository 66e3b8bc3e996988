// One study: whose, its series, what can be opened in place, and other studies of the patient.
import { Problem, ROOT, checkUid, name, number, resource, search, text, values } from './api.js';
import { openDocument } from './document.js';
import { h, icon, linkButton, refill } from './dom.js';
import { zipLink, zipUrl } from './download.js';
import { count, date, t, time } from './i18n.js';
import { DOCUMENT_CLASSES, GLYPHS, isUnseen, kindOf } from './kinds.js';
import { lastSearch } from './list.js';
import { badge, badges, born, explained, picture } from './parts.js';
import { empty } from './states.js';

const MOST_DOCUMENTS = 200;
const TITLES = '00420010,0040A043'; // Document Title, Concept Name Code Sequence
const MOST_PRIORS = 50;

export async function open(root, uid, query, server) {
  const page = new StudyPage(root, uid, server);
  await page.load();
  page.update(query, uid, { isFirst: true });
  return page;
}

class StudyPage {
  constructor(root, uid, server) {
    Object.assign(this, { root, uid, server, box: null });
    this.abort = new AbortController();
  }

  close() {
    this.abort.abort();
    const { box } = this;
    this.box = null; // so that its end leads nowhere
    box?.close();
  }

  async load() {
    checkUid(this.uid);
    const { signal } = this.abort;
    const fields = { includefield: 'all' };
    const [studies, series, documents] = await Promise.all([
      search(['studies'], { StudyInstanceUID: this.uid, ...fields }, { signal }),
      search(['studies', this.uid, 'series'], fields, { signal }),
      search(
        ['studies', this.uid, 'instances'],
        { SOPClassUID: DOCUMENT_CLASSES.join(','), limit: MOST_DOCUMENTS, includefield: TITLES },
        { signal },
      ),
    ]);
    if (studies.items.length === 0) throw new Problem(404, '', '');
    [this.study] = studies.items;
    this.documents = bySeries(documents.items);
    this.isCut = documents.items.length === MOST_DOCUMENTS;
    this.others ??= h('section', { class: 'priors', hidden: true });
    refill(this.root, this.header(series.items), this.seriesList(series.items), this.others);
    if (!this.root.isConnected) return; // another view has come meanwhile
    document.title = `${name(this.study) || t('noName')} – dicomweb-server`;
    this.showPriors(signal);
  }

  // Something was stored, perhaps of this study.
  refresh() {
    this.load().catch(() => {}); // what there is stays
  }

  // What is open over the page is in the address, so that the back button closes it.
  update(query, uid, { isFirst = false } = {}) {
    if (uid !== this.uid) return false;
    this.isFirst = isFirst; // nothing of this page is behind it in the browser's history
    const wanted = query.get('open');
    this.box?.close();
    this.box = null;
    const found = wanted && this.find(wanted);
    if (!found) return true;
    const box = openDocument({ ...found, patient: name(this.study) || t('noName') });
    this.box = box;
    box.addEventListener('close', () => {
      if (this.box !== box) return; // the address has changed before
      this.box = null;
      if (this.isFirst) history.replaceState(null, '', `#/study/${uid}`);
      else history.back();
    });
    return true;
  }

  find(instance) {
    for (const items of this.documents.values()) {
      const found = items.find((item) => text(item, '00080018') === instance);
      if (found) return this.described(found);
    }
    return null;
  }

  described(item) {
    const uids = { study: this.uid, series: text(item, '0020000E'), instance: text(item, '00080018') };
    const kind = kindOf(text(item, '00080016'));
    const numbered = number(item, '00200013');
    const written = text(item, '00420010') || text(values(item, '0040A043')[0], '00080104');
    const title = written || [t(`kind.${kind}`), numbered === null ? '' : count(numbered)].filter(Boolean).join(' ');
    return { uids, kind, title };
  }

  // What most come for: the images, or the document of a study that has nothing else.
  firstLink(series) {
    const rest = series.filter((one) => {
      const items = this.documents.get(text(one, '0020000E')) ?? [];
      return items.length < (number(one, '00201209') ?? 0) && !isUnseen(text(one, '00080060'));
    });
    if (rest.length > 0) return linkButton(t('openImages'), `#/view/${this.uid}`, { glyph: 'image', class: 'primary' });
    const item = [...this.documents.values()].flat().find((one) => kindOf(text(one, '00080016')) !== 'file');
    if (!item) return null;
    const { kind, title } = this.described(item);
    return linkButton(title, this.openLink(item), { glyph: GLYPHS[kind], class: 'primary' });
  }

  header(series) {
    const { study, uid } = this;
    const when = [date(text(study, '00080020'), 'long'), time(text(study, '00080030'))].filter(Boolean).join(', ');
    const facts = [
      ['patientId', text(study, '00100020')],
      ['accession', text(study, '00080050')],
      ['studyId', text(study, '00200010')],
      ['referring', name(study, '00080090')],
      ['uid', uid],
    ].filter(([, value]) => value);
    return h(
      'header',
      { class: 'study-head' },
      h('a', { class: 'back', href: lastSearch() }, icon('back'), t('toList')),
      h('h1', {}, h('bdi', {}, name(study) || t('noName'))),
      h('p', { class: 'born' }, born(study)),
      h('p', { class: 'described' }, h('strong', {}, text(study, '00081030') || t('noDescription')), when && h('span', {}, when), badges(values(study, '00080061'))),
      h('dl', { class: 'facts' }, facts.map(([key, value]) => h('div', { class: key }, h('dt', {}, t(`fact.${key}`)), h('dd', {}, value)))),
      h(
        'p',
        { class: 'row actions' },
        this.firstLink(series),
        zipLink({ study: uid }),
        this.server.ohif && linkButton(t('openOhif'), `${ROOT}ohif/viewer?StudyInstanceUIDs=${encodeURIComponent(uid)}`, { glyph: 'external', target: '_blank', rel: 'noopener' }),
      ),
    );
  }

  seriesList(series) {
    if (series.length === 0) return empty('image', t('noSeries'), '');
    return h(
      'section',
      { class: 'series-list', 'aria-labelledby': 'series-heading' },
      h('h2', { id: 'series-heading' }, t('seriesCount', { n: series.length })),
      h('ul', { class: 'cards' }, series.map((one) => this.card(one))),
    );
  }

  card(one) {
    const uid = text(one, '0020000E');
    const modality = text(one, '00080060');
    const items = this.documents.get(uid) ?? [];
    const total = number(one, '00201209') ?? 0;
    // Of more documents than were asked for the rest is taken to be alike.
    const only = items.length > 0 && (items.length >= total || this.isCut);
    const kind = only ? kindOf(text(items[0], '00080016')) : 'image';
    const title = text(one, '0008103E') || explained(modality) || t('noDescription');
    const numbered = number(one, '00200011');
    const uids = { study: this.uid, series: uid };
    const target = only ? this.openLink(items[0]) : isUnseen(modality) ? null : `#/view/${this.uid}?series=${uid}`;
    const heading = target && !(only && kind === 'file') ? h('a', { class: 'through', href: target }, title) : title;
    return h(
      'li',
      { class: `card ${kind}` },
      PICTURED.has(kind) && target ? picture(resource(uids, 'thumbnail'), GLYPHS[kind]) : h('span', { class: 'thumb' }, icon(target ? GLYPHS[kind] : 'file')),
      h(
        'div',
        { class: 'card-text' },
        h('h3', {}, heading),
        h(
          'p',
          { class: 'row' },
          modality && badge(modality),
          numbered !== null && h('span', {}, t('seriesNumber', { number: String(numbered) })),
          target && h('span', {}, only ? countOf(kind, total) : t('objects', { n: total })),
        ),
        text(one, '00180015') && h('p', { class: 'quiet' }, text(one, '00180015')),
        items.length > (only ? 1 : 0) && h('ul', { class: 'documents' }, items.map((item) => h('li', {}, this.documentLink(item)))),
        !target && h('p', { class: 'quiet' }, t('nothingToSee')),
      ),
      h('a', { class: 'button square plain save', href: zipUrl(uids), download: '', 'aria-label': `${t('downloadZip')}: ${title}`, title: t('downloadZip') }, icon('download')),
    );
  }

  openLink = (item) => `#/study/${this.uid}?open=${text(item, '00080018')}`;

  documentLink(item) {
    const { kind, title, uids } = this.described(item);
    if (kind === 'file') return h('a', { href: zipUrl(uids), download: '' }, icon('download'), title);
    return h('a', { href: this.openLink(item) }, icon(GLYPHS[kind]), title);
  }

  async showPriors(signal) {
    const patient = text(this.study, '00100020');
    if (!patient || /[*?\\]/.test(patient)) return;
    const issuer = text(this.study, '00100021');
    const asked = { PatientID: patient, IssuerOfPatientID: issuer, limit: MOST_PRIORS, includefield: 'StudyDescription,IssuerOfPatientID' };
    const { items } = await search(['studies'], asked, { signal }).catch(() => ({ items: [] }));
    // The same ID of another issuer is another patient, also where this study tells no issuer
    const others = items.filter((item) => text(item, '0020000D') !== this.uid && text(item, '00100021') === issuer);
    this.others.hidden = others.length === 0;
    refill(
      this.others,
      h('h2', {}, t('priors', { n: others.length })),
      h('ul', { class: 'lines' }, others.map((other) => this.prior(other))),
    );
  }

  prior(other) {
    const uid = text(other, '0020000D');
    const described = text(other, '00081030') || t('noDescription');
    const when = text(other, '00080020');
    const isNamedOtherwise = name(other) !== name(this.study);
    return h(
      'li',
      {},
      picture(resource({ study: uid }, 'thumbnail')),
      h(
        'div',
        { class: 'card-text' },
        h('a', { href: `#/study/${uid}` }, described),
        h('p', { class: 'row' }, when && h('span', {}, date(when)), badges(values(other, '00080061'))),
        isNamedOtherwise && h('p', { class: 'warning' }, icon('warning'), t('otherName', { name: name(other) || t('noName') })),
      ),
      linkButton(t('compare'), `#/view/${this.uid},${uid}`, { glyph: 'compare', 'aria-label': `${t('compare')}: ${described} ${when && date(when)}` }),
    );
  }
}

const PICTURED = new Set(['image', 'video', 'wave']);

const countOf = (kind, n) => `${t(`kind.${kind}`)}${n > 1 ? ` × ${count(n)}` : ''}`;

function bySeries(items) {
  const found = new Map();
  for (const item of items) {
    const series = text(item, '0020000E');
    if (!found.has(series)) found.set(series, []);
    found.get(series).push(item);
  }
  return found;
}
