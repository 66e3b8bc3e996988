// How an instance is shown: by its SOP Class (PS3.4 §B.5).
const STORAGE = '1.2.840.10008.5.1.4.1.1.';

const REPORTS = '88.11 88.22 88.33 88.34 88.35 88.40 88.50 88.59 88.65 88.67 88.68 88.69 88.70 88.71 88.72 88.73 88.74 88.75 88.76';
const WAVES = '9.1.1 9.1.2 9.1.3 9.1.4 9.2.1 9.3.1 9.4.1 9.4.2 9.5.1 9.6.1 9.6.2 9.7.1 9.7.2 9.7.3 9.7.4 9.8.1';

const KINDS = new Map([
  ...of('report', REPORTS),
  ...of('pdf', '104.1'),
  ...of('file', '104.2 104.3 104.4 104.5'),
  ...of('video', '77.1.1.1 77.1.2.1 77.1.4.1'),
  ...of('wave', WAVES),
]);

// Modalities of series that have nothing to be seen in a viewer of images.
const UNSEEN = new Set(['RTSTRUCT', 'RTPLAN', 'RTRECORD', 'REG', 'FID', 'RWV', 'PLAN', 'SMR', 'STAIN', 'ASMT', 'AU', 'TEXTUREMAP']);

function of(kind, classes) {
  return classes.split(' ').map((last) => [STORAGE + last, kind]);
}

// The classes of what is opened by itself, not in the viewer of images.
export const DOCUMENT_CLASSES = [...KINDS.keys()];

// 'report', 'pdf', 'file', 'video', 'wave', or 'image' for all else.
export const kindOf = (sopClass) => KINDS.get(sopClass) ?? 'image';

export const isUnseen = (modality) => UNSEEN.has(modality);

export const GLYPHS = { report: 'report', pdf: 'report', file: 'file', video: 'video', wave: 'wave', image: 'image' };
