// The DICOMweb services of this server, and getters of the DICOM JSON Model (PS3.18 Annex F).

export const ROOT = new URL('../', import.meta.url).href; // of the page, with a slash at its end
const BASE = `${ROOT}dicomweb`;

// What the server, or the way to it, refused. `status` is 0 if no answer came; `after` is in how
// many seconds it may be asked again, 0 where that is not told.
export class Problem extends Error {
  constructor(status, title, detail, after = 0) {
    super(detail || title);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.after = after;
  }
}

// Of a page whose address names what can be no study: raises Problem.
export function checkUid(uid) {
  if (!/^[0-9.]{1,64}$/.test(uid)) throw new Problem(404, '', '');
}

export const isAbort = (error) => error?.name === 'AbortError';

// url('studies', uid, 'series', { limit: 5 }): steps of the path, then parameters. Those without
// a value are left out.
export function url(...steps) {
  const parameters = typeof steps.at(-1) === 'object' ? steps.pop() : {};
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== '') query.append(name, value);
  }
  const path = steps.map((step) => encodeURIComponent(step)).join('/');
  const asked = String(query); // its size is not told before Safari 17
  return `${BASE}/${path}${asked && `?${asked}`}`;
}

// The resource of one study, series, instance, frame: what `uids` has of them.
export function resource({ study, series, instance, frame }, ...rest) {
  const steps = ['studies', study];
  if (series) steps.push('series', series);
  if (instance) steps.push('instances', instance);
  if (frame) steps.push('frames', frame);
  return url(...steps, ...rest);
}

// Fetch; raises Problem for every answer but a success, and AbortError if `signal` says so.
export async function get(address, { signal, accept = 'application/dicom+json' } = {}) {
  let response;
  try {
    response = await fetch(address, { signal, headers: { Accept: accept } });
  } catch (error) {
    if (isAbort(error)) throw error;
    throw new Problem(0, 'network', '');
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function problemOf(response) {
  let told = {};
  try {
    told = await response.json();
  } catch {
    // Not ours: a proxy's page, say.
  }
  const after = Number(response.headers.get('Retry-After')) || 0; // a date is none of ours
  return new Problem(response.status, String(told?.title || response.statusText), String(told?.detail || ''), after);
}

// JSON of an address, as of metadata or page.json; null for 204.
export async function json(address, options) {
  const response = await get(address, options);
  return response.status === 204 ? null : response.json();
}

// Search (PS3.18 §10.6): `steps` as of url(). Gives the data sets; `total` of all pages where it
// is known; `next`, the address of the next page, if there is one.
export async function search(steps, parameters = {}, { signal, address } = {}) {
  const response = await get(address ?? url(...steps, parameters), { signal });
  const items = response.status === 204 ? [] : await response.json();
  const total = response.headers.get('X-Total-Count');
  return {
    items,
    total: total === null ? null : Number(total),
    next: nextOf(response.headers.get('Link')),
  };
}

// The next page, at our own address: the server names it by its public one.
function nextOf(link) {
  const found = /<[^>]*\/dicomweb(\/[^>]*)>\s*;\s*rel="?next"?/.exec(link ?? '');
  return found ? BASE + found[1] : null;
}

// Values of an attribute, by its tag ("0020000D"); of a sequence, its items.
export const values = (dataset, tag) => dataset?.[tag]?.Value ?? [];

// The first value as text; several joined by `joint` if one is given.
export function text(dataset, tag, joint) {
  const found = values(dataset, tag).filter((value) => value !== null && value !== undefined);
  const texts = found.map((value) => (typeof value === 'object' ? nameOf(value) : String(value)));
  return joint === undefined ? (texts[0] ?? '') : texts.join(joint);
}

// The first value as a number; null if there is none.
export function number(dataset, tag) {
  const value = values(dataset, tag)[0];
  if (value === undefined || value === null || value === '') return null;
  return Number.isFinite(Number(value)) ? Number(value) : null;
}

// A person's name for people to read: "Rossi, Maria (山田 太郎)".
export function name(dataset, tag = '00100010') {
  const value = values(dataset, tag)[0];
  if (!value) return '';
  return typeof value === 'object' ? nameOf(value) : written(String(value));
}

function nameOf(value) {
  const first = written(value.Alphabetic);
  const second = written(value.Ideographic || value.Phonetic, ' ');
  return first && second ? `${first} (${second})` : first || second;
}

// Family^Given^Middle^Prefix^Suffix (PS3.5 §6.2.1).
function written(group = '', joint = ', ') {
  const [family, given, middle, prefix, suffix] = group.split('^').map((part) => part.trim());
  const rest = [prefix, given, middle].filter(Boolean).join(' ');
  const whole = [family, rest].filter(Boolean).join(joint);
  return suffix ? `${whole}, ${suffix}` : whole;
}
