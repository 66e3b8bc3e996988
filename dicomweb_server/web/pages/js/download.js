// Files out of the archive: the original DICOM as a ZIP file, and pictures.
import { get, resource } from './api.js';
import { h, linkButton } from './dom.js';
import { t } from './i18n.js';

// The address of a ZIP file of the originals of a study, series or instance: a plain link, so
// that the browser writes it to disk as it comes.
export const zipUrl = (uids) => resource(uids, { accept: 'application/zip' });

export const zipLink = (uids) =>
  linkButton(t('downloadZip'), zipUrl(uids), { glyph: 'download', download: '' });

// Save the picture at `address` as a JPEG file; `inverted` if it is shown so. Raises Problem.
export async function savePicture(address, name, inverted) {
  const picture = await (await get(address, { accept: 'image/jpeg' })).blob();
  const href = URL.createObjectURL(inverted ? await negative(picture) : picture);
  h('a', { href, download: `${name}.jpg` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

async function negative(picture) {
  const image = await createImageBitmap(picture);
  const canvas = h('canvas', { width: image.width, height: image.height });
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  context.globalCompositeOperation = 'difference'; // from white
  context.fillStyle = '#fff';
  context.fillRect(0, 0, image.width, image.height);
  image.close();
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.95));
}
