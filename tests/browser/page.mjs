// One page of a browser that is watched: what was refused, broke, or left this machine.
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

export const WAIT = 20_000; // ms for a part of a page to show up
export const IMAGE_WAIT = 60_000; // ms for an image, with all that OHIF loads and compiles before it
export const GREY_LEVELS = 50; // an empty viewport has one, its frame and text are not on the canvas

const problems = []; // these fail the test
const complaints = []; // of the pages; told when the test fails

// Run `look` with a page; the exit status is 1 if it failed, or if anything went wrong beside it.
export async function watched(task, look) {
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
    const page = await newPage(browser, task);
    try {
      await look(page);
    } catch (error) {
      problems.push(error.message.split('\n').slice(0, 6).join(' '), error.stack.split('\n').find((line) => line.includes('.mjs')));
      await screenshot(page, task, 'failure');
    }
  } finally {
    await browser.close();
  }
  if (problems.length > 0) report();
}

// A watched page without anything kept from others; `options` as of newContext.
export async function newPage(browser, task, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    serviceWorkers: 'block', // their requests would not be seen here
    ...options,
  });
  const page = await context.newPage();
  watch(page, task);
  return page;
}

function watch(page, task) {
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
    const isExpected = task.refused?.some((pattern) => pattern.test(line));
    if (response.status() >= 400 && !isExpected) problems.push(line);
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
    // What the policy keeps OHIF from would be missed by its user. (From the style that Playwright
    // itself puts into a page for a screenshot, the page of our own is kept.)
    const isKept = message.text().includes('Content Security Policy');
    if (isKept && message.location().url.startsWith(task.viewer)) problems.push(message.text());
    if (message.type() === 'error') complaints.push(`console: ${message.text()}`);
  });
}

function report() {
  for (const line of problems.slice(0, 20)) console.error(`  ${line}`);
  // One refused frame makes OHIF complain a hundred times: the first line of each kind will do.
  const firstLines = new Set(complaints.map((text) => text.split('\n')[0].slice(0, 250)));
  for (const line of [...firstLines].slice(0, 10)) console.error(`  ${line}`);
  process.exitCode = 1;
}

export async function screenshot(page, task, name) {
  return page.screenshot({ path: join(task.results, `${name}.png`) });
}

export async function until(what, milliseconds, isSo) {
  const end = Date.now() + milliseconds;
  for (;;) {
    if (problems.length > 0) throw new Error(`it was of no use to wait for ${what}`);
    const found = await isSo();
    if (found) return found;
    if (Date.now() > end) throw new Error(`waited ${milliseconds / 1000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}
