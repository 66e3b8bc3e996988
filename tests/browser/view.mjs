// What a reader does with OHIF: find a study in the list, open it, look at an image, scroll;
// then open a study of each kind. And what a program does with the npm dicomweb-client.
//
// Called by run.py with the task as JSON on standard input. Every wait is bounded; the status is
// 1 if anything failed: what was to be seen did not come, a request to the server was refused or
// broke, or a page wanted something from outside this machine.
import { readFileSync } from 'node:fs';
import { useClient } from './client.mjs';
import { GREY_LEVELS, IMAGE_WAIT, WAIT, screenshot, until, watched } from './page.mjs';
import { colours, scroll, showing } from './viewport.mjs';

const task = JSON.parse(readFileSync(0));
const COLOURED = 500; // pixels of a colour that a picture of it has at least

async function findStudy(page) {
  await page.goto(`${task.viewer}/`);
  const row = page.getByRole('row').filter({ hasText: task.patient });
  await row.getByRole('cell', { name: `${task.instances}`, exact: true }).waitFor({ timeout: WAIT });
  await row.click();
  await page.getByText(task.patientId).first().waitFor({ timeout: WAIT });
  await page.getByText(task.seriesDescription).first().waitFor({ timeout: WAIT });
  // Without it the decoders of OHIF may not share memory with their page.
  if (!(await page.evaluate(() => window.crossOriginIsolated))) throw new Error('it is not isolated');
  await screenshot(page, task, 'study-list');
  console.log(`The list shows ${task.patient} (${task.patientId}), ${task.instances} instances`);
}

function thumbnail(page, seriesNumber) {
  return page.locator(`[data-cy="study-browser-thumbnail"][data-series="${seriesNumber}"]`);
}

async function openViewer(page) {
  await page.getByRole('button', { name: 'Basic Viewer' }).click({ timeout: WAIT });
  await page.getByText('Skip all').click({ timeout: IMAGE_WAIT }); // a tour covers the image
  await thumbnail(page, task.seriesNumber).dblclick({ timeout: WAIT });
  // The first slice may be all air: the image to look at is the one in the middle.
  const middle = Math.ceil((task.slices + 1) / 2);
  let seen = await showing(page, 1, task.slices, { levels: 0 });
  for (let slice = 2; slice <= middle; slice++) {
    seen = await scroll(page, slice, task.slices, seen, slice < middle ? 0 : GREY_LEVELS);
  }
  await screenshot(page, task, 'viewer');
  console.log(`The viewer shows slice ${middle} of ${task.slices} in ${seen.levels} greys`);
}

// How each kind of study is looked at, by what is to be seen in it. Gives what was seen.
const looks = {
  // One image in many transfer syntaxes: the same pixels on the screen.
  async series(page, names) {
    const first = await showing(page, 1, 1, { title: names[0] });
    for (const [place, name] of names.entries()) {
      if (place === 0) continue;
      await thumbnail(page, place + 1).dblclick({ timeout: WAIT });
      const seen = await showing(page, 1, 1, { title: name });
      await screenshot(page, task, `compressed ${name}`);
      if (seen.sum !== first.sum) throw new Error(`${name} has other pixels than ${names[0]}`);
    }
    return `${names.join(', ')} alike, in ${first.levels} greys`;
  },
  async frames(page, count) {
    const first = await showing(page, 1, count);
    const second = await scroll(page, 2, count, first);
    return `frames 1 and 2 of ${count}, in ${second.levels} greys`;
  },
  // What lies over the images is loaded by a double click, and a question is asked.
  async overlay(page, modality) {
    const { red } = await colours(page);
    await page.getByText(modality, { exact: true }).first().dblclick({ timeout: WAIT });
    await page.getByRole('button', { name: 'Yes', exact: true }).click({ timeout: IMAGE_WAIT });
    const found = await until('something red', IMAGE_WAIT, async () => {
      const now = await colours(page);
      return now.red > red + COLOURED && now;
    });
    return `${modality} on its images, ${found.red} red pixels`;
  },
  async text(page, text) {
    await page.getByText(text).first().waitFor({ timeout: IMAGE_WAIT });
    return `"${text}"`;
  },
  async colours(page, names) {
    const found = await until(names.join(', '), IMAGE_WAIT, async () => {
      const now = await colours(page);
      return names.every((name) => now[name] > COLOURED) && now;
    });
    return names.map((name) => `${found[name]} ${name} pixels`).join(', ');
  },
  // Tiles that come one by one: until no more do.
  async tiles(page, names) {
    let before;
    await until('the last tile', IMAGE_WAIT, async () => {
      const now = await looks.colours(page, names);
      const isSettled = now === before;
      before = now;
      if (!isSettled) await page.waitForTimeout(1000);
      return isSettled;
    });
    return before;
  },
};

async function openStudy(page, study) {
  await page.goto(`${task.viewer}/${study.mode}?StudyInstanceUIDs=${study.uid}`);
  if (study.images) await showing(page, 1, study.images);
  const seen = await looks[study.look](page, study.expected);
  await screenshot(page, task, study.name);
  console.log(`The viewer shows ${study.name}: ${seen}`);
}

// A file is stored by the viewer, and the list shows its study then.
async function upload(page) {
  await page.goto(`${task.viewer}/`);
  await page.getByRole('button', { name: 'Upload' }).click({ timeout: WAIT });
  const buffer = Buffer.from(task.upload.file, 'base64');
  const file = { name: 'uploaded.dcm', mimeType: 'application/dicom', buffer };
  await page.locator('input[type=file]').first().setInputFiles(file);
  await page.getByText('1 file completed.').waitFor({ timeout: WAIT });
  await page.goto(`${task.viewer}/`);
  await page.getByRole('row').filter({ hasText: task.upload.patient }).waitFor({ timeout: WAIT });
  await screenshot(page, task, 'uploaded');
  console.log(`The list shows ${task.upload.patient}, whose file the viewer has stored`);
}

await watched(task, async (page) => {
  await findStudy(page);
  await openViewer(page);
  for (const study of task.studies) await openStudy(page, study);
  await upload(page);
  console.log(`The npm client has ${await useClient(page, task)}`);
});
