// The frame around every view: which one the address names, language, colours, who speaks.
import { Problem, ROOT, isAbort, json } from './api.js';
import { openAbout } from './about.js';
import { announce, button, fill, h, icon } from './dom.js';
import { LANGUAGES, preferred, speak, speakOfPictures, spoken, store, t } from './i18n.js';
import * as list from './list.js';
import { failure } from './states.js';
import * as study from './study.js';
import * as upload from './upload.js';

const main = document.getElementById('main');
let shown = null; // {name, view}: what the main part holds
let turn = 0; // of the newest route: an older one that is late draws nothing

export const server = { version: '', base: `${ROOT}dicomweb`, ohif: false };

// '#/study/1.2?open=…' → { name: 'study', rest: '1.2', query }
function route() {
  const [path, query = ''] = location.hash.slice(1).split('?');
  const [, name = '', rest = ''] = path.split('/');
  return { name: name || 'list', rest: plain(rest), query: new URLSearchParams(query) };
}

function plain(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // nobody's address: nothing is found under it
  }
}

const VIEWS = {
  list: (root, { query }) => list.open(root, query),
  study: (root, { rest, query }) => study.open(root, rest, query, server),
  view: async (root, { rest, query }) => {
    const [viewer] = await fetched(import('./viewer/index.js'), speakOfPictures(), styled('viewer.css'));
    const studies = rest.split(',').filter(Boolean).slice(0, 2);
    if (studies.length === 0) throw new Problem(404, '', '');
    return viewer.open(root, {
      studies,
      series: query.get('series') ?? undefined,
      instance: query.get('instance') ?? undefined,
      onClose: () => {
        location.hash = `#/study/${studies[0]}`;
      },
    });
  },
};

// Parts of the page itself. Raises Problem: why a module did not come is not told.
async function fetched(...parts) {
  try {
    return await Promise.all(parts);
  } catch (error) {
    console.error(error);
    throw new Problem(0, 'network', '');
  }
}

// A style sheet that is needed once it is needed.
function styled(name) {
  const href = new URL(name, ROOT).href;
  const known = [...document.styleSheets].some((sheet) => sheet.href === href);
  if (known) return null;
  return new Promise((resolve, reject) => {
    const link = h('link', { rel: 'stylesheet', href, onload: resolve });
    link.addEventListener('error', () => {
      link.remove();
      reject(new Problem(0, 'network', ''));
    });
    document.head.append(link);
  });
}

async function go({ focus = true } = {}) {
  const here = route();
  if (shown?.name === here.name && shown.view?.update?.(here.query, here.rest)) return;
  const mine = ++turn;
  shown?.view?.close?.();
  shown = null;
  const root = h('div', { class: 'view' });
  document.body.dataset.view = here.name;
  document.title = 'dicomweb-server';
  fill(main, root);
  scrollTo(0, 0);
  let view = null;
  try {
    const open = Object.hasOwn(VIEWS, here.name) && VIEWS[here.name];
    if (!open) throw new Problem(404, '', '');
    view = await open(root, here);
  } catch (error) {
    if (mine !== turn || isAbort(error)) return;
    if (!(error instanceof Problem)) console.error(error);
    fill(root, failure(error, () => go()));
  }
  if (mine !== turn) {
    view?.close?.();
    return;
  }
  shown = { name: here.name, view };
  if (focus) arrive();
}

// Those who use keys or hear the page begin at its heading.
function arrive() {
  const heading = main.querySelector('h1');
  if (heading && !main.contains(document.activeElement)) {
    heading.tabIndex = -1;
    heading.focus({ preventScroll: true });
  }
  announce(document.title);
}

function themes() {
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (document.documentElement.dataset.theme ?? (dark.matches ? 'dark' : 'light')) === 'dark';
  const toggle = button(t('darkColours'), { glyph: 'theme', quiet: true, class: 'plain' });
  const tell = () => toggle.setAttribute('aria-pressed', String(isDark()));
  toggle.addEventListener('click', () => {
    const theme = isDark() ? 'light' : 'dark';
    document.documentElement.dataset.theme = theme;
    store('theme', theme);
    tell();
  });
  dark.onchange = tell;
  tell();
  return toggle;
}

function languages() {
  const choices = Object.entries(LANGUAGES).map(([tag, name]) =>
    h('option', { value: tag, lang: tag, selected: tag === spoken() }, name),
  );
  const choice = h('select', { class: 'language', 'aria-label': t('language') }, choices);
  choice.addEventListener('change', async () => {
    try {
      await speak(choice.value, { keep: true });
    } catch {
      choice.value = spoken();
      announce(t('offline'));
      return;
    }
    frame();
    shown?.view?.close?.();
    shown = null;
    await go({ focus: false });
    document.querySelector('.language').focus();
  });
  return choice;
}

function frame() {
  document.getElementById('skip').textContent = t('skip');
  document.body.dataset.drop = t('dropHere');
  fill(
    document.getElementById('tools'),
    button(t('upload'), { glyph: 'upload', class: 'primary upload-button', onclick: () => upload.openPanel() }),
    languages(),
    themes(),
    button(t('about'), { glyph: 'info', quiet: true, class: 'plain', onclick: () => openAbout(server) }),
  );
  fill(
    document.getElementById('foot'),
    h('p', { class: 'warning' }, icon('warning'), h('strong', {}, t('notForDiagnosis')), ' ', h('span', {}, t('notForDiagnosisText'))),
  );
}

document.getElementById('skip').addEventListener('click', (event) => {
  event.preventDefault(); // the address is the view's
  const target = main.querySelector('h1') ?? main;
  target.tabIndex = -1;
  target.focus();
});

// What the views need of it is links: a page without them is better than none.
const told = json(`${ROOT}page.json`, { accept: 'application/json' })
  .then((about) => Object.assign(server, about))
  .catch(() => {});
await speak(preferred());
frame();
upload.listen();
await told;
addEventListener('hashchange', () => go());
addEventListener('stored', () => shown?.view?.refresh?.());
await go({ focus: false });
