// What is shown in place of what there is not: waiting, nothing found, failures in plain words.
import { button, h, icon, linkButton } from './dom.js';
import { t } from './i18n.js';

const KINDS = { 0: 'offline', 400: 'badRequest', 401: 'unknownReader', 403: 'barred', 404: 'notFound', 406: 'noPicture', 429: 'busy', 502: 'busy', 503: 'busy', 504: 'busy' };
const PATIENCE = 60; // seconds after which nobody waits for it any more

// Which words tell of an error, a Problem or anything else.
export const wordFor = (error) => KINDS[error?.status] ?? 'failed';

// A failed view: `error` a Problem or anything else; `retry` is done when it is asked for. `part`
// of a view that is there: its heading is a lower one, and it leads nowhere else. Who is busy and
// says for how long is asked again then.
export function failure(error, retry, { part = false } = {}) {
  const kind = wordFor(error);
  const shown = h(
    'section',
    { class: 'state', role: 'alert' },
    icon('warning'),
    h(part ? 'h2' : 'h1', {}, t(kind)),
    h('p', {}, t(`${kind}Text`)),
    error?.detail && h('p', { class: 'quiet', lang: 'en' }, error.detail),
    h(
      'p',
      { class: 'row centred' },
      retry && button(t('retry'), { class: 'primary', onclick: retry }),
      !part && linkButton(t('toList'), '#/'),
    ),
  );
  if (retry && error?.after > 0 && error.after <= PATIENCE) {
    setTimeout(() => shown.isConnected && retry(), error.after * 1000);
  }
  return shown;
}

// Nothing to show, and what can be done about it.
export function empty(glyph, title, detail, ...actions) {
  return h(
    'section',
    { class: 'state' },
    icon(glyph),
    h('h2', {}, title),
    h('p', {}, detail),
    actions.length > 0 && h('p', { class: 'row centred' }, actions),
  );
}
