// What people do with the image viewer of the server's own page: look through series of every kind,
// set brightness, zoom, compare, on a slow line and with keys alone; and whether what is painted is
// what it is said to be.
//
// Called by web_page.py with the task as JSON on standard input. The status is 1 if anything failed.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { auditColours } from './audit.mjs';
import { WAIT, newPage, until, watched } from './page.mjs';

const task = JSON.parse(readFileSync(0));
task.refused = [/^500 GET .*\/rendered/]; // a fault of this test's own
const LEAST_RATE = 20; // images a second of 300 slices
const BRIGHTNESS = { en: 'Brightness', it: 'Luminosità', fr: 'Luminosité', de: 'Helligkeit' };

const stage = (page, pane = 0) => page.locator('.v-stage').nth(pane);
const slice = async (page, pane = 0) => Number((await stage(page, pane).getAttribute('data-slice')) ?? 0);
const corner = (page, name, pane = 0) => page.locator(`.v-${name}`).nth(pane).innerText();
const tool = (page, name) => page.locator(`[data-tool=${name}]`);
const wait = (page) => page.waitForTimeout(400); // for what would be wrong to come

async function open(page, ...names) {
  await page.goto('about:blank');
  const uids = names.map((name) => task.shown[name].study);
  await page.goto(`${task.server}/#/view/${uids}?series=${task.shown[names[0]].series}`);
  await page.locator('.viewer').waitFor({ timeout: WAIT });
}

const painted = (page, what, isSo = (at) => at > 0, pane = 0) => until(what, WAIT, async () => isSo(await slice(page, pane)));

// Pixels of a pane's picture, or of the server's at `address`, as [width, height, hash, levels].
const pixels = (page, { address = null, pane = 0 } = {}) =>
  page.evaluate(
    async ([where, index]) => {
      let canvas = document.querySelectorAll('.v-pane')[index].querySelector('.v-picture');
      if (where) {
        const picture = await createImageBitmap(await (await fetch(where, { headers: { Accept: 'image/jpeg' } })).blob());
        canvas = Object.assign(document.createElement('canvas'), { width: picture.width, height: picture.height });
        canvas.getContext('2d').drawImage(picture, 0, 0);
      }
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      let hash = 0;
      for (const value of data) hash = (hash * 31 + value) | 0;
      return [canvas.width, canvas.height, hash, new Set(data).size];
    },
    [address, pane],
  );

// Addresses of the pictures of a study's first series, by instance number.
async function addresses(page, name) {
  const { study, series } = task.shown[name];
  const of = `${task.server}/dicomweb/studies/${study}/series/${series}/instances`;
  const answer = await page.request.get(`${of}?includefield=00200013&limit=1000`, { headers: { Accept: 'application/dicom+json' } });
  const found = (await answer.json()).map((item) => [item['00200013'].Value[0], `${of}/${item['00080018'].Value[0]}/frames/1/rendered`]);
  return found.sort(([a], [b]) => a - b).map(([, address]) => address);
}

async function everyKind(page) {
  for (const name of ['ct', 'mr', 'us', 'dx', 'colour', 'seg']) {
    await open(page, name);
    await painted(page, `a picture of ${name}`);
    const [, , , levels] = await pixels(page);
    assert.ok(levels > 2, `${name} has ${levels} levels`);
    await stage(page).getByText('Not for diagnosis.').waitFor();
    assert.equal((await page.locator('.v-banner h1').innerText()).length > 0, true);
    await wait(page);
    await page.screenshot({ path: `${task.results}/page viewer ${name}.png` });
  }
  await open(page, 'long'); // axial
  await painted(page, 'a CT');
  await auditColours(page, task, 'viewer');
  for (const [edge, letter] of Object.entries({ left: 'R', right: 'L', top: 'A', bottom: 'P' })) {
    assert.equal(await corner(page, edge), letter);
  }
  await page.keyboard.press('h');
  assert.equal(await corner(page, 'left'), 'L');
  await page.keyboard.press('r');
  assert.equal(await corner(page, 'top'), 'L'); // what was at the left
  await page.keyboard.press('x');
  assert.equal(await corner(page, 'left'), 'R');
  assert.match(await corner(page, 'scale'), /^\d+ (cm|mm)$/);
}

// What is no picture is shown in the pane.
async function documents(page) {
  const looks = {
    sr: () => page.frameLocator('.v-document iframe').getByText('Nodule in the left upper lobe.').waitFor({ timeout: WAIT }),
    pdf: () => page.locator('.v-document iframe').waitFor({ timeout: WAIT }),
    video: () => until('the video', WAIT, () => page.evaluate(() => document.querySelector('.v-document video')?.videoWidth > 0)),
    ecg: () => until('the tracing', WAIT, () => page.evaluate(() => document.querySelector('.v-document img')?.naturalWidth > 100)),
  };
  for (const [name, look] of Object.entries(looks)) {
    await open(page, name);
    await look();
    assert.ok(await tool(page, 'zoom').isDisabled());
    await wait(page);
    await page.screenshot({ path: `${task.results}/page viewer ${name}.png` });
  }
}

// Every way of scrolling; the slice that is told is the one that is painted, to the pixel.
async function scrolling(page) {
  await open(page, 'long');
  await painted(page, 'the middle', (at) => at === 150);
  const at = await addresses(page, 'long');
  assert.equal(at.length, 300);
  const isExact = async () => assert.deepEqual(await pixels(page), await pixels(page, { address: at[(await slice(page)) - 1] }));
  await isExact();
  for (const [key, wanted] of [['ArrowDown', 151], ['ArrowUp', 150], ['PageDown', 160], ['PageUp', 150], ['End', 300], ['Home', 1]]) {
    await page.keyboard.press(key);
    await painted(page, `slice ${wanted} by ${key}`, (seen) => seen === wanted);
    assert.equal(await page.locator('.v-slice b').innerText(), `${wanted} / 300`);
    await isExact();
  }
  await stage(page).hover();
  for (let notch = 0; notch < 5; notch += 1) await page.mouse.wheel(0, 120);
  await painted(page, 'slice 6 by wheel', (seen) => seen === 6);
  const box = await stage(page).boundingBox();
  await page.mouse.move(box.x + 300, box.y + 100);
  await page.mouse.down();
  await page.mouse.move(box.x + 300, box.y + 300, { steps: 10 });
  await page.mouse.up();
  await painted(page, 'later slices by dragging', (seen) => seen > 20);
  await page.locator('.v-slider').fill('42');
  await painted(page, 'slice 42 by the slider', (seen) => seen === 42);
  await isExact();
  await until('the slice to be told', WAIT, async () => /^42 of 300/.test(await page.locator('#live').textContent()));
}

// What a reader sees while answers come late and in the wrong order.
async function slowAnswers(page) {
  const at = await addresses(page, 'long');
  const hashes = new Map(); // of the picture of each slice
  await open(page, 'long');
  await painted(page, 'the middle');
  for (let index = 139; index < 190; index += 1) hashes.set((await pixels(page, { address: at[index] }))[2], index + 1);
  assert.equal(hashes.size, 51, 'every slice has other pixels');
  let turn = 0;
  await page.route('**/rendered*', async (route) => {
    await new Promise((resolve) => setTimeout(resolve, [700, 50, 400, 10, 250][(turn += 1) % 5]));
    await route.continue().catch(() => {}); // it was given up
  });
  await open(page, 'long');
  await painted(page, 'the middle again', (seen) => seen === 150);
  // At every frame of the screen: what is told, and what is painted
  await page.evaluate(() => {
    globalThis.seen = [];
    const look = () => {
      const canvas = document.querySelector('.v-picture');
      const told = document.querySelector('.v-stage').dataset.slice ?? null;
      const written = document.querySelector('.v-slice b')?.textContent.split(' ')[0] ?? null;
      if (globalThis.seen) requestAnimationFrame(look);
      if (canvas.hidden) return globalThis.seen?.push([told, written, null]);
      if (globalThis.seen?.at(-1)?.[0] === told && Math.random() < 0.8) return;
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      let hash = 0;
      for (const value of data) hash = (hash * 31 + value) | 0;
      globalThis.seen?.push([told, written, hash]);
    };
    look();
  });
  for (const key of 'DDDDDDDDUUUDDDDDDDDDUUUUUUUUUUDDDDDDDDDDDDDDDDDD') {
    await page.keyboard.press(key === 'D' ? 'ArrowDown' : 'ArrowUp');
    await page.waitForTimeout(30);
  }
  const wanted = Number(await page.locator('.v-slider').inputValue());
  await painted(page, `slice ${wanted}`, (seen) => seen === wanted);
  await page.waitForTimeout(900); // for every late answer
  assert.equal(await slice(page), wanted);
  const seen = await page.evaluate(() => {
    const all = globalThis.seen;
    globalThis.seen = null;
    return all;
  });
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  const numbers = new Set();
  for (const [told, written, hash] of seen) {
    assert.equal(written, told);
    if (hash === null) assert.equal(told, null);
    else assert.equal(`${hashes.get(hash)}`, told);
    numbers.add(told);
  }
  assert.ok(numbers.size > 3, `${numbers.size} slices were seen`);
  console.log(`${seen.length} looks at late answers: ${numbers.size} slices, each under its own number`);
}

async function windows(page) {
  await open(page, 'long');
  await painted(page, 'a CT');
  const address = (await addresses(page, 'long'))[149];
  const before = await pixels(page);
  await page.getByRole('combobox', { name: 'Brightness' }).selectOption({ label: 'Lung' });
  await until('the lung window', WAIT, async () => (await corner(page, 'window')).startsWith('Lung'));
  const lung = await pixels(page, { address: `${address}?window=-600,1500,linear` });
  assert.notDeepEqual(lung, before);
  await until('the picture of the lung window', WAIT, async () => `${await pixels(page)}` === `${lung}`);

  // Dragged: seen at once, although the server answers later; then exactly as it says.
  await page.route('**/rendered*window*', async (route) => {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await route.continue().catch(() => {});
  });
  const asked = [];
  page.on('request', (request) => request.url().includes('window=') && asked.push(request.url()));
  await page.locator('[data-tool=window]').click();
  const box = await stage(page).boundingBox();
  await page.mouse.move(box.x + 300, box.y + 300);
  await page.mouse.down();
  await page.mouse.move(box.x + 380, box.y + 260, { steps: 8 });
  await page.waitForTimeout(100);
  const preview = await pixels(page);
  assert.notEqual(preview[2], lung[2]);
  assert.match(await corner(page, 'window'), /^≈ C -?[\d,.]+ W [\d,.]+$/);
  await page.mouse.up();
  await until('the exact picture', WAIT, async () => !(await corner(page, 'window')).startsWith('≈'));
  const last = asked.filter((url) => url.startsWith(address)).at(-1);
  assert.deepEqual(await pixels(page), await pixels(page, { address: last }));
  assert.ok(asked.length < 200);
  await page.unrouteAll({ behavior: 'ignoreErrors' });

  await page.keyboard.press('x');
  await until('the picture as it was', WAIT, async () => `${await pixels(page)}` === `${before}`);
  const grey = () => page.evaluate(() => getComputedStyle(document.querySelector('.v-picture')).filter);
  assert.equal(await grey(), 'none');
  await tool(page, 'invert').click();
  assert.equal(await grey(), 'invert(1)');
  assert.equal(await tool(page, 'invert').getAttribute('aria-pressed'), 'true');

  // Without a window in the file its values are looked through, and the first step is small.
  await open(page, 'dx');
  await painted(page, 'a DX');
  const shown = await corner(page, 'window');
  await page.keyboard.press('w');
  await until('another window', WAIT, async () => {
    const text = await corner(page, 'window');
    return text !== shown && /^C .* W /.test(text);
  });
}

async function zooming(page) {
  const asked = [];
  page.on('request', (request) => request.url().includes('viewport=') && asked.push(decodeURIComponent(request.url())));
  await open(page, 'large');
  await painted(page, 'a large picture');
  const [width] = await pixels(page);
  assert.ok(width < 2000 && width > 400, `asked for ${width} pixels`);
  const box = await stage(page).boundingBox();
  await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
  await page.keyboard.down('Control');
  for (let notch = 0; notch < 8; notch += 1) await page.mouse.wheel(0, -120);
  await page.keyboard.up('Control');
  const detail = page.locator('.v-picture').nth(1);
  await detail.waitFor({ state: 'visible', timeout: WAIT });
  assert.ok(asked.some((url) => /viewport=\d+,\d+,\d+,\d+,\d+,\d+/.test(url)), asked.join());
  await page.screenshot({ path: `${task.results}/page viewer zoomed.png` });
  await stage(page).dblclick();
  await until('nothing sharper at fit', WAIT, async () => (await detail.isHidden()) || (await page.waitForTimeout(200)));
}

async function cine(page) {
  await open(page, 'us');
  await painted(page, 'a clip', (at) => at === 1);
  const count = Number((await page.locator('.v-slice b').innerText()).split(' / ')[1]);
  await page.keyboard.press(' ');
  await page.evaluate(() => {
    globalThis.seen = new Set();
    const picture = document.querySelector('.v-stage');
    new MutationObserver(() => globalThis.seen.add(picture.dataset.slice)).observe(picture, { attributeFilter: ['data-slice'] });
  });
  await until('all of the clip', WAIT, () => page.evaluate((all) => globalThis.seen.size === all, count));
  assert.equal(await tool(page, 'play').innerText(), 'Pause');
  await tool(page, 'play').click();
  const stopped = await slice(page);
  await wait(page);
  assert.equal(await slice(page), stopped);
  await open(page, 'long');
  await painted(page, 'a stack');
  await page.getByRole('combobox', { name: 'Speed' }).selectOption({ label: '30/s' });
  await tool(page, 'play').click();
  const from = await slice(page);
  await page.waitForTimeout(2000);
  const rate = (((await slice(page)) - from + 300) % 300) / 2;
  assert.ok(rate > 10 && rate < 36, `${rate} images a second`);
  await tool(page, 'play').click();
}

async function comparing(page) {
  await open(page, 'prior1', 'prior0');
  await painted(page, 'the first');
  await painted(page, 'the second', undefined, 1);
  await page.keyboard.press('End');
  await painted(page, 'the last of the first', (at) => at === 4);
  await painted(page, 'and of the second', (at) => at === 4, 1);
  await auditColours(page, task, 'viewer two');
  await page.keyboard.press('l');
  assert.equal(await tool(page, 'link').getAttribute('aria-pressed'), 'false');
  await page.keyboard.press('Home');
  await painted(page, 'the first slice', (at) => at === 1);
  await wait(page);
  assert.equal(await slice(page, 1), 4);
  await page.keyboard.press('l'); // from here on at this distance
  await page.keyboard.press('q');
  await page.keyboard.press('ArrowUp');
  await painted(page, 'the one before', (at) => at === 3, 1);
  await page.getByText('Two different patients').waitFor({ state: 'detached', timeout: WAIT });

  // Alone again, and compared with what the viewer finds
  await page.keyboard.press('q');
  await page.keyboard.press('c');
  await page.locator('.v-pane').nth(1).waitFor({ state: 'detached', timeout: WAIT });
  await page.keyboard.press('c');
  await painted(page, 'another study', undefined, 1);
  const chosen = page.getByRole('combobox', { name: 'Study' });
  assert.equal(await chosen.first().inputValue(), task.shown.prior1.study);
  // Not the newer one that another patient has under the same ID
  assert.equal(await chosen.nth(1).inputValue(), task.shown.prior0.study);

  await open(page, 'prior1', 'ct');
  await painted(page, 'a CT of another one', undefined, 1);
  await page.getByText('Two different patients').waitFor({ timeout: WAIT });
}

// A length by dragging is that of the scale bar; by keys it is the way that the image was moved.
async function lengths(page) {
  await open(page, 'long');
  await painted(page, 'a CT');
  await until('the slice to be told', WAIT, async () => /^150 of/.test(await page.locator('#live').textContent()));
  const labels = () => page.locator('.v-measures span').allInnerTexts();
  const told = async () => (await labels()).map((label) => Number(/^([\d.]+) mm$/.exec(label)[1]));
  const bar = await page.locator('.v-scale').first().evaluate((scale) => {
    const [, size, unit] = /([\d.]+) (cm|mm)/.exec(scale.innerText);
    return (size * (unit === 'cm' ? 10 : 1)) / Number.parseFloat(scale.querySelector('.v-bar').style.width);
  });
  await page.keyboard.press('m');
  assert.equal(await tool(page, 'measure').getAttribute('aria-pressed'), 'true');
  const box = await stage(page).boundingBox();
  const at = [box.x + box.width / 2 - 60, box.y + box.height / 2 - 60];
  await page.mouse.move(...at);
  await page.mouse.down();
  await page.mouse.move(at[0] + 120, at[1] + 90, { steps: 6 });
  await page.mouse.up();
  const near = (found, pixels) => assert.ok(Math.abs(found - pixels * bar) < 0.06 * bar + 0.051, `${found} mm of ${pixels} pixels of ${bar} mm`);
  near((await told())[0], 150);
  await until('the length to be told', WAIT, async () => / mm$/.test(await page.locator('#live').textContent()));
  await page.screenshot({ path: `${task.results}/page viewer lengths.png` });

  const before = await labels();
  for (const key of ['+', 'r', 'h']) await page.keyboard.press(key); // however it lies, it is as long
  assert.deepEqual(await labels(), before);
  await page.keyboard.press('ArrowDown');
  await painted(page, 'the next', (seen) => seen === 151);
  assert.deepEqual(await labels(), []); // it is of that slice alone
  await page.keyboard.press('ArrowUp');
  await painted(page, 'the one before', (seen) => seen === 150);
  assert.deepEqual(await labels(), before);
  await page.keyboard.press('x');

  await stage(page).focus();
  await page.keyboard.press('Enter');
  assert.ok(await page.locator('.v-cross').isVisible());
  for (const key of ['Shift+ArrowRight', 'Shift+ArrowRight', 'Shift+ArrowRight']) await page.keyboard.press(key);
  await page.screenshot({ path: `${task.results}/page viewer lengths by keys.png` });
  await page.keyboard.press('Enter');
  assert.ok(await page.locator('.v-cross').isHidden());
  near((await told())[1], 120);
  await page.keyboard.press('Backspace');
  assert.deepEqual(await labels(), before);
  await page.mouse.move(...at);
  await page.mouse.down();
  await page.mouse.move(at[0] + 1, at[1]); // no drag
  await page.mouse.up();
  assert.deepEqual(await labels(), before);
  await page.keyboard.press('Delete');
  assert.deepEqual(await labels(), []);

  for (const [name, words] of [['dx', /^[\d.]+ mm \(at the detector\)$/], ['large', /^\d+ pixels$/]]) {
    await open(page, name);
    await painted(page, name);
    await page.keyboard.press('m');
    await page.mouse.move(...at);
    await page.mouse.down();
    await page.mouse.move(at[0] + 80, at[1]);
    await page.mouse.up();
    assert.match((await labels())[0], words);
    await page.screenshot({ path: `${task.results}/page viewer lengths ${name}.png` });
  }
}

// Zoom, place, turn and window of both sides together, where that is wished.
async function linkedViews(page) {
  await open(page, 'prior1', 'prior0');
  await painted(page, 'the first');
  await painted(page, 'the second', undefined, 1);
  const where = () => page.evaluate(() => [...document.querySelectorAll('.v-pane > .v-stage > .v-picture:first-child')].map((one) => one.style.transform));
  const [, apart] = await where();
  await stage(page).focus();
  await page.keyboard.press('+');
  assert.equal((await where())[1], apart);
  await page.keyboard.press('k');
  assert.equal(await tool(page, 'linkView').getAttribute('aria-pressed'), 'true');
  const together = async () => assert.equal(...(await where()));
  await together();
  for (const key of ['+', 'r', 'Shift+ArrowLeft', 'h', 'f']) {
    await page.keyboard.press(key);
    await together();
  }
  await page.keyboard.press('3');
  await until('the window on both sides', WAIT, async () => {
    const [a, b] = [await corner(page, 'window'), await corner(page, 'window', 1)];
    return a === b && /: /.test(a) && !a.startsWith('≈');
  });
  await page.screenshot({ path: `${task.results}/page viewer linked views.png` });
  await page.keyboard.press('q');
  await page.keyboard.press('x');
  await together();
  await page.keyboard.press('k');
  await page.keyboard.press('+');
  assert.notEqual(...(await where()));
}

async function faults(page) {
  const at = await addresses(page, 'long');
  let isAway = false;
  let broken = new URL(at[151]).pathname;
  await page.route('**/rendered*', (route) => {
    if (isAway) return route.abort('aborted');
    if (new URL(route.request().url()).pathname === broken) return route.fulfill({ status: 500, body: '{}' });
    return route.continue().catch(() => {}); // it was given up
  });
  await open(page, 'long');
  await painted(page, 'the middle', (seen) => seen === 150);
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowDown');
  await page.getByText('Image 152 cannot be shown.').waitFor({ timeout: WAIT });
  assert.equal(await slice(page), 0);
  await page.screenshot({ path: `${task.results}/page viewer fault.png` });
  await page.keyboard.press('ArrowDown');
  await painted(page, 'the one behind', (seen) => seen === 153);
  await page.keyboard.press('ArrowUp');
  broken = null;
  await page.getByRole('button', { name: 'Try again' }).click();
  await painted(page, 'the mended one', (seen) => seen === 152);

  isAway = true;
  await page.keyboard.press('End');
  await page.getByText('No connection to the server. Trying again').waitFor({ timeout: WAIT });
  isAway = false;
  await painted(page, 'the last one, when the server is back', (seen) => seen === 300);
  await page.unrouteAll({ behavior: 'ignoreErrors' });
}

// Nothing but keys: every tool can be reached, and help tells what keys do.
async function keysAlone(page) {
  await open(page, 'ct');
  await painted(page, 'a CT');
  const unreached = new Set(await page.evaluate(() => [...document.querySelectorAll('.viewer :is(button, select, input, .v-stage):not(:disabled)')].filter((one) => one.checkVisibility()).map((one) => one.getAttribute('aria-label') ?? one.innerText)));
  for (let step = 0; step < 80 && unreached.size; step += 1) {
    await page.keyboard.press('Tab');
    unreached.delete(await page.evaluate(() => document.activeElement.getAttribute('aria-label') ?? document.activeElement.innerText));
  }
  assert.deepEqual([...unreached], []);
  await page.keyboard.press('?');
  await page.getByRole('dialog').getByText('More contrast').waitFor({ timeout: WAIT });
  await auditColours(page, task, 'viewer help');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached', timeout: WAIT });
  await page.keyboard.press('t');
  assert.ok(await page.locator('.v-text').isHidden());
  await page.keyboard.press('t');
  const [middle, before] = [await slice(page), await pixels(page)];
  await page.keyboard.press('s');
  await until('a darker picture', WAIT, async () => (await pixels(page))[2] !== before[2]);
  assert.equal(await slice(page), middle);
  const where = () => page.evaluate(() => document.querySelector('.v-picture').style.transform);
  const fitted = await where();
  await page.keyboard.press('+');
  await page.keyboard.press('Shift+ArrowRight');
  assert.notEqual(await where(), fitted);
  await page.keyboard.press('f');
  assert.equal(await where(), fitted);
  await page.getByRole('button', { name: 'Back to the study' }).press('Enter');
  await page.locator('.study-head h1').waitFor({ timeout: WAIT });
}

async function aPhone(first) {
  const page = await newPage(first.context().browser(), task, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true, deviceScaleFactor: 2 });
  await open(page, 'long');
  await painted(page, 'a CT');
  const wide = () => page.evaluate(() => document.documentElement.scrollWidth);
  assert.equal(await wide(), 360);
  await auditColours(page, task, 'viewer phone');
  const small = await page.evaluate(() => [...document.querySelectorAll('.v-tools button')].filter((one) => one.checkVisibility()).map((one) => one.getBoundingClientRect()).filter((box) => box.height < 40 || box.width < 40 || box.right > 360).length);
  assert.equal(small, 0);
  const box = await stage(page).boundingBox();
  const cdp = await page.context().newCDPSession(page);
  const touch = (type, ...points) => cdp.send('Input.dispatchTouchEvent', { type, touchPoints: points.map(([x, y], id) => ({ x: box.x + x, y: box.y + y, id })) });
  await touch('touchStart', [150, 100]);
  for (let y = 110; y <= 200; y += 10) await touch('touchMove', [150, y]);
  await touch('touchEnd');
  await painted(page, 'later slices by a finger', (at) => at > 160);
  const scale = () => page.evaluate(() => Number(/matrix\(([-\d.]+)/.exec(document.querySelector('.v-picture').style.transform)[1]));
  const [at, fitted] = [await slice(page), await scale()];
  await touch('touchStart', [150, 150]);
  await touch('touchStart', [150, 150], [200, 150]);
  for (let step = 10; step <= 60; step += 10) await touch('touchMove', [150 - step, 150], [200 + step, 150]);
  await touch('touchEnd');
  assert.ok((await scale()) > fitted * 2);
  assert.equal(await slice(page), at);
  await page.screenshot({ path: `${task.results}/page viewer phone zoomed.png` });
  await tool(page, 'more').click();
  await tool(page, 'fit').click();
  assert.equal(await scale(), fitted);
  await auditColours(page, task, 'viewer phone tools');
  await tool(page, 'compare').click();
  await tool(page, 'more').click();
  await painted(page, 'a second picture', undefined, 1);
  assert.equal(await wide(), 360);
  await page.screenshot({ path: `${task.results}/page viewer phone two.png` });
  await page.context().close();
}

async function everyLanguage(first) {
  for (const [tag, brightness] of Object.entries(BRIGHTNESS)) {
    const page = await newPage(first.context().browser(), task, { locale: tag });
    await open(page, 'ct');
    await painted(page, 'a CT');
    await page.getByRole('combobox', { name: brightness }).waitFor({ timeout: WAIT });
    const untold = await page.evaluate(() => (document.body.innerText + [...document.querySelectorAll('[aria-label]')].map((one) => one.getAttribute('aria-label'))).match(/\bv[A-Z]\w+(\.\w+)?/g));
    assert.equal(untold, null);
    await page.screenshot({ path: `${task.results}/page viewer ${tag}.png` });
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor({ timeout: WAIT });
    await page.screenshot({ path: `${task.results}/page viewer ${tag} help.png` });
    await page.context().close();
  }
}

// Scrolled as fast as pictures come: every slice is painted before the next one is asked for.
async function rate(page) {
  await open(page, 'long');
  await painted(page, 'the middle');
  await page.keyboard.press('Home');
  await painted(page, 'the first', (at) => at === 1);
  const seconds = await page.evaluate(async () => {
    const picture = document.querySelector('.v-stage');
    const start = performance.now();
    for (let at = 2; at <= 300; at += 1) {
      const here = new Promise((resolve) => {
        const observer = new MutationObserver(() => {
          if (picture.dataset.slice !== String(at)) return;
          observer.disconnect();
          resolve();
        });
        observer.observe(picture, { attributeFilter: ['data-slice'] });
      });
      picture.dispatchEvent(new WheelEvent('wheel', { deltaY: 120, bubbles: true, cancelable: true }));
      await here;
    }
    return (performance.now() - start) / 1000;
  });
  const found = 299 / seconds;
  console.log(`300 slices of 512 x 512 scrolled at ${found.toFixed(1)} images/s (at least ${LEAST_RATE})`);
  assert.ok(found >= LEAST_RATE, `${found.toFixed(1)} images/s`);
}

const parts = { everyKind, documents, scrolling, slowAnswers, windows, zooming, cine, comparing, linkedViews, lengths, faults, keysAlone, aPhone, everyLanguage, rate };
const only = process.env.VIEWER_PARTS?.split(','); // of these alone, while one works on them

await watched(task, async (page) => {
  for (const [name, part] of Object.entries(parts)) {
    if (only && !only.includes(name)) continue;
    const start = Date.now();
    try {
      await part(page);
    } catch (error) {
      throw new Error(`${name}: ${error.message.replace(/\s+/g, ' ')}`);
    }
    console.log(`The viewer: ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
  }
});
