// What the list and the study page both show.
import { text } from './api.js';
import { h, icon } from './dom.js';
import { date, t } from './i18n.js';

// What a modality is, for those who do not know its code; the code itself of rare ones.
export function explained(code) {
  if (!code) return '';
  const key = `modality.${code}`;
  const words = t(key);
  return words === key ? code : words;
}

export const badge = (code) => h('abbr', { class: 'badge', title: explained(code) }, code);

export const badges = (modalities) => h('span', { class: 'badges' }, modalities.map(badge));

// Birth date and sex, as far as they are known.
export function born(study) {
  const birth = text(study, '00100030');
  const sex = text(study, '00100040');
  const words = ['M', 'F', 'O'].includes(sex) ? t(`sex.${sex}`) : '';
  return [birth && t('bornOn', { date: date(birth) }), words].filter(Boolean).join(', ');
}

// A small picture that is fetched when it comes into sight.
export function picture(address, glyph = 'image') {
  const image = h('img', { src: address, alt: '', loading: 'lazy', decoding: 'async' });
  const frame = h('span', { class: 'thumb' }, image);
  image.addEventListener('error', () => frame.replaceChildren(icon(glyph)));
  return frame;
}
