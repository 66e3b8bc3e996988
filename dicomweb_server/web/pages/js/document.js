// A report, document, video or tracing in a dialog over the study.
import { get, resource } from './api.js';
import { dialog } from './about.js';
import { fill, h, linkButton } from './dom.js';
import { zipLink } from './download.js';
import { t } from './i18n.js';
import { failure } from './states.js';

// How each kind is asked for, and what holds it. Reports come as finished pages, and are kept
// from doing anything but being read; the browser's own reader of PDF wants no such fence.
const HOLDERS = {
  report: (src, title) => h('iframe', { class: 'sheet', src, title, sandbox: 'allow-same-origin allow-popups' }),
  pdf: (src, title) => h('iframe', { class: 'sheet', src, title }),
  video: (src, title) => h('video', { src, controls: true, playsinline: true, preload: 'metadata', 'aria-label': title }),
  wave: (src, title) => h('img', { class: 'tracing', src, alt: title }),
};
const TYPES = {
  report: 'text/html',
  pdf: 'application/pdf',
  video: 'video/*',
  wave: 'image/svg+xml, image/png;q=0.9',
};

// Show the instance of `uids`. Gives the dialog.
export function openDocument({ uids, kind, title }) {
  const whole = h('div', { class: 'holder' }, h('p', { class: 'quiet' }, t('loading')));
  const address = resource(uids, 'rendered', { accept: TYPES[kind] });
  const box = dialog(
    title,
    `document ${kind}`,
    whole,
    h(
      'p',
      { class: 'row' },
      h('strong', { class: 'not-for-diagnosis' }, t('notForDiagnosis')),
      h('span', { class: 'spread' }),
      linkButton(t('newTab'), address, { glyph: 'external', target: '_blank', rel: 'noopener' }),
      zipLink(uids),
    ),
  );
  show(whole, address, kind, title);
  return box;
}

// Ask first whether it can be had: a frame or a picture tells nothing of a refusal.
async function show(whole, address, kind, title) {
  try {
    const head = new AbortController();
    await get(address, { accept: TYPES[kind], signal: head.signal });
    head.abort(); // its body is fetched by what shows it
    fill(whole, HOLDERS[kind](address, title));
  } catch (error) {
    fill(whole, failure(error, () => show(whole, address, kind, title)));
  }
}
