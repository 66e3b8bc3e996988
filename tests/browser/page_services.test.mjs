// How the page asks the services, and reads what they say of an upload.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { url } from '../../dicomweb_server/web/pages/js/api.js';

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
