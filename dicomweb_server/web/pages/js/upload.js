// Upload: files and folders are dropped or chosen, and stored in batches; what became of each is told.
import { isAbort } from './api.js';
import { dialog } from './about.js';
import { announce, button, fill, h, icon, linkButton } from './dom.js';
import { bytes, count, t } from './i18n.js';
import { look } from './part10.js';
import { store } from './stow.js';

const BATCH_FILES = 50;
const BATCH_BYTES = 32 << 20; // a larger file goes alone
const AT_ONCE = 2; // batches
const SHOWN = 500; // lines of results
const IGNORED = /^(\.|Thumbs\.db$|desktop\.ini$)/i;

let job = null; // the upload there is, also while its panel is closed
let panel = null; // {box, show}

// Files may be dropped anywhere on the page.
export function listen() {
  let depth = 0;
  const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes('Files');
  const mark = (isOver) => document.body.classList.toggle('dropping', isOver);
  addEventListener('dragenter', (event) => {
    if (hasFiles(event)) mark(++depth > 0);
  });
  addEventListener('dragleave', (event) => {
    if (hasFiles(event)) mark(--depth > 0);
  });
  addEventListener('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
  });
  addEventListener('drop', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    mark(false);
    // Asked for at once: after the event there is nothing to be had.
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const files = entries.length > 0 ? fromEntries(entries) : fromList([...event.dataTransfer.files]);
    openPanel();
    begin(files);
  });
  addEventListener('beforeunload', (event) => {
    if (job?.isRunning) event.preventDefault();
  });
}

async function* fromList(files) {
  for (const file of files) yield { file, path: file.webkitRelativePath || file.name };
}

// Files of folders and all folders in them. Without a file: what cannot be read.
async function* fromEntries(entries) {
  for (const entry of entries) {
    const path = entry.fullPath.slice(1);
    if (entry.isFile) {
      const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
      yield { file, path };
      continue;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve(null)));
      if (!some) yield { file: null, path };
      if (!some?.length) break; // a reader gives a hundred at a time
      yield* fromEntries(some);
    }
  }
}

export function openPanel() {
  if (panel) return;
  const content = h('div', { class: 'upload' });
  const box = dialog(t('upload'), 'uploading', content);
  panel = { box, content };
  box.addEventListener('close', () => {
    panel = null;
    if (job && !job.isRunning) job = null;
  });
  show();
  job?.drawBehind();
}

function show() {
  if (panel) fill(panel.content, job ? job.view() : chooser());
}

function chooser() {
  const input = (attributes) => {
    const field = h('input', { type: 'file', multiple: true, class: 'hidden', tabindex: '-1', 'aria-hidden': 'true', ...attributes });
    field.addEventListener('change', () => field.files.length > 0 && begin(fromList([...field.files])));
    return field;
  };
  const files = input({ name: 'files' });
  const folder = input({ name: 'folder', webkitdirectory: true });
  return h(
    'div',
    { class: 'drop' },
    icon('upload'),
    h('p', {}, h('strong', {}, t('dropHere'))),
    h('p', { class: 'quiet' }, t('dropText')),
    h(
      'p',
      { class: 'row centred' },
      button(t('chooseFiles'), { glyph: 'file', class: 'primary', onclick: () => files.click() }),
      'webkitdirectory' in folder && button(t('chooseFolder'), { glyph: 'folder', onclick: () => folder.click() }),
    ),
    files,
    folder,
  );
}

async function begin(files) {
  if (job?.isRunning) {
    await job.add(files);
    return;
  }
  job = new Job();
  show();
  await job.add(files);
}

// Files on their way. Each is an entry: {file, path, instance, state, comments, study}; `state`
// is waiting, sending, stored, warned, failed, or skipped.
class Job {
  constructor() {
    this.entries = [];
    this.queue = []; // those that wait
    this.isReading = 0;
    this.abort = new AbortController();
    this.sending = new Map(); // batch → bytes that have gone
    this.runners = 0;
    this.isCancelled = false;
  }

  get isRunning() {
    return this.isReading > 0 || this.runners > 0;
  }

  async add(files) {
    this.isReading += 1;
    this.tell();
    try {
      for await (const { file, path } of files) {
        if (this.isCancelled) break;
        if (IGNORED.test(path.split('/').at(-1))) continue;
        const entry = await looked(file, path);
        this.entries.push(entry);
        if (entry.state === 'waiting') this.queue.push(entry);
        this.tell();
        this.run(false);
      }
    } finally {
      this.isReading -= 1;
      this.run(true);
      this.tell();
    }
  }

  // Start what may run beside what runs; before all files are known, full batches only.
  run(isLast) {
    while (this.runners < AT_ONCE && !this.isCancelled && (isLast || this.isFull())) {
      const batch = this.next();
      if (batch.length === 0) break;
      this.runners += 1;
      this.send(batch).finally(() => {
        this.runners -= 1;
        this.run(this.isReading === 0);
        this.tell();
      });
    }
    if (!this.isRunning) this.finish();
  }

  isFull() {
    return this.queue.length >= BATCH_FILES || sizeOf(this.queue) >= BATCH_BYTES;
  }

  next() {
    const batch = [];
    const names = new Set(); // two files of one instance are told apart by their batches
    const later = [];
    let size = 0;
    while (this.queue.length > 0 && batch.length < BATCH_FILES) {
      const [entry] = this.queue;
      if (size + entry.file.size > BATCH_BYTES && batch.length > 0) break;
      this.queue.shift();
      if (names.has(entry.instance)) {
        later.push(entry);
        continue;
      }
      if (entry.instance) names.add(entry.instance);
      batch.push(entry);
      size += entry.file.size;
      entry.state = 'sending';
    }
    this.queue.unshift(...later);
    return batch;
  }

  async send(batch) {
    try {
      const progress = (sent) => {
        this.sending.set(batch, sent);
        this.tell();
      };
      const results = await store(batch, { signal: this.abort.signal, progress });
      batch.forEach((entry, place) => Object.assign(entry, results[place]));
    } catch (error) {
      const problem = isAbort(error) ? 'cancelled' : error.status === 0 ? 'offline' : 'failed';
      for (const entry of batch) {
        // One that has changed since it was chosen breaks off the request, as a lost connection does
        const isUnread = problem === 'offline' && !(await look(entry.file).catch(() => null));
        Object.assign(entry, { state: 'failed', problem: isUnread ? 'unread' : problem, comments: error.detail ? [error.detail] : [] });
      }
    } finally {
      this.sending.delete(batch);
    }
  }

  cancel() {
    this.isCancelled = true;
    this.abort.abort();
    for (const entry of this.queue.splice(0)) Object.assign(entry, { state: 'failed', problem: 'cancelled' });
    this.tell();
  }

  retry() {
    this.abort = new AbortController();
    this.isCancelled = false;
    this.isTold = false;
    for (const entry of this.entries) {
      if (!mayRetry(entry)) continue;
      Object.assign(entry, { state: 'waiting', problem: undefined, comments: [], reason: 0 });
      this.queue.push(entry);
    }
    this.run(true);
    this.tell();
  }

  finish() {
    if (this.isTold || this.entries.length === 0) return;
    this.isTold = true;
    announce(this.outcome());
    dispatchEvent(new Event('stored'));
  }

  counts() {
    const found = { waiting: 0, sending: 0, stored: 0, warned: 0, failed: 0, skipped: 0 };
    for (const { state } of this.entries) found[state] += 1;
    return found;
  }

  // Draw, at most ten times a second.
  tell() {
    this.drawing ??= setTimeout(() => {
      this.drawing = undefined;
      if (job === this) this.drawBehind();
      if (job === this && panel) this.draw();
    }, 100);
  }

  view() {
    this.meter = h('progress', { max: 1, value: 0, 'aria-label': t('upload') });
    this.said = h('p', { class: 'said' });
    this.actions = h('p', { class: 'row' });
    this.lines = h('ul', { class: 'results-list', tabindex: '0', 'aria-label': t('upload') });
    this.drawn = '';
    this.draw();
    return [this.meter, this.said, this.actions, this.lines];
  }

  progress() {
    const sent = this.entries.filter(({ state }) => ['stored', 'warned', 'failed'].includes(state));
    const all = this.entries.filter(({ state }) => state !== 'skipped');
    const gone = sizeOf(sent) + [...this.sending.values()].reduce((sum, size) => sum + size, 0);
    const total = sizeOf(all);
    const part = total > 0 ? Math.min(1, gone / total) : 0;
    return { part, done: count(sent.length), all: count(all.length), size: bytes(gone), total: bytes(total) };
  }

  // The button of the bar fills while the panel may be closed, and tells what failed behind it.
  drawBehind() {
    const opener = document.querySelector('.upload-button');
    const failed = this.isRunning || panel ? 0 : this.counts().failed;
    opener.classList.toggle('busy', this.isRunning);
    opener.classList.toggle('failed', failed > 0);
    opener.title = failed > 0 ? t('uploadFailed', { n: failed }) : '';
    opener.querySelector('use').setAttribute('href', failed > 0 ? '#i-warning' : '#i-upload');
    opener.style.setProperty('--done', `${100 * this.progress().part}%`);
  }

  draw() {
    const { stored, warned, failed, skipped } = this.counts();
    const progress = this.progress();
    this.meter.hidden = !this.isRunning;
    this.meter.value = progress.part;
    this.said.textContent = this.isRunning ? t('uploadProgress', progress) : this.outcome();
    // What is drawn anew loses the focus: only when it changes.
    const now = [this.isRunning, stored, warned, failed, skipped].join();
    if (now === this.drawn) return;
    this.drawn = now;
    this.drawActions();
    fill(this.lines, this.drawResults());
  }

  outcome() {
    const { stored, warned, failed, skipped } = this.counts();
    const parts = [t('uploadStored', { n: stored + warned })];
    if (failed) parts.push(t('uploadFailed', { n: failed }));
    if (skipped) parts.push(t('uploadSkipped', { n: skipped }));
    return parts.join(' ');
  }

  drawActions() {
    const hadFocus = this.actions.contains(document.activeElement);
    const studies = new Set(this.entries.map(({ study }) => study).filter(Boolean));
    const [study] = studies;
    const open = () => panel?.box.close();
    const actions = this.isRunning
      ? [button(t('cancel'), { glyph: 'close', onclick: () => this.cancel() })]
      : [
          studies.size === 1 && linkButton(t('openStudy'), `#/study/${study}`, { class: 'primary', onclick: open }),
          studies.size > 1 && linkButton(t('toList'), '#/', { class: 'primary', onclick: open }),
          this.entries.some(mayRetry) && button(t('retry'), { onclick: () => this.retry() }),
          button(t('upload'), { glyph: 'upload', onclick: () => again() }),
        ];
    fill(this.actions, actions);
    if (hadFocus) this.actions.querySelector('a, button')?.focus();
  }

  // What needs to be read first: failures, then warnings, then what was left out; what is stored
  // when all of it is.
  drawResults() {
    const order = ['failed', 'warned', 'skipped'];
    if (!this.isRunning) order.push('stored');
    const told = this.entries.filter(({ state }) => order.includes(state));
    told.sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
    const lines = told.slice(0, SHOWN).map(line);
    if (told.length > SHOWN) lines.push(h('li', { class: 'quiet' }, `+ ${count(told.length - SHOWN)}`));
    return lines;
  }
}

function again() {
  job = null;
  show();
  panel.content.querySelector('button').focus();
}

const sizeOf = (entries) => entries.reduce((sum, { file }) => sum + file.size, 0);

const mayRetry = ({ state, problem }) => state === 'failed' && problem !== 'unread';

async function looked(file, path) {
  const entry = { file: file ?? new Blob(), path, state: 'waiting', comments: [] };
  const unread = { ...entry, state: 'failed', problem: 'unread' };
  if (!file) return unread;
  try {
    const { isDicom, isDirectory, instance } = await look(file);
    if (!isDicom || isDirectory) {
      return { ...entry, state: 'skipped', problem: isDirectory ? 'directory' : 'notDicom' };
    }
    return { ...entry, instance };
  } catch {
    return unread;
  }
}

// Failure Reasons that the server has (conformance/STATEMENT.md), in plain words.
const REASONS = { 0x0111: 'duplicate', 0x0117: 'uid', 0xa700: 'resources', 0xc000: 'damaged', 0xc122: 'syntax' };

function line({ path, state, problem, reason, comments }) {
  const glyph = { stored: 'ok', warned: 'warning', failed: 'close', skipped: 'next' }[state];
  const plain = problem ? t(`problem.${problem}`) : state === 'failed' ? t(`problem.${REASONS[reason] ?? 'failed'}`) : t(`state.${state}`);
  return h(
    'li',
    { class: state },
    icon(glyph),
    h('div', {}, h('span', { class: 'path' }, path), h('small', {}, plain), comments.slice(0, 5).map((comment) => h('small', { class: 'comment', lang: 'en' }, comment))),
  );
}
