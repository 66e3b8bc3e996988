// The words of the page, in the reader's language. js/i18n/{en,it,fr,de}.js have them, and
// viewer-{en,it,fr,de}.js those of the image viewer: a plain object of JSON each. Of one language
// they are loaded, and of the viewer when it is opened.

export const LANGUAGES = { en: 'English', it: 'Italiano', fr: 'Français', de: 'Deutsch' };

let language = 'en';
let wanted = 'en'; // the language that was asked for last
let words = {};
const parts = ['']; // what the names of the files that are spoken begin with
let plural = new Intl.PluralRules('en');
let region = 'en'; // the language as the browser has it, as en-GB: for dates and numbers

// The language that was chosen here, else the first of the browser's that there is.
export function preferred() {
  const chosen = stored('language');
  const wanted = [chosen, ...navigator.languages].map((tag) => (tag ?? '').slice(0, 2));
  return wanted.find((tag) => tag in LANGUAGES) ?? 'en';
}

// Speak `tag` from now on; kept for the next visit if `keep`.
export async function speak(tag, { keep = false } = {}) {
  wanted = tag;
  const loaded = await Promise.all(parts.map((part) => import(`./i18n/${part}${tag}.js`)));
  if (wanted !== tag) return; // another one was chosen meanwhile
  words = Object.assign({}, ...loaded.map((one) => one.default));
  language = tag;
  plural = new Intl.PluralRules(tag);
  region = navigator.languages.find((one) => one.startsWith(tag)) ?? tag;
  document.documentElement.lang = tag;
  if (keep) store('language', tag);
}

export const spoken = () => language;

// Know the words of the viewer from now on, too.
export async function speakOfPictures() {
  if (!parts.includes('viewer-')) parts.push('viewer-');
  await speak(language);
}

// The words for `key`, with {values} in their places. Where there are words for one and for
// other, `n` decides, and is written as the language writes numbers.
export function t(key, values = {}) {
  let found = words[key];
  if (found === undefined) return key;
  if (typeof found === 'object') found = found[plural.select(values.n)] ?? found.other;
  return found.replace(/\{(\w+)\}/g, (whole, name) => {
    if (!(name in values)) return whole;
    const value = values[name];
    return typeof value === 'number' ? count(value) : value;
  });
}

export const count = (value) => new Intl.NumberFormat(region).format(value);

// A size in bytes: "12.4 MB".
export function bytes(size) {
  const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte'];
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(size || 1) / 3)));
  const options = { style: 'unit', unit: units[step], unitDisplay: 'short' };
  options.maximumFractionDigits = step > 1 ? 1 : 0;
  return new Intl.NumberFormat(region, options).format(size / 1000 ** step);
}

// A DICOM date (DA, "20240131") as it is written here; as it stands if it is none.
export function date(da, style = 'medium') {
  const found = /^(\d{4})\.?(\d\d)\.?(\d\d)$/.exec(da);
  if (!found) return da;
  const [year, month, day] = found.slice(1).map(Number);
  const when = new Date(Date.UTC(year, month - 1, day));
  if (when.getUTCMonth() !== month - 1) return da;
  return new Intl.DateTimeFormat(region, { dateStyle: style, timeZone: 'UTC' }).format(when);
}

// A DICOM time (TM, "101530.25") to the minute; empty if it is none.
export function time(tm) {
  const found = /^(\d\d):?(\d\d)/.exec(tm);
  if (!found) return '';
  const when = new Date(Date.UTC(2000, 0, 1, Number(found[1]), Number(found[2])));
  return new Intl.DateTimeFormat(region, { timeStyle: 'short', timeZone: 'UTC' }).format(when);
}

// What this browser keeps between visits. Storage may be barred: then nothing is kept.
export function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

export function store(name, value) {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, value);
  } catch {
    // Not kept.
  }
}
