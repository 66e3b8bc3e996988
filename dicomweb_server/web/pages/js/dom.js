// Elements. What comes from DICOM goes in as text, never as markup.

// h('a', { class: 'card', href: '…', onclick: f, dataset: {…} }, 'text', element, [more])
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'dataset') Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  put(element, children);
  return element;
}

function put(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

// Replace what an element holds.
export function fill(element, ...children) {
  element.replaceChildren();
  put(element, children);
  return element;
}

// The same for what is drawn anew: the link in it that had the focus has it again.
export function refill(element, ...children) {
  const href = element.contains(document.activeElement) && document.activeElement.getAttribute('href');
  fill(element, children);
  if (href) [...element.querySelectorAll('a')].find((link) => link.getAttribute('href') === href)?.focus({ preventScroll: true });
}

// A drawing of index.html, by its name: icon('search').
export function icon(name) {
  const svg = document.getElementById('icon').content.firstElementChild.cloneNode(true);
  svg.firstElementChild.setAttribute('href', `#i-${name}`);
  return svg;
}

// A button with a drawing; `label` is shown, or only told if `quiet`.
export function button(label, { glyph, quiet, ...attributes } = {}) {
  const told = quiet ? { 'aria-label': label, title: label } : {};
  const kind = `button${quiet ? ' square' : ''} ${attributes.class ?? ''}`.trim();
  const shown = quiet ? null : h('span', {}, label);
  const all = { type: 'button', ...told, ...attributes, class: kind };
  return h('button', all, glyph && icon(glyph), shown);
}

// A link that looks like a button.
export function linkButton(label, href, { glyph, ...attributes } = {}) {
  const kind = `button ${attributes.class ?? ''}`.trim();
  return h('a', { href, ...attributes, class: kind }, glyph && icon(glyph), h('span', {}, label));
}

// Tell those who hear the page. Of what is behind an open dialog nothing is heard.
export function announce(text) {
  const live = [...document.querySelectorAll('dialog[open] > [role=status]')].at(-1) ?? document.getElementById('live');
  live.textContent = '';
  // In a task of its own, so that the same words are told again.
  setTimeout(() => {
    live.textContent = text;
  }, 50);
}

// `work` when nothing more has been asked for `wait` milliseconds.
export function debounce(work, wait) {
  let timer = 0;
  const later = (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), wait);
  };
  later.cancel = () => clearTimeout(timer);
  return later;
}
