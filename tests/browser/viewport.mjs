// What can be seen in OHIF's viewport.
import { GREY_LEVELS, IMAGE_WAIT, until } from './page.mjs';

// The texts in the corners, how many greys, and a number that changes with the image. Runs in
// the page.
function lookAtViewport() {
  const text = (corner) =>
    document.querySelector(`[data-cy="viewport-overlay-${corner}"]`)?.innerText ?? '';
  const canvas = document.querySelector('.cornerstone-canvas');
  const seen = { place: text('bottom-right'), title: text('top-left'), levels: 0, sum: 0 };
  if (!canvas?.width || !canvas.height) return seen;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const levels = new Set();
  for (let i = 0; i < data.length; i++) {
    if (i % 4 === 0) levels.add(data[i]);
    seen.sum = (seen.sum * 31 + data[i]) % 2147483647;
  }
  seen.levels = levels.size;
  return seen;
}

// Wait for the slice or frame `number` (1 is the first) of so many, in more than so many greys,
// with other pixels than what was seen before, under a title with this text.
export function showing(page, number, count, { levels = GREY_LEVELS, before, title = '' } = {}) {
  const place = new RegExp(`(^|\\D)${number}/${count}(\\D|$)`);
  return until(`${title} ${number} of ${count} in more than ${levels} greys`, IMAGE_WAIT, async () => {
    const seen = await page.evaluate(lookAtViewport);
    const isThere = place.test(seen.place) && seen.title.includes(title);
    return isThere && seen.levels > levels && seen.sum !== before?.sum && seen;
  });
}

export async function scroll(page, number, count, before, levels = GREY_LEVELS) {
  await page.locator('.cornerstone-canvas').first().hover();
  await page.mouse.wheel(0, 100);
  return showing(page, number, count, { levels, before });
}

// Pixels of the viewport, with all that lies over it, that are clearly of each colour.
export async function colours(page) {
  const clip = { x: 290, y: 55, width: 950, height: 735 };
  const png = (await page.screenshot({ clip })).toString('base64');
  return page.evaluate(async (data) => {
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }));
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    context.drawImage(bitmap, 0, 0);
    const { data: pixels } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    const found = { red: 0, green: 0, blue: 0 };
    for (let i = 0; i < pixels.length; i += 4) {
      const [red, green, blue] = pixels.subarray(i, i + 3);
      if (red > green + 50 && red > blue + 50) found.red++;
      if (green > red + 50 && green > blue + 50) found.green++;
      if (blue > red + 50 && blue > green + 50) found.blue++;
    }
    return found;
  }, png);
}
