// How the page asks the services, and reads what they say of an upload.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { url } from '../../dicomweb_server/web/pages/js/api.js';
import { store } from '../../dicomweb_server/web/pages/js/stow.js';

test('an address holds its parameters, also in browsers whose parameters tell no size', () => {
  const told = Object.getOwnPropertyDescriptor(URLSearchParams.prototype, 'size');
  delete URLSearchParams.prototype.size; // Safari before 17
  try {
    assert.ok(url('studies', { StudyInstanceUID: '1.2' }).endsWith('/dicomweb/studies?StudyInstanceUID=1.2'));
    assert.ok(url('studies', { limit: '' }).endsWith('/dicomweb/studies'));
  } finally {
    if (told) Object.defineProperty(URLSearchParams.prototype, 'size', told);
  }
});

const uids = (...Value) => ({ Value });
const storedAs = (uid) => ({ '00081155': uids(uid), '00081190': uids('/dicomweb/studies/1.9/series/1') });

// What store() makes of the answers of a server, which is asked with the files of `asked`.
async function storing(context, entries, ...answers) {
  const asked = [];
  class Request {
    upload = {};
    open() {}
    setRequestHeader() {}
    getResponseHeader() {}
    async send(body) {
      asked.push(await body.text());
      Object.assign(this, { status: 200, responseText: JSON.stringify(answers.shift()) });
      this.onload();
      this.onloadend();
    }
  }
  globalThis.XMLHttpRequest = Request;
  context.after(() => delete globalThis.XMLHttpRequest);
  const files = entries.map((instance, place) => ({ instance, file: new Blob([`<file ${place}>`]) }));
  const results = await store(files, { signal: new AbortController().signal, progress() {} });
  return { states: results.map(({ state }) => state), asked };
}

test('a file is stored although its File Meta Information names another instance', async (context) => {
  const answer = { '00081199': uids(storedAs('1.1'), storedAs('1.7')) };
  const { states, asked } = await storing(context, ['1.1', '1.2'], answer);
  assert.deepEqual([states, asked.length], [['stored', 'stored'], 1]);
});

test('files that no answer names are told apart by sending them alone', async (context) => {
  const failed = { '0008119A': uids({ '00081197': uids(0xc000) }) };
  const stored = { '00081199': uids(storedAs('1.7')) };
  const { states, asked } = await storing(context, ['1.2', '1.3'], { ...stored, ...failed }, failed, stored);
  assert.deepEqual(states, ['failed', 'stored']);
  assert.deepEqual(asked.map((body) => body.match(/<file \d>/g)), [['<file 0>', '<file 1>'], ['<file 0>'], ['<file 1>']]);
});
