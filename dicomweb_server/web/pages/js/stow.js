// Store a batch of files (STOW-RS, PS3.18 §10.5) and say what became of each.
import { Problem, text, url, values } from './api.js';

const RETRIES = 4; // times that a busy server is asked again
const PATIENCE = 30; // seconds that are waited for it at the most

// `entries`: {file, instance}. Tells `progress` how many bytes have gone. Gives a result an
// entry: {state: 'stored' | 'warned' | 'failed', comments: [...], study}.
export async function store(entries, { signal, progress }) {
  for (let tried = 0; ; tried++) {
    const answer = await post(entries, signal, progress);
    if ([200, 202, 409].includes(answer.status)) return each(entries, outcomes(entries, answer.body), signal);
    if (![429, 503].includes(answer.status) || tried === RETRIES) {
      throw new Problem(answer.status, answer.body?.title ?? '', answer.body?.detail ?? '');
    }
    await pause(Math.min(PATIENCE, Number(answer.retryAfter) || 2), signal);
  }
}

// fetch() tells no progress of what it sends.
function post(entries, signal, progress) {
  // Anew each time: no file can hold it
  const boundary = `page-${[...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(36)).join('-')}`;
  const parts = entries.flatMap(({ file }, place) => [
    `${place ? '\r\n' : ''}--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`,
    file,
  ]);
  const body = new Blob([...parts, `\r\n--${boundary}--\r\n`]);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.open('POST', url('studies'));
    request.setRequestHeader('Content-Type', `multipart/related; type="application/dicom"; boundary=${boundary}`);
    request.setRequestHeader('Accept', 'application/dicom+json');
    request.responseType = 'text';
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onload = () =>
      resolve({
        status: request.status,
        body: parsed(request.responseText),
        retryAfter: request.getResponseHeader('Retry-After'),
      });
    request.onerror = () => reject(new Problem(0, 'network', ''));
    request.onabort = () => reject(new DOMException('cancelled', 'AbortError'));
    request.onloadend = () => signal.removeEventListener('abort', abort);
    signal.addEventListener('abort', abort);
    if (signal.aborted) abort();
    else request.send(body);
  });
}

function parsed(body) {
  try {
    return JSON.parse(body);
  } catch {
    return null;
  }
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const cancel = () => {
      clearTimeout(timer);
      reject(new DOMException('cancelled', 'AbortError'));
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', cancel);
      resolve();
    }, seconds * 1000);
    if (signal.aborted) cancel();
    else signal.addEventListener('abort', cancel);
  });
}

// The answer names instances, not files: each entry is what became of its instance. Some have another
// name in their data set than in their File Meta Information, or are damaged before it (Annex I, Other
// Failures): of several of these that fared differently null is given.
function outcomes(entries, module) {
  const told = new Map();
  for (const item of values(module, '00081199')) {
    const state = values(item, '00081196').length > 0 ? 'warned' : 'stored';
    told.set(text(item, '00081155'), { state, comments: comments(item), study: studyOf(item) });
  }
  for (const item of values(module, '00081198')) told.set(text(item, '00081155'), failed(item));
  const sent = new Set(entries.map(({ instance }) => instance));
  const others = [...told].filter(([instance]) => !sent.has(instance)).map(([, result]) => result);
  others.push(...values(module, '0008119A').map(failed));
  const areAlike = entries.length === 1 || new Set(others.map(({ state }) => state)).size < 2;
  const other = () => (areAlike ? (others.shift() ?? { state: 'failed', comments: [], reason: 0 }) : null);
  return entries.map(({ instance }) => told.get(instance) ?? other());
}

// Those without a result are sent again, each alone: what is stored already stays as it is.
async function each(entries, results, signal) {
  const found = [];
  for (const [place, result] of results.entries()) {
    found.push(result ?? (await store([entries[place]], { signal, progress() {} }))[0]);
  }
  return found;
}

const failed = (item) => ({ state: 'failed', comments: comments(item), reason: Number(text(item, '00081197')) || 0 });

// Error Comments, each in an item of Failed Attributes Sequence.
const comments = (item) => values(item, '00741048').map((one) => text(one, '00000902')).filter(Boolean);

const studyOf = (item) => /\/studies\/([0-9.]+)/.exec(text(item, '00081190'))?.[1] ?? '';
