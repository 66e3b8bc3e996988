// What a reader does with OHIF: find a study in the list, open it, look at an image, scroll.
//
// Called by run.py with the task as JSON. Every wait is bounded; the status is 1 if anything
// failed: what was to be seen did not come, a request to the server was refused or broke, or
// a page wanted something from outside this machine.
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const task = JSON.parse(process.argv[2]);
const WAIT = 20_000; // ms for a part of a page to show up
const IMAGE_WAIT = 60_000; // ms for an image, with all that OHIF loads and compiles before it
const GREY_LEVELS = 50; // an empty viewport has one, its frame and text are not on the canvas

const problems = []; // these fail the test
const complaints = []; // of the pages; told when the test fails

function watch(page) {
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (/^(https?|wss?):$/.test(url.protocol) && url.hostname !== '127.0.0.1') {
      problems.push(`left this machine: ${request.method()} ${request.url()}`);
    }
  });
  page.on('response', (response) => {
    if (!response.url().startsWith(task.server)) return;
    const line = `${response.status()} ${response.request().method()} ${response.url()}`;
    appendFileSync(join(task.results, 'requests.log'), `${line}\n`);
    if (response.status() >= 400) problems.push(line);
  });
  page.on('requestfailed', (request) => {
    const why = request.failure()?.errorText;
    // OHIF gives up requests of a page that it leaves.
    if (request.url().startsWith(task.server) && why !== 'net::ERR_ABORTED') {
      problems.push(`${why}: ${request.method()} ${request.url()}`);
    }
  });
  page.on('pageerror', (error) => complaints.push(`page error: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`console: ${message.text()}`);
  });
}

async function screenshot(page, name) {
  await page.screenshot({ path: join(task.results, name) });
}

async function findStudy(page) {
  await page.goto(`${task.viewer}/`);
  const row = page.getByRole('row').filter({ hasText: task.patient });
  await row.getByRole('cell', { name: `${task.instances}`, exact: true }).waitFor({ timeout: WAIT });
  await row.click();
  await page.getByText(task.patientId).first().waitFor({ timeout: WAIT });
  await page.getByText(task.seriesDescription).first().waitFor({ timeout: WAIT });
  await screenshot(page, 'study-list.png');
  console.log(`The list shows ${task.patient} (${task.patientId}), ${task.instances} instances`);
}

// What the first viewport shows: the text with the slice's place in the series, how many
// greys, and a number that changes with the image. Runs in the page.
function lookAtViewport() {
  const text = document.querySelector('[data-cy="viewport-overlay-bottom-right"]')?.innerText;
  const canvas = document.querySelector('.cornerstone-canvas');
  const seen = { text, levels: 0, sum: 0 };
  if (!canvas?.width || !canvas.height) return seen;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const levels = new Set();
  for (let i = 0; i < data.length; i += 4) {
    levels.add(data[i]);
    seen.sum = (seen.sum * 31 + data[i]) % 2147483647;
  }
  seen.levels = levels.size;
  return seen;
}

async function until(what, milliseconds, isSo) {
  const end = Date.now() + milliseconds;
  for (;;) {
    if (problems.length > 0) throw new Error(`it was of no use to wait for ${what}`);
    const found = await isSo();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${milliseconds / 1000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

async function openViewer(page) {
  await page.getByRole('button', { name: 'Basic Viewer' }).click({ timeout: WAIT });
  await page.getByText('Skip all').click({ timeout: IMAGE_WAIT }); // a tour covers the image
  await page
    .locator(`[data-cy="study-browser-thumbnail"][data-series="${task.seriesNumber}"]`)
    .dblclick({ timeout: WAIT });
  // The first slice may be all air: the image to look at is the one in the middle.
  const middle = Math.ceil((task.slices + 1) / 2);
  let seen = await showing(page, 1, 0);
  await page.locator('.cornerstone-canvas').first().hover();
  for (let slice = 2; slice <= middle; slice++) {
    await page.mouse.wheel(0, 100);
    seen = await showing(page, slice, slice < middle ? 0 : GREY_LEVELS, seen);
  }
  await screenshot(page, 'viewer.png');
  console.log(`The viewer shows slice ${middle} of ${task.slices} in ${seen.levels} greys`);
}

// Wait until a slice (1 is the first) is on the canvas, with more than so many greys, and
// with other pixels than what was seen before.
function showing(page, slice, levels, before) {
  return until(`slice ${slice} in more than ${levels} greys`, IMAGE_WAIT, async () => {
    const seen = await page.evaluate(lookAtViewport);
    const isThere = seen.text?.includes(`(${slice}/${task.slices})`);
    return isThere && seen.levels > levels && seen.sum !== before?.sum && seen;
  });
}

const browser = await chromium.launch({
  executablePath: task.chromium,
  headless: true,
  args: [
    '--no-sandbox', // which Chromium has not when root runs it
    '--enable-unsafe-swiftshader', // WebGL without a graphics card
    '--ignore-gpu-blocklist',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
  ],
});
try {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    serviceWorkers: 'block', // their requests would not be seen here
  });
  const page = await context.newPage();
  watch(page);
  try {
    await findStudy(page);
    await openViewer(page);
  } catch (error) {
    problems.push(error.message.split('\n')[0]);
    await screenshot(page, 'failure.png');
  }
} finally {
  await browser.close();
}
if (problems.length > 0) {
  for (const line of problems.slice(0, 20)) console.error(`  ${line}`);
  // One refused frame makes OHIF complain a hundred times: the first line of each kind will do.
  const firstLines = new Set(complaints.map((text) => text.split('\n')[0].slice(0, 250)));
  for (const line of [...firstLines].slice(0, 10)) console.error(`  ${line}`);
  process.exitCode = 1;
}
