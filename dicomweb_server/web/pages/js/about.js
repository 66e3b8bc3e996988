// What this server is, and where its services are: for those who set up viewers and modalities.
import { ROOT, json } from './api.js';
import { announce, button, h, icon } from './dom.js';
import { bytes, count, t } from './i18n.js';

let dialogs = 0; // that there have been, for their names

// A dialog with a heading and a button that closes it; it is gone when it is closed.
export function dialog(title, kind, ...children) {
  const id = `dialog-${++dialogs}`;
  const heading = h('h2', { id, tabindex: '-1' }, title);
  const close = button(t('close'), { glyph: 'close', quiet: true, class: 'plain', onclick: () => box.close() });
  const box = h(
    'dialog',
    { class: `dialog ${kind}`, 'aria-labelledby': id },
    h('div', { class: 'dialog-head' }, heading, close),
    h('div', { class: 'dialog-body' }, children),
    h('div', { class: 'hidden', role: 'status', 'aria-live': 'polite' }),
  );
  const before = document.activeElement;
  box.addEventListener('close', () => {
    box.remove();
    (before?.isConnected ? before : document.getElementById('main')).focus();
  });
  let pressed = null; // what is marked within may be dragged over the edge
  box.addEventListener('pointerdown', ({ target }) => {
    pressed = target;
  });
  box.addEventListener('click', ({ target }) => {
    if (target === box && pressed === box) box.close(); // beside it
  });
  document.body.append(box);
  box.showModal();
  heading.focus();
  return box;
}

export function openAbout(server) {
  const base = h('code', {}, server.base);
  const copy = button(t('copy'), { glyph: 'copy', quiet: true, class: 'plain' });
  copy.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(server.base);
    } catch {
      announce(t('failed')); // it is written beside the button
      return;
    }
    announce(t('copied'));
    copy.replaceChildren(icon('ok'));
  });
  const totals = h('dl', { class: 'totals', 'aria-live': 'polite' }, h('dt', {}, t('loading')));
  dialog(
    t('about'),
    'about',
    h('p', {}, t('aboutText')),
    totals,
    h('h3', {}, t('forClients')),
    h(
      'dl',
      { class: 'facts' },
      fact(t('baseUrl'), h('span', { class: 'row' }, base, navigator.clipboard && copy)),
      fact('QIDO-RS', h('a', { href: `${ROOT}dicomweb/studies?limit=25` }, h('code', {}, 'GET /studies'))),
      fact('WADO-RS', h('code', {}, 'GET /studies/{study}[/series/{series}[/instances/{instance}]]')),
      fact('STOW-RS', h('code', {}, 'POST /studies')),
      fact(
        t('health'),
        h('a', { href: `${ROOT}healthz` }, h('code', {}, '/healthz')),
        ' ',
        h('a', { href: `${ROOT}readyz` }, h('code', {}, '/readyz')),
      ),
      fact(t('version'), `dicomweb-server ${server.version}`),
    ),
    h('p', { class: 'warning' }, icon('warning'), h('strong', {}, t('notForDiagnosis'))),
  );
  showTotals(totals);
}

const fact = (name, ...value) => h('div', {}, h('dt', {}, name), h('dd', {}, value));

async function showTotals(totals) {
  try {
    const held = await json(`${ROOT}summary.json`, { accept: 'application/json' });
    const rows = ['studies', 'series', 'instances'].map((key) => [t(`total.${key}`), count(held[key])]);
    rows.push([t('total.bytes'), bytes(held.bytes)]);
    totals.replaceChildren(...rows.map(([name, value]) => fact(name, value)));
  } catch {
    totals.replaceChildren(h('dt', {}, t('indexAway')));
  }
}
