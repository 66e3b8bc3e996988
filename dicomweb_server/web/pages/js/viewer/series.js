// What the viewer asks the server for.
import { checkUid, get, json, resource, search, text } from '../api.js';
import { FIELDS, read } from './frames.js';
import { stacks } from './stacks.js';
import { measured, parameter } from './windows.js';

const RETRIED = new Set([0, 408, 429, 502, 503, 504]);
const MOST_MEASURED = 64 << 20; // bytes of a frame whose values are looked through here

// A study with its series: {study, uid, series: [{uid, …}]}, data sets of searches.
export async function loadStudy(uid, signal) {
  checkUid(uid);
  const fields = { includefield: 'all' };
  const [studies, series] = await Promise.all([
    search(['studies'], { StudyInstanceUID: uid, ...fields }, { signal }),
    search(['studies', uid, 'series'], fields, { signal }),
  ]);
  return { uid, study: studies.items[0], series: series.items.map((item) => ({ uid: text(item, '0020000E'), item })) };
}

// Other studies of the patient, newest first; none where there is no Patient ID.
export async function loadOthers({ study }, signal) {
  const PatientID = text(study, '00100020');
  if (!PatientID || /[*?\\]/.test(PatientID)) return [];
  const { items } = await search(['studies'], { PatientID, includefield: 'all', limit: 50 }, { signal });
  return items.filter((item) => text(item, '00100021') === text(study, '00100021'));
}

// The stacks of a series. Every frame then knows where it is.
export async function loadSeries(study, series, signal) {
  const datasets = await json(resource({ study, series }, 'metadata', { includefield: FIELDS }), { signal });
  const found = stacks((datasets ?? []).map(read));
  for (const { phases } of found) {
    for (const [phase, frames] of phases.entries()) {
      for (const [index, frame] of frames.entries()) Object.assign(frame, { study, series, phase, index });
    }
  }
  return found;
}

// The address of a picture. `region` is of the image; `box` is [width, height] to fit it into.
export function address(frame, { window, box, region } = {}) {
  const { study, series, instance, fixed } = frame;
  const viewport = box && [...box, ...(region ? [region.x, region.y, region.width, region.height] : [])].join(',');
  const parameters = { window: window ? parameter(window) : '', viewport };
  return resource({ study, series, instance, frame: fixed ? undefined : frame.frame }, 'rendered', parameters);
}

// Fetch and decode a picture.
export async function loadPicture(where, signal) {
  try {
    const response = await get(where, { signal, accept: 'image/jpeg' });
    const picture = await createImageBitmap(await response.blob());
    return { picture, bytes: picture.width * picture.height * 4 };
  } catch (error) {
    // A body that breaks off is a failure of the network, too
    error.passing = RETRIED.has(error.status ?? (error instanceof TypeError ? 0 : 500));
    throw error;
  }
}

// The window of a frame that has none: the range of its values. Null if that cannot be told.
export async function measure(frame, signal) {
  const { study, series, instance, rows, columns, bits } = frame;
  if (rows * columns * (bits / 8) > MOST_MEASURED) return null;
  const where = resource({ study, series, instance, frame: frame.frame });
  const response = await get(where, { signal, accept: 'application/octet-stream' });
  return measured(await response.arrayBuffer(), frame);
}
