// What people do with the server's own page: search, turn pages, open a study and its documents,
// upload a folder; with a mouse, with keys alone, on a phone, in the dark, in four languages.
//
// Called by web_page.py with the task as JSON on standard input; first with `empty`, when nothing
// is stored yet. The status is 1 if anything failed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { auditColours } from './audit.mjs';
import { WAIT, newPage, until, watched } from './page.mjs';

const task = JSON.parse(readFileSync(0));
// What is refused on purpose: a study that there is not, and a damaged file sent alone.
task.refused = [/^404 GET .*\/studies\/1\.2\.3\//, /^409 POST /];
const PAGE = 25; // studies
const LANGUAGES = {
  en: { studies: 'Studies', warning: 'Not for diagnosis.', upload: 'Upload' },
  it: { studies: 'Esami', warning: 'Non per uso diagnostico.', upload: 'Carica' },
  fr: { studies: 'Examens', warning: 'Non destiné au diagnostic.', upload: 'Envoyer' },
  de: { studies: 'Untersuchungen', warning: 'Nicht für Diagnosezwecke.', upload: 'Hochladen' },
};

const rows = (page) => page.locator('.studies tbody tr');
const heading = (page) => page.locator('main h1');
const names = async (page) => page.locator('.studies .through').allTextContents();

async function home(page, hash = '') {
  await page.goto('about:blank'); // so that another address is another visit
  await page.goto(`${task.server}/${hash}`);
  await heading(page).waitFor({ timeout: WAIT });
}

async function study(page, name) {
  await home(page, `#/study/${task.shown[name].study}`);
  await page.locator('.study-head h1').waitFor({ timeout: WAIT });
}

// Until the list shows what `isSo` says of its names.
const listed = (page, what, isSo) =>
  until(what, WAIT, async () => {
    const busy = await page.locator('.results[aria-busy]').count();
    return busy === 0 && isSo(await names(page));
  });

async function anEmptyArchive(page) {
  await home(page);
  await page.getByText('Nothing is stored yet').waitFor({ timeout: WAIT });
  await auditColours(page, task, 'empty');
}

async function theList(page) {
  await home(page);
  await listed(page, 'the list', (found) => found.length === PAGE);
  const total = Number((await page.locator('.total').textContent()).match(/\d+/)[0]);
  assert.ok(total > PAGE + 5);
  // As they lie on the disk, without a coding: the viewer comes when it is opened
  const loaded = await page.evaluate(() => performance.getEntries().filter(({ name }) => /\/($|js\/|[a-z]+\.(css|js)$)/.test(new URL(name, location).pathname)).reduce((sum, { decodedBodySize = 0 }) => sum + decodedBodySize, 0));
  assert.ok(loaded > 50_000 && loaded <= 150_000, `${loaded} bytes of the page`);
  await page.getByText('Not for diagnosis.').first().waitFor();
  await until('pictures', WAIT, () =>
    page.evaluate(() => [...document.querySelectorAll('.studies img')].some((one) => one.naturalWidth > 1)),
  );
  await auditColours(page, task, 'list');

  const first = await names(page);
  await page.getByRole('button', { name: 'Next page' }).click();
  await listed(page, 'the second page', (found) => found.length > 0 && found[0] !== first[0]);
  assert.match(page.url(), /page=2/);
  assert.match(await page.locator('.pages span').first().textContent(), new RegExp(`26–\\d+ of ${total}`));
  await page.reload(); // by its number now, not by where the last one ended
  await listed(page, 'the second page again', (found) => found.length > 0 && found[0] !== first[0]);
  await page.goBack();
  await listed(page, 'the first page', (found) => found[0] === first[0]);
}

async function search(page) {
  await home(page);
  await listed(page, 'the list', (found) => found.length === PAGE);
  await page.getByLabel('Patient name').pressSequentially('priör', { delay: 20 });
  await listed(page, 'the two of Prior', (found) => found.length === 2 && found.every((one) => one === 'Prior, Paula'));
  await page.getByRole('combobox', { name: 'Date' }).selectOption('range');
  await page.getByRole('textbox', { name: 'From' }).fill('2023-01-01');
  await listed(page, 'the newer of Prior', (found) => found.length === 1);
  assert.match(page.url(), /name=pri.*from=2023-01-01/);
  await page.reload();
  await listed(page, 'the same after a reload', (found) => found.length === 1);
  assert.equal(await page.getByLabel('Patient name').inputValue(), 'priör');
  await page.screenshot({ path: `${task.results}/page search.png` });
  await page.getByLabel('Patient name').fill('Nobody');
  await page.getByText('No study matches').waitFor({ timeout: WAIT });
  await auditColours(page, task, 'nothing found');
  await page.getByRole('button', { name: 'Clear the search' }).first().click();
  await listed(page, 'all of them', (found) => found.length === PAGE);
  assert.equal(new URL(page.url()).hash, '#/');

  await page.getByLabel('Patient ID').fill('PRIOR');
  await listed(page, 'the three of an ID', (found) => found.length === 3);
  await page.getByRole('combobox', { name: 'Kind of image' }).selectOption('MR');
  await page.getByText('No study matches').waitFor({ timeout: WAIT });
  await page.goBack();
  await listed(page, 'the three again', (found) => found.length === 3);

  // A field that the server refuses is told in plain words, and can be mended.
  await page.route('**/dicomweb/studies?*', (route) => route.abort('aborted'), { times: 1 });
  await page.getByLabel('Patient ID').fill('PRIOR-');
  await page.getByText('The server cannot be reached').waitFor({ timeout: WAIT });
  await page.getByRole('button', { name: 'Try again' }).click();
  await listed(page, 'the three after a fault', (found) => found.length === 3);
}

async function order(page) {
  await home(page, '#/?id=PRIOR');
  await listed(page, 'newest first', (found) => found.join() === 'Prior, Paula,Twin, Paula,Prior, Paula');
  await page.getByRole('button', { name: 'Patient', exact: true }).click();
  await listed(page, 'by name', (found) => found.join() === 'Prior, Paula,Prior, Paula,Twin, Paula');
  assert.equal(await page.locator('th.patient').getAttribute('aria-sort'), 'ascending');
  await page.getByRole('button', { name: 'Patient', exact: true }).click();
  await listed(page, 'by name, from the end', (found) => found[0] === 'Twin, Paula');
  assert.equal(await page.locator('th.patient').getAttribute('aria-sort'), 'descending');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Patient');
}

// What is typed while the list is still on its way is not lost, nor is the place in it.
async function slowServer(page) {
  const slow = (route) => setTimeout(() => route.continue().catch(() => {}), 1000);
  await page.route('**/dicomweb/studies?*', slow);
  await home(page);
  await page.getByLabel('Patient name').pressSequentially('prior', { delay: 120 });
  assert.equal(await page.evaluate(() => document.activeElement.name), 'name');
  assert.equal(await page.getByLabel('Patient name').inputValue(), 'prior');
  await listed(page, 'Prior', (found) => found.length === 2);
  await page.unroute('**/dicomweb/studies?*', slow);

  await home(page);
  await listed(page, 'the list', (found) => found.length === PAGE);
  await page.locator('.studies .through').nth(20).focus();
  const place = await page.evaluate(() => scrollY);
  assert.ok(place > 500);
  await page.keyboard.press('Enter');
  await page.locator('.study-head h1').waitFor({ timeout: WAIT });
  await page.goBack();
  await listed(page, 'the list', (found) => found.length === PAGE);
  await until('the place in it', WAIT, () => page.evaluate((y) => Math.abs(scrollY - y) < 5, place));
  assert.equal(await page.evaluate(() => document.activeElement.className), 'through');
}

// An answer that comes late is not shown over a newer one.
async function staleAnswers(page) {
  await home(page);
  await listed(page, 'the list', (found) => found.length === PAGE);
  await page.route('**/dicomweb/studies?*PatientName=Twin*', async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await route.continue().catch(() => {}); // it was given up
  });
  await page.getByLabel('Patient name').fill('Twin');
  await page.waitForTimeout(500);
  await page.getByLabel('Patient name').fill('Prior');
  await listed(page, 'Prior', (found) => found.length === 2);
  await page.waitForTimeout(1800);
  assert.deepEqual(await names(page), ['Prior, Paula', 'Prior, Paula']);
  await page.unroute('**/dicomweb/studies?*PatientName=Twin*');
}

async function theStudy(page) {
  await home(page, '#/?id=PRIOR');
  await rows(page).first().click();
  await page.locator('.study-head h1').waitFor({ timeout: WAIT });
  assert.equal(await page.title(), 'Prior, Paula – dicomweb-server');
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H1');
  await page.getByText('2 other studies of this patient').waitFor({ timeout: WAIT });
  await page.getByText('Another name under the same ID: Twin, Paula').waitFor();
  const compare = page.getByRole('link', { name: /^Compare: Abdomen 2020/ });
  const [one, other] = [task.shown.prior1.study, task.shown.prior0.study];
  assert.equal(await compare.getAttribute('href'), `#/view/${one},${other}`);
  await auditColours(page, task, 'study', { fullPage: true });
  const { ohif } = await (await page.request.get(`${task.server}/page.json`)).json();
  assert.equal(await page.getByRole('link', { name: 'Open in OHIF' }).count(), ohif ? 1 : 0);
  const zip = page.getByRole('link', { name: 'Download originals (ZIP)', exact: true });
  const [download] = await Promise.all([page.waitForEvent('download'), zip.click()]);
  assert.equal(readFileSync(await download.path()).subarray(0, 2).toString(), 'PK');
  assert.match(download.suggestedFilename(), /\.zip$/);
  await page.getByRole('link', { name: 'All studies' }).click();
  await listed(page, 'the search as it was', (found) => found.length === 3);

  for (const name of ['ct', 'mr', 'us', 'dx', 'colour', 'seg']) {
    await study(page, name);
    const { study: uid } = task.shown[name];
    const href = await page.getByRole('link', { name: 'Open images' }).getAttribute('href');
    assert.equal(href, `#/view/${uid}`);
    await until('thumbnails', WAIT, () =>
      page.evaluate(() => [...document.querySelectorAll('.card img')].every((image) => image.naturalWidth > 1)),
    );
  }
  await study(page, 'ct');
  await page.screenshot({ path: `${task.results}/page study ct.png`, fullPage: true });
}

// The picture in the viewer, as it is shown, is had as a file.
async function aJpeg(page) {
  const { study: uid, series, instance } = task.shown.ct;
  await page.goto(`${task.server}/#/view/${uid}?series=${series}&instance=${instance}`);
  await page.locator('.v-stage[data-slice]').first().waitFor({ timeout: WAIT });
  const save = async () => {
    const button = page.locator('[data-tool=save]');
    const [file] = await Promise.all([page.waitForEvent('download'), button.click()]);
    const bytes = readFileSync(await file.path());
    assert.equal(bytes.subarray(0, 3).toString('hex'), 'ffd8ff');
    assert.match(file.suggestedFilename(), /^[0-9.]+(-\d+)?\.jpg$/);
    return page.evaluate(async (text) => {
      const content = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
      const image = await createImageBitmap(new Blob([content], { type: 'image/jpeg' }));
      const context = new OffscreenCanvas(image.width, image.height).getContext('2d');
      context.drawImage(image, 0, 0);
      const { data } = context.getImageData(0, 0, image.width, image.height);
      let sum = 0;
      for (let at = 0; at < data.length; at += 4) sum += data[at];
      return sum / (data.length / 4);
    }, bytes.toString('base64'));
  };
  const mean = await save();
  await page.keyboard.press('i');
  const inverted = await save();
  assert.ok(Math.abs(mean + inverted - 255) < 3, `${mean} and its negative ${inverted}`);
}

// What is no image opens over the study, and closes by its button, Escape and the back button.
const documents = {
  async sr(box) {
    await box.frameLocator('iframe').getByText('Nodule in the left upper lobe.').waitFor({ timeout: WAIT });
  },
  async pdf(box, page) {
    const frame = await (await box.locator('iframe').elementHandle()).getAttribute('src');
    const answer = await page.request.get(frame);
    assert.equal(answer.headers()['content-type'], 'application/pdf');
    await page.waitForTimeout(1500); // the browser's own reader tells nothing
  },
  async video(box, page) {
    await box.locator('video').waitFor({ timeout: WAIT });
    await until('a picture of the video', WAIT, () =>
      page.evaluate(() => document.querySelector('dialog video').videoWidth > 0),
    );
    await page.evaluate(() => document.querySelector('dialog video').play());
    await until('the video to play', WAIT, () =>
      page.evaluate(() => document.querySelector('dialog video').currentTime > 0.2),
    );
  },
  async ecg(box, page) {
    await until('the tracing', WAIT, () =>
      page.evaluate(() => document.querySelector('dialog img')?.naturalWidth > 100),
    );
  },
};

async function theDocuments(page) {
  for (const [name, look] of Object.entries(documents)) {
    await study(page, name);
    await page.locator('.card .through').first().click();
    const box = page.getByRole('dialog');
    await box.waitFor({ timeout: WAIT });
    await look(box, page);
    await box.getByText('Not for diagnosis.').waitFor();
    await auditColours(page, task, `document ${name}`);
    assert.match(page.url(), /open=/);
    await page.goBack();
    await box.waitFor({ state: 'detached', timeout: WAIT });
    await page.locator('.card .through').first().click();
    await box.waitFor({ timeout: WAIT });
    await page.keyboard.press('Escape');
    await box.waitFor({ state: 'detached', timeout: WAIT });
    await until('the address of the study', WAIT, () => !page.url().includes('open='));
    // Straight to the document, as a link in a letter would.
    await home(page, `#/study/${task.shown[name].study}?open=${task.shown[name].instance}`);
    await box.waitFor({ timeout: WAIT });
    await box.getByRole('button', { name: 'Close' }).click();
    await box.waitFor({ state: 'detached', timeout: WAIT });
  }
}

async function unknownStudy(page) {
  await home(page, '#/study/1.2.3');
  await page.getByText('Not found').first().waitFor({ timeout: WAIT });
  await auditColours(page, task, 'not found');
}

async function uploadOfAFolder(page) {
  const { folder, stored, failed, skipped, study: uid } = task.upload;
  await home(page);
  await page.getByRole('button', { name: 'Upload' }).click();
  await auditColours(page, task, 'upload');
  await page.locator('input[name=folder]').setInputFiles(folder);
  await page.locator('.said', { hasText: `${stored} files are stored. ${failed} file could not be stored. ${skipped} other files were left out.` }).waitFor({ timeout: WAIT });
  await page.locator('.results-list .failed').getByText('BROKEN').waitFor();
  await page.getByText('The file is damaged or incomplete').waitFor();
  await page.getByText('Not a DICOM file; left out').first().waitFor();
  await auditColours(page, task, 'uploaded');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.locator('.said', { hasText: '1 file could not be stored.' }).waitFor({ timeout: WAIT });
  await page.getByRole('link', { name: 'Open the study' }).click();
  await page.locator('.study-head h1', { hasText: 'Uploaded, Folder' }).waitFor({ timeout: WAIT });
  assert.match(page.url(), new RegExp(uid.replaceAll('.', '\\.')));
}

// Files are dropped on the page; the upload is cancelled on its way, and done again.
async function uploadByDrop(page) {
  await home(page);
  await page.route('**/dicomweb/studies', async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 1500));
    await route.continue().catch(() => {});
  });
  const bytes = readFileSync(`${task.upload.folder}/DICOM/SE0/IM0000`).toString('base64');
  await page.evaluate((text) => {
    const content = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([content], 'dropped.dcm'));
    const options = { dataTransfer: transfer, bubbles: true, cancelable: true };
    for (const type of ['dragenter', 'dragover', 'drop']) document.body.dispatchEvent(new DragEvent(type, options));
  }, bytes);
  await page.getByRole('progressbar').waitFor({ timeout: WAIT });
  await page.screenshot({ path: `${task.results}/page uploading.png` });
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByText('Not sent: cancelled').waitFor({ timeout: WAIT });
  await page.unroute('**/dicomweb/studies');
  await page.getByRole('button', { name: 'Try again' }).click();
  await page.locator('.said', { hasText: '1 file is stored.' }).waitFor({ timeout: WAIT });
}

// A proxy may put a path in front of all of it.
// A folder is dropped as the desktop does it, with all that is in it.
async function aFolderDropped(page) {
  const { folder, stored, skipped } = task.upload;
  await home(page);
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: [folder], dragOperationsMask: 1 };
  const drag = (type, x) => session.send('Input.dispatchDragEvent', { type, x, y: 400, data });
  await drag('dragEnter', 400);
  await page.locator('body.dropping').waitFor({ timeout: WAIT });
  await page.screenshot({ path: `${task.results}/page dropping.png` });
  // A picture of the screen ends the drag in Chromium at times: moved again, as a hand would.
  await page.evaluate(() => addEventListener('dragover', () => (document.body.dataset.moved = true), { once: true }));
  for (const x of [401, 402]) await drag('dragOver', x);
  await page.locator('body[data-moved]').waitFor({ timeout: WAIT });
  await drag('drop', 402);
  await page.locator('.said', { hasText: `${stored} files are stored.` }).waitFor({ timeout: WAIT });
  await page.locator('.said', { hasText: `${skipped} other files` }).waitFor();
}

async function behindAProxy(page) {
  await page.route(`${task.server}/pacs/**`, async (route) => {
    const response = await route.fetch({ url: route.request().url().replace('/pacs/', '/') });
    await route.fulfill({ response });
  });
  const seen = [];
  page.on('request', (request) => seen.push(new URL(request.url()).pathname));
  await page.goto(`${task.server}/pacs/#/?id=PRIOR`);
  await listed(page, 'the three', (found) => found.length === 3);
  await page.locator('.studies .through').first().click();
  await page.getByText('2 other studies of this patient').waitFor({ timeout: WAIT });
  assert.deepEqual(seen.filter((path) => !path.startsWith('/pacs/')), []);
  await page.unrouteAll({ behavior: 'ignoreErrors' });
}

async function about(page) {
  await home(page);
  await page.getByRole('button', { name: 'About this server' }).click();
  await page.getByText(`${task.server}/dicomweb`).waitFor({ timeout: WAIT });
  await until('totals', WAIT, () => page.locator('.totals dd').count());
  await auditColours(page, task, 'about');
  await page.keyboard.press('Escape');
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'About this server');
}

// Nothing but keys: skip link, search, a row, a document, and back.
async function keysAlone(page) {
  await home(page);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'skip');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'H1');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.name), 'name');
  await page.keyboard.type('Reported');
  await listed(page, 'the report', (found) => found.length === 1);
  const reach = async (what, isIt) => {
    for (let step = 0; step < 40; step++) {
      await page.keyboard.press('Tab');
      if (await page.evaluate(isIt)) return;
    }
    throw new Error(`keys do not reach ${what}`);
  };
  await reach('the study', () => document.activeElement.matches('td .through'));
  await page.keyboard.press('Enter');
  await page.locator('.study-head h1').waitFor({ timeout: WAIT });
  await reach('the report', () => document.activeElement.matches('.card .through'));
  const shown = await page.evaluate(() => getComputedStyle(document.activeElement, '::after').outlineStyle);
  assert.equal(shown, 'solid', 'the focus is to be seen');
  await page.keyboard.press('Enter');
  await page.getByRole('dialog').waitFor({ timeout: WAIT });
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached', timeout: WAIT });
  await until('focus where it was', WAIT, () => page.evaluate(() => document.activeElement.matches('.card .through')));
}

// Nothing is wider than the screen, and what is to be pressed is large enough for a finger.
async function aPhone(page) {
  const fits = async (name) => {
    const [wide, narrow] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= narrow, `${name} is ${wide} pixels wide on a screen of ${narrow}`);
  };
  for (const width of [360, 320]) {
    await page.setViewportSize({ width, height: 740 });
    await home(page);
    await listed(page, 'the list', (found) => found.length === PAGE);
    await fits('the list');
    if (width === 360) await auditColours(page, task, 'phone list');
    await page.getByRole('button', { name: 'More filters' }).click();
    await page.getByLabel('Patient ID').fill('PRIOR');
    await listed(page, 'the three', (found) => found.length === 3);
    await page.getByRole('combobox', { name: 'Sort by' }).selectOption('PatientName');
    await listed(page, 'by name', (found) => found[2] === 'Twin, Paula');
    await page.screenshot({ path: `${task.results}/page phone ${width} search.png` });
    await page.locator('.studies .through').first().click();
    await page.locator('.study-head h1').waitFor({ timeout: WAIT });
    await page.getByText('2 other studies of this patient').waitFor({ timeout: WAIT });
    await fits('the study');
    if (width === 360) await auditColours(page, task, 'phone study', { fullPage: true });
    await page.getByRole('button', { name: 'Upload' }).click();
    await fits('the upload');
    await page.screenshot({ path: `${task.results}/page phone ${width} upload.png` });
    await page.keyboard.press('Escape');
    await study(page, 'sr');
    await page.locator('.card .through').first().click();
    await page.getByRole('dialog').waitFor({ timeout: WAIT });
    await fits('the report');
    await page.screenshot({ path: `${task.results}/page phone ${width} report.png` });
  }
}

async function darkColours(page) {
  await home(page);
  const ground = () => page.evaluate(() => getComputedStyle(document.body.parentElement).backgroundColor);
  const light = await ground();
  const toggle = page.getByRole('button', { name: 'Dark colours' });
  assert.equal(await toggle.getAttribute('aria-pressed'), 'false');
  await toggle.click();
  assert.equal(await toggle.getAttribute('aria-pressed'), 'true');
  const dark = await ground();
  assert.notEqual(dark, light);
  await page.reload();
  await heading(page).waitFor({ timeout: WAIT });
  assert.equal(await ground(), dark, 'the choice is kept');
}

async function everyLanguage(first) {
  const browser = first.context().browser();
  for (const [tag, words] of Object.entries(LANGUAGES)) {
    const page = await newPage(browser, task, { locale: tag });
    await home(page);
    await listed(page, 'the list', (found) => found.length === PAGE);
    assert.equal(await heading(page).textContent(), words.studies);
    assert.equal(await page.evaluate(() => document.documentElement.lang), tag);
    const unsaid = await page.evaluate(() => document.body.textContent.match(/\b(modality|column|search|period)\.\w+/g));
    assert.equal(unsaid, null);
    for (const hash of ['', `#/study/${task.shown.ct.study}`]) {
      await home(page, hash);
      await page.getByText(words.warning).first().waitFor();
      await page.getByRole('button', { name: words.upload }).waitFor();
      await page.screenshot({ path: `${task.results}/page ${tag} ${hash ? 'study' : 'list'}.png` });
    }
    await page.getByRole('button', { name: words.upload }).click();
    await page.screenshot({ path: `${task.results}/page ${tag} upload.png` });
    await page.context().close();
  }
  const page = await newPage(browser, task);
  await home(page);
  await page.locator('.language').selectOption('it');
  await until('Italian', WAIT, async () => (await heading(page).textContent()) === 'Esami');
  await page.reload();
  await until('Italian again', WAIT, async () => (await heading(page).textContent()) === 'Esami');
  await page.context().close();
}

const LOOKS = { theList, search, order, slowServer, staleAnswers, theStudy, aJpeg, theDocuments, unknownStudy, uploadOfAFolder, uploadByDrop, aFolderDropped, behindAProxy, about, keysAlone, darkColours, aPhone, everyLanguage };

await watched(task, async (page) => {
  if (task.empty) {
    await anEmptyArchive(page);
    return;
  }
  const browser = page.context().browser();
  const failures = [];
  for (const [name, look] of Object.entries(LOOKS)) {
    // LOOK names the ones that are wanted, separated by commas.
    if (process.env.LOOK && !process.env.LOOK.split(',').includes(name)) continue;
    const own = await newPage(browser, task);
    own.setDefaultTimeout(WAIT);
    try {
      await look(own);
    } catch (error) {
      await own.screenshot({ path: `${task.results}/page failure ${name}.png` });
      failures.push(`${name}: ${error.message.split('\n').slice(0, 4).join(' ')}`);
    }
    await own.context().close();
  }
  if (failures.length > 0) throw new Error(failures.join('; '));
});
