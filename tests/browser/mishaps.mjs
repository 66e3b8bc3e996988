// What goes wrong while people use the server's own page: servers that are busy, or away, or let
// nobody in; answers that come late; addresses that mean nothing. None of it may leave an empty
// page, show one patient's under another's name, or lead elsewhere than was asked.
//
// Called by web_page.py with the task as JSON on standard input. The status is 1 if anything failed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { WAIT, until, watched } from './page.mjs';

const task = JSON.parse(readFileSync(0));
task.refused = [/^(400|401|404|403|429|500|503) GET /]; // faults of this test's own
const SEARCH = '**/dicomweb/studies?*';
const problem = (status, headers = {}) => ({ status, headers, contentType: 'application/problem+json', body: JSON.stringify({ title: 'no', detail: `told ${status}` }) });
const later = (page) => page.waitForTimeout(700); // for what would be wrong to come

async function go(page, hash = '#/') {
  await page.goto('about:blank');
  await page.goto(`${task.server}/${hash}`);
}

const to = (page, hash) => page.evaluate((wanted) => { location.hash = wanted; }, hash);
const rows = (page) => page.locator('table.studies tbody tr').first().waitFor({ timeout: WAIT });

// An address that nobody could have meant, also of a page that is open already.
async function addresses(page) {
  for (const hash of ['#/study/%E0%A4', '#/nowhere', '#/toString', '#/view/', '#/view/1.2.3.4.5.6', '#/study/1.2.3.4.5.6']) {
    for (const isOpen of [false, true]) {
      await go(page, isOpen ? '#/' : hash);
      if (isOpen) {
        await rows(page);
        await to(page, hash);
      }
      await page.getByRole('heading', { name: 'Not found' }).waitFor({ timeout: WAIT });
      await page.getByRole('link', { name: 'All studies' }).click();
      await rows(page);
    }
  }
}

// Who is busy says when to come again, and is asked again then, by itself.
async function busy(page) {
  for (const status of [503, 429]) {
    let refusals = 2;
    await page.route(SEARCH, (route) => (refusals-- > 0 ? route.fulfill(problem(status, { 'Retry-After': '1' })) : route.continue()));
    await go(page);
    await page.getByText('The server is busy').waitFor({ timeout: WAIT });
    await page.screenshot({ path: `${task.results}/page busy.png` });
    await rows(page);
    assert.ok(refusals < 0);
    await page.unrouteAll();
  }
}

async function barred(page) {
  for (const [status, words] of [[401, 'You are not signed in'], [403, 'This is not open to you'], [500, 'That did not work']]) {
    await page.route(SEARCH, (route) => route.fulfill(problem(status)));
    await go(page);
    await page.getByRole('alert').getByText(words).waitFor({ timeout: WAIT });
    await page.screenshot({ path: `${task.results}/page barred ${status}.png` });
    await page.unrouteAll();
    await page.getByRole('button', { name: 'Try again' }).click();
    await rows(page);
  }
}

// What a view that was left already says of itself is nobody's any more.
async function lateViews(page) {
  const { study } = task.shown.prior0;
  for (const view of ['study', 'view']) {
    await go(page);
    await rows(page);
    const title = await page.title();
    await page.route(`**/studies/${study}/series*`, async (route) => {
      await new Promise((resolve) => setTimeout(resolve, 500));
      await route.continue().catch(() => {});
    });
    await to(page, `#/${view}/${study}`);
    await page.waitForTimeout(150);
    for (const key of ['ArrowDown', 'i', 'c', '3']) await page.keyboard.press(key); // nothing is there to be moved
    await to(page, '#/');
    await rows(page);
    await later(page);
    assert.equal(await page.title(), title);
    await page.unrouteAll({ behavior: 'ignoreErrors' });
  }
}

// A dialog that the address opened is closed with its page, and leads nowhere.
async function dialogs(page) {
  const { study, instance } = task.shown.sr;
  await go(page);
  await rows(page);
  await to(page, `#/study/${study}`);
  await page.locator('.study-head').waitFor({ timeout: WAIT });
  await to(page, `#/study/${study}?open=${instance}`);
  await page.getByRole('dialog').waitFor({ timeout: WAIT });
  await to(page, `#/study/${task.shown.prior0.study}`);
  await page.locator('.study-head h1', { hasText: 'Prior' }).waitFor({ timeout: WAIT });
  await later(page);
  assert.ok((await page.evaluate(() => location.hash)).endsWith(task.shown.prior0.study));
  await page.goBack();
  await page.getByRole('dialog').waitFor({ timeout: WAIT });
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached', timeout: WAIT });
  await later(page);
  assert.equal(await page.evaluate(() => location.hash), `#/study/${study}`);
}

// Of two documents that are asked for in one place the one that was asked for last is shown.
async function lateDocuments(page) {
  await go(page);
  await rows(page);
  const [slow, fast] = ['pdf', 'sr'].map((name) => task.shown[name]);
  await page.route(`**/studies/${slow.study}/**/rendered*`, async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 600));
    await route.continue().catch(() => {});
  });
  const held = await page.evaluate(async ([first, second]) => {
    const { clear, showIn } = await import('./js/document.js');
    const holder = document.createElement('div');
    const both = [showIn(holder, first, 'pdf', 'first'), showIn(holder, second, 'report', 'second')];
    await Promise.all(both);
    const titles = [...holder.children].map((one) => one.title);
    const late = showIn(holder, first, 'pdf', 'first');
    clear(holder);
    await late;
    return [titles, holder.childElementCount];
  }, [slow, fast]);
  assert.deepEqual(held, [['second'], 0]);
  await page.unrouteAll({ behavior: 'ignoreErrors' });
}

// Where the next page began is not where it is for ever: then it is asked for by its number.
async function oldPages(page) {
  await go(page);
  await rows(page);
  const next = page.getByRole('button', { name: 'Next page' });
  let isOld = true;
  await page.route('**/dicomweb/studies*', (route) => {
    const isCursor = !new URL(route.request().url()).searchParams.has('offset') && page.url().includes('page=2');
    return isOld && isCursor ? route.fulfill(problem(400)) : route.continue();
  });
  await next.click();
  await page.getByText('26–').waitFor({ timeout: WAIT });
  isOld = false;
  await page.unrouteAll();
}

// Words that do not come leave those that are there.
async function words(page) {
  await go(page);
  await rows(page);
  await page.route('**/i18n/fr.js', (route) => route.abort('aborted'));
  await page.getByLabel('Language').selectOption('fr');
  await until('the language that is spoken', WAIT, async () => (await page.getByLabel('Language').inputValue()) === 'en');
  await page.getByRole('heading', { name: 'Studies' }).waitFor();
  await page.unrouteAll();
}

// Of two languages that are chosen the last is spoken, whichever comes first.
async function lateWords(page) {
  await go(page);
  await rows(page);
  await page.route('**/i18n/fr.js', async (route) => {
    await page.waitForTimeout(500);
    await route.continue();
  });
  await page.getByLabel('Language').selectOption('fr');
  await page.locator('.language').selectOption('de');
  await page.getByRole('heading', { name: 'Untersuchungen' }).waitFor({ timeout: WAIT });
  await later(page);
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'de');
  await page.locator('.language').selectOption('en');
  await page.getByRole('heading', { name: 'Studies' }).waitFor({ timeout: WAIT });
  await page.unrouteAll();
}

// What is told while a dialog is open is told in it: of all else nothing is heard then.
async function wordsInDialogs(page) {
  await go(page);
  await rows(page);
  const tell = (words) => page.evaluate(async (said) => (await import('./js/dom.js')).announce(said), words);
  await page.getByRole('button', { name: 'About this server' }).click();
  await tell('within');
  await page.getByRole('dialog').getByRole('status').getByText('within').waitFor({ state: 'attached', timeout: WAIT });
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached', timeout: WAIT });
  await tell('without');
  await page.locator('#live').getByText('without').waitFor({ state: 'attached', timeout: WAIT });
}

// Files that are dropped and cannot be read, or hold nothing, are told like all that is not stored.
async function unreadFiles(page) {
  await go(page);
  await rows(page);
  await page.evaluate(() => {
    const away = (_, fail) => fail(new DOMException('gone', 'NotReadableError'));
    const file = { isFile: true, name: 'IM1', fullPath: '/disc/IM1', file: away };
    const bare = { isFile: true, name: 'IM2', fullPath: '/disc/IM2', file: (resolve) => resolve(new File([], 'IM2')) };
    const folder = { isFile: false, fullPath: '/disc/SE1', createReader: () => ({ readEntries: away }) };
    const items = [file, bare, folder].map((entry) => ({ webkitGetAsEntry: () => entry }));
    dispatchEvent(Object.assign(new Event('drop', { cancelable: true }), { dataTransfer: { types: ['Files'], items, files: [] } }));
  });
  const box = page.getByRole('dialog');
  await box.locator('.said').getByText('2 files could not be stored.').waitFor({ timeout: WAIT });
  const lines = (await box.locator('.results-list li').allInnerTexts()).map((line) => line.split('\n').filter(Boolean));
  assert.deepEqual(lines, [['disc/IM1', 'The file cannot be read'], ['disc/SE1', 'The file cannot be read'], ['disc/IM2', 'Not a DICOM file; left out']]);
  assert.equal(await box.getByRole('button', { name: 'Try again' }).count(), 0); // they cannot
}

// A file that has changed since it was chosen breaks off the request that it is in: it is told from
// those that may be sent again.
async function changedFile(page) {
  await go(page);
  await rows(page);
  await page.evaluate(() => {
    XMLHttpRequest.prototype.send = function send() {
      setTimeout(() => ['error', 'loadend'].forEach((name) => this.dispatchEvent(new ProgressEvent(name))));
    };
    const files = ['IM1', 'IM2'].map((name) => new File([new Uint8Array(128), 'DICM', new Uint8Array(64)], name));
    let looks = 0;
    files[0].slice = (...range) => (looks++ ? { arrayBuffer: () => Promise.reject(new DOMException('changed', 'NotReadableError')) } : Blob.prototype.slice.call(files[0], ...range));
    dispatchEvent(Object.assign(new Event('drop', { cancelable: true }), { dataTransfer: { types: ['Files'], items: [], files } }));
  });
  const box = page.getByRole('dialog');
  await box.locator('.said').getByText('2 files could not be stored.').waitFor({ timeout: WAIT });
  const lines = (await box.locator('.results-list li').allInnerTexts()).map((line) => line.split('\n').filter(Boolean));
  assert.deepEqual(lines, [['IM1', 'The file cannot be read'], ['IM2', 'The server could not be reached']]);
}

// A field that was typed in says what is searched for, also when the browser goes back and forth.
async function backWhileTyping(page) {
  await go(page);
  await rows(page);
  const field = page.getByRole('searchbox', { name: 'Patient name' });
  await field.pressSequentially('Prior', { delay: 20 });
  await page.locator('.total').getByText('2 studies').waitFor({ timeout: WAIT });
  assert.equal(await field.inputValue(), 'Prior');
  for (const [way, value] of [['goBack', ''], ['goForward', 'Prior'], ['goBack', '']]) {
    await page[way]();
    await until(`what is searched for after ${way}`, WAIT, async () => (await field.inputValue()) === value);
  }
  assert.ok(await field.evaluate((one) => one === document.activeElement));
}

// A picture that cannot be saved is told of to all, not only to those who hear the page.
async function unsaved(page) {
  await go(page, `#/view/${task.shown.prior0.study}`);
  await page.locator('.v-stage[data-slice]').waitFor({ timeout: WAIT });
  await page.waitForTimeout(500); // for the slices around it
  await page.route('**/rendered*', (route) => route.fulfill(problem(503)));
  await page.locator('[data-tool=save]').click();
  const told = page.locator('.v-message').getByText('The server is busy');
  await told.waitFor({ timeout: WAIT });
  await told.waitFor({ state: 'hidden', timeout: WAIT });
  assert.ok(await page.locator('.v-stage[data-slice]').isVisible());
  await page.unrouteAll();
}

// An upload that ends behind a page draws it anew: who goes by keys stays where they are.
async function focusKept(page) {
  for (const [hash, link] of [['#/', 'table.studies .through >> nth=3'], [`#/study/${task.shown.prior0.study}`, '.lines a >> nth=0']]) {
    await go(page, hash);
    await page.locator(link).waitFor({ timeout: WAIT });
    await page.locator(link).focus();
    const old = await page.locator(link).elementHandle();
    await page.evaluate(() => dispatchEvent(new Event('stored')));
    await until('the page to be drawn anew', WAIT, () => old.evaluate((one) => !one.isConnected));
    await until('the focus', 2000, () => page.locator(link).evaluate((one) => one === document.activeElement));
  }
}

// What is marked in a dialog, to be copied, may be dragged over its edge.
async function markedText(page) {
  await go(page);
  await rows(page);
  await page.getByRole('button', { name: 'About this server' }).click();
  const box = page.getByRole('dialog');
  const [from, edge] = [await box.locator('code').first().boundingBox(), await box.boundingBox()];
  await page.mouse.move(from.x + 5, from.y + 5);
  await page.mouse.down();
  await page.mouse.move(edge.x + edge.width + 40, from.y + 5, { steps: 4 });
  await page.mouse.up();
  await page.waitForTimeout(200);
  assert.ok(await box.isVisible());
  await page.mouse.click(edge.x + edge.width + 40, from.y + 5);
  await box.waitFor({ state: 'detached', timeout: WAIT });
}

// An upload goes on behind a closed panel: that some of it failed is to be seen all the same.
async function failedBehind(page) {
  await go(page);
  await rows(page);
  await page.evaluate(() => {
    XMLHttpRequest.prototype.send = function send() {
      setTimeout(() => ['error', 'loadend'].forEach((name) => this.dispatchEvent(new ProgressEvent(name))), 800);
    };
    const files = [new File([new Uint8Array(128), 'DICM', new Uint8Array(64)], 'IM1')];
    dispatchEvent(Object.assign(new Event('drop', { cancelable: true }), { dataTransfer: { types: ['Files'], items: [], files } }));
  });
  await page.keyboard.press('Escape');
  const opener = page.getByTitle('1 file could not be stored.');
  await opener.waitFor({ timeout: WAIT });
  await page.screenshot({ path: `${task.results}/page upload failed.png` });
  await opener.click();
  await page.getByRole('dialog').locator('.said').getByText('1 file could not be stored.').waitFor({ timeout: WAIT });
  await page.keyboard.press('Escape');
  assert.equal(await opener.count(), 0);
  assert.equal(await page.locator('.upload-button use').getAttribute('href'), '#i-upload');
}

// Browsers of some years ago, as of phones that get no newer one, have colours all the same.
async function oldBrowser(page) {
  await page.route('**/*.css', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: (await response.text()).replaceAll('light-dark(', 'unknown(') });
  });
  await go(page);
  await rows(page);
  const colours = await page.evaluate(() => [document.documentElement, document.querySelector('.upload-button')].map((one) => getComputedStyle(one).backgroundColor));
  assert.deepEqual(colours, ['rgb(244, 246, 248)', 'rgb(11, 107, 115)']);
  await page.screenshot({ path: `${task.results}/page old browser.png` });
  await page.unrouteAll();
}

// Of two studies the one that there is is shown, and of the other it is told that it is not; and a
// slow one leaves nothing of another under its name.
async function halfCompared(page) {
  const [first, second] = ['prior0', 'prior1'].map((name) => task.shown[name].study);
  const pane = (place) => page.locator('.v-pane').nth(place);
  await go(page, `#/view/${first},1.2.3.4.5.6`);
  await pane(0).locator('.v-stage[data-slice]').waitFor({ timeout: WAIT });
  await pane(1).getByText('Not found').waitFor({ timeout: WAIT });
  assert.equal(await pane(1).getByLabel('Study').locator('option:checked').innerText(), '–');
  await go(page, `#/view/${first},${first}`);
  await pane(1).locator('.v-stage[data-slice]').waitFor({ timeout: WAIT });
  await page.route(`**/studies/${second}/series?*`, async (route) => {
    await page.waitForTimeout(1500);
    await route.continue().catch(() => {});
  });
  const study = pane(1).getByLabel('Study');
  await until('the other study to be there to choose', WAIT, async () => (await study.locator('option').count()) > 1);
  await study.selectOption(second);
  await pane(1).getByText('Loading').waitFor({ timeout: WAIT });
  assert.equal(await pane(1).locator('.v-stage[data-slice]').count(), 0);
  assert.equal(await pane(1).locator('.v-study').innerText(), '');
  assert.equal(await study.inputValue(), second);
  await pane(1).locator('.v-stage[data-slice]').waitFor({ timeout: WAIT });
  assert.match(await pane(1).locator('.v-study').innerText(), /2023/);
  await page.unrouteAll({ behavior: 'ignoreErrors' });
}

// The viewer is fetched when it is wanted first; the way to the server may be gone by then.
async function lateParts(page) {
  for (const part of ['viewer/index.js', 'viewer/stacks.js', 'viewer-en.js', 'viewer.css']) {
    await go(page);
    await rows(page);
    await page.route(`**/${part}`, (route) => route.abort('aborted'));
    await to(page, `#/view/${task.shown.prior0.study}`);
    await page.getByRole('alert').getByText('The server cannot be reached').waitFor({ timeout: WAIT });
    await page.unrouteAll();
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.locator('.v-stage[data-slice]').waitFor({ timeout: WAIT });
  }
}

// A video of a kind that the browser cannot play is told of, and may be had.
async function unplayable(page) {
  const { study, instance } = task.shown.video;
  await page.route('**/rendered?accept=video*', (route) => route.fulfill({ contentType: 'video/mp4', body: 'no video' }));
  for (const hash of [`#/view/${study}`, `#/study/${study}?open=${instance}`]) {
    await go(page, hash);
    await page.getByText('This video cannot be played here').waitFor({ timeout: WAIT });
    await page.getByRole('link', { name: 'Download originals (ZIP)' }).last().waitFor({ timeout: WAIT });
  }
  await page.unrouteAll();
}

const parts = { addresses, busy, barred, lateViews, dialogs, lateDocuments, oldPages, words, lateWords, wordsInDialogs, unreadFiles, changedFile, backWhileTyping, unsaved, focusKept, markedText, failedBehind, oldBrowser, halfCompared, lateParts, unplayable };
const only = process.env.VIEWER_PARTS?.split(','); // of these alone, while one works on them

await watched(task, async (page) => {
  const [errors, failures] = [[], []];
  page.on('pageerror', (error) => errors.push(error.message));
  for (const [name, part] of Object.entries(parts)) {
    if (only && !only.includes(name)) continue;
    try {
      await part(page);
      assert.deepEqual(errors.splice(0), []);
      console.log(`Mishaps: ${name}`);
    } catch (error) {
      failures.push(`${name}: ${error.message.replace(/\s+/g, ' ')}`);
      await page.unrouteAll({ behavior: 'ignoreErrors' });
      errors.splice(0);
    }
  }
  assert.deepEqual(failures, []);
});
