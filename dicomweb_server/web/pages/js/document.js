// A report, document, video or tracing in a dialog over the study.
import { get, resource } from './api.js';
import { dialog } from './about.js';
import { fill, h, linkButton } from './dom.js';
import { zipLink } from './download.js';
import { t } from './i18n.js';
import { empty, failure } from './states.js';

// How each kind is asked for, and what holds it. Reports come as finished pages, and are kept
// from doing anything but being read; the browser's own reader of PDF wants no such fence.
const HOLDERS = {
  report: (src, title) => h('iframe', { class: 'sheet', src, title, sandbox: 'allow-same-origin allow-popups' }),
  pdf: (src, title) => h('iframe', { class: 'sheet', src, title }),
  video: (src, title) => h('video', { src, controls: true, playsinline: true, preload: 'metadata', 'aria-label': title }),
  // As wide as it is to be read: on a phone it is scrolled.
  wave: (src, title) => h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': title }, h('img', { src, alt: title })),
};
const TYPES = {
  report: 'text/html',
  pdf: 'application/pdf',
  video: 'video/*',
  wave: 'image/svg+xml, image/png;q=0.9',
};

const addressOf = (uids, kind) => resource(uids, 'rendered', { accept: TYPES[kind] });

// Show the instance of `uids` in a dialog, and give that.
export function openDocument({ uids, kind, title, patient }) {
  const holder = h('div', { class: 'holder' });
  const box = dialog(
    `${title} – ${patient}`,
    `document ${kind}`,
    holder,
    h(
      'p',
      { class: 'row' },
      h('strong', { class: 'not-for-diagnosis' }, t('notForDiagnosis')),
      h('span', { class: 'spread' }),
      linkButton(t('newTab'), addressOf(uids, kind), { glyph: 'external', target: '_blank', rel: 'noopener' }),
      zipLink(uids),
    ),
  );
  showIn(holder, uids, kind, title);
  return box;
}

const asked = new WeakMap(); // holder → AbortController of what was asked for last

// Nothing is in `holder` any more, and nothing comes: what plays is silent.
export function clear(holder) {
  asked.get(holder)?.abort();
  asked.delete(holder);
  fill(holder);
}

// Show it in `holder`. What holds it tells nothing of a refusal: it is asked first. Of several the
// last one that was asked for is shown.
export async function showIn(holder, uids, kind, title) {
  clear(holder);
  fill(holder, h('p', { class: 'quiet' }, t('loading')));
  const head = new AbortController();
  asked.set(holder, head);
  const address = addressOf(uids, kind);
  try {
    await get(address, { accept: TYPES[kind], signal: head.signal });
    if (asked.get(holder) !== head) return;
    head.abort(); // its body is fetched by what shows it
    const shown = HOLDERS[kind](address, title);
    // Only who plays it knows whether it can be played; of anything else it is not told.
    shown.addEventListener('error', () => shown.isConnected && fill(holder, empty('warning', t('noVideo'), t('noVideoText'), zipLink(uids))));
    fill(holder, shown);
  } catch (error) {
    if (asked.get(holder) !== head) return;
    fill(holder, failure(error, () => showIn(holder, uids, kind, title), { part: true }));
  }
}
