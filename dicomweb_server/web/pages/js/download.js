// Files out of the archive: the original DICOM as a ZIP file, and pictures.
import { resource } from './api.js';
import { linkButton } from './dom.js';
import { t } from './i18n.js';

// The address of a ZIP file of the originals of a study, series or instance: a plain link, so
// that the browser writes it to disk as it comes.
export const zipUrl = (uids) => resource(uids, { accept: 'application/zip' });

// The address of a picture of an instance or frame as it is shown; `options` are window,
// viewport and the like.
export const jpegUrl = (uids, options = {}) =>
  resource(uids, 'rendered', { ...options, accept: 'image/jpeg' });

// A name for a file of a picture: no patient's name in it, for it may lie about in a folder.
export function jpegName(instance, frame) {
  return `${instance}${frame > 1 ? `-${frame}` : ''}.jpg`;
}

export const zipLink = (uids, label = t('downloadZip'), attributes = {}) =>
  linkButton(label, zipUrl(uids), { glyph: 'download', download: '', ...attributes });

export const jpegLink = (uids, options = {}, attributes = {}) =>
  linkButton(t('downloadJpeg'), jpegUrl(uids, options), {
    glyph: 'image',
    download: jpegName(uids.instance ?? uids.series, uids.frame),
    ...attributes,
  });
