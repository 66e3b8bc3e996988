// Drawings of the tools, on 24 × 24, drawn as lines.
import { icon } from '../dom.js';

const PATHS = {
  scroll: 'M4 5h16M4 12h16M4 19h16M12 8v8m-2-2 2 2 2-2m-4-4 2-2 2 2',
  window: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 3v18M12 7.5h6.5M12 12h9M12 16.5h6.5',
  zoom: 'M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5 21 21M7.5 10.5h6M10.5 7.5v6',
  pan: 'M12 3v18M3 12h18M9.5 5.5 12 3l2.5 2.5M9.5 18.5 12 21l2.5-2.5M5.5 9.5 3 12l2.5 2.5M18.5 9.5 21 12l-2.5 2.5',
  measure: 'M3 16 16 3l5 5L8 21zM7 12l2 2M10 9l3 3M13 6l2 2',
  linkView: 'M4 4h7v7H4zM13 13h7v7h-7zM14 4h6v6M10 20H4v-6M20 4l-6 6M4 20l6-6',
  invert: 'M4 4h16v16H4zM4 20 20 4v16z',
  zoomIn: 'M12 5v14M5 12h14',
  zoomOut: 'M5 12h14',
  fit: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5',
  actual: 'M6 8l2-2v12M16 8l2-2v12M12 9.5v.01M12 15v.01',
  rotate: 'M19 12a7 7 0 1 1-2.5-5.400M17 2.5v4.5h-4.5',
  flipSides: 'M12 3v18M9 7 3 17h6zM15 7l6 10h-6z',
  flipUpDown: 'M3 12h18M7 9l10-6v6zM7 15l10 6v-6z',
  reset: 'M5 12a7 7 0 1 0 2.5-5.400M7 2.5v4.5h4.5',
  play: 'M7 4.5v15l12-7.5z',
  pause: 'M8 5v14M16 5v14',
  text: 'M5 6V4h14v2M12 4v16M9 20h6',
  link: 'M9.5 14.5l5-5M8 11l-2.5 2.5a3.5 3.5 0 0 0 5 5L13 16M11 8l2.5-2.5a3.5 3.5 0 0 1 5 5L16 13',
  compare: 'M3 5h8v14H3zM13 5h8v14h-8z',
  series: 'M3 4h6v6H3zM3 14h6v6H3zM13 6h8M13 9h5M13 16h8M13 19h5',
  save: 'M12 4v12m-5-5 5 5 5-5M4 15v5h16v-5',
  help: 'M9 9a3 3 0 1 1 4.5 2.600c-1 .6-1.5 1.200-1.5 2.400M12 17.5v.01',
  more: 'M5 12v.01M12 12v.01M19 12v.01',
};

export function glyph(name) {
  const svg = icon('close');
  const path = document.createElementNS(svg.namespaceURI, 'path');
  path.setAttribute('d', PATHS[name]);
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.replaceChildren(path);
  return svg;
}
