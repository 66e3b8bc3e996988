// Lengths that a reader measures on pictures: lines between two points, kept for each frame while
// the pane is open. They lie in the pixels of the image, and follow it however it is shown.
import { h, icon } from '../dom.js';
import { count, t } from '../i18n.js';
import { distance, spacingAlong, toPane } from './geometry.js';

const MOST = 20; // lines of a frame
const MOST_FRAMES = 500; // that have some; the oldest go
const LEAST = 4; // CSS pixels of a line: less was no drag

export class Measures {
  constructor() {
    this.lines = new Map(); // key of a frame → [[from, to], …]
    this.open = null; // the line that is being drawn
    this.picture = icon('close'); // an empty drawing
    this.picture.setAttribute('class', 'v-lines');
    this.picture.replaceChildren();
    this.labels = h('div');
    this.cross = h('div', { class: 'v-cross', hidden: true });
    this.element = h('div', { class: 'v-measures', 'aria-hidden': 'true' }, this.picture, this.labels, this.cross);
  }

  of = (frame) => this.lines.get(keyOf(frame)) ?? [];

  begin(frame, at) {
    this.open = { frame, line: [at, at] };
  }

  drag(at) {
    if (this.open) this.open.line = [this.open.line[0], at];
  }

  // Keep the line, if it is one at this scale. Gives it, or null.
  end(scale) {
    const { frame, line } = this.open ?? {};
    this.open = null;
    if (!line || Math.hypot(line[1][0] - line[0][0], line[1][1] - line[0][1]) * scale < LEAST) return null;
    const key = keyOf(frame);
    const lines = [...this.of(frame), line].slice(-MOST);
    this.lines.delete(key);
    this.lines.set(key, lines);
    if (this.lines.size > MOST_FRAMES) this.lines.delete(this.lines.keys().next().value);
    return line;
  }

  // The last line of a frame goes. Gives whether there was one.
  undo(frame) {
    const lines = this.of(frame);
    this.lines.set(keyOf(frame), lines.slice(0, -1));
    return lines.length > 0;
  }

  // Draw those of `frame`; none of another one is ever seen.
  draw(frame, view, image, room) {
    const own = this.open && this.open.frame === frame ? [this.open.line] : [];
    const lines = frame && image ? [...this.of(frame), ...own] : [];
    this.picture.replaceChildren();
    this.labels.replaceChildren();
    for (const line of lines) {
      const [a, b] = line.map((point) => toPane(view, image, point)).map(([x, y]) => [x + room.width / 2, y + room.height / 2]);
      for (const kind of ['v-under', 'v-line']) this.picture.append(stroke(this.picture, a, b, kind));
      const label = h('span', {}, lengthText(line, frame));
      label.style.transform = `translate(${(a[0] + b[0]) / 2}px, ${(a[1] + b[1]) / 2}px)`;
      this.labels.append(label);
    }
  }
}

const keyOf = ({ instance, frame }) => `${instance}/${frame}`;

function stroke(svg, a, b, kind) {
  const line = document.createElementNS(svg.namespaceURI, 'path');
  const [across, down] = [b[0] - a[0], b[1] - a[1]];
  const length = Math.hypot(across, down) || 1;
  const [x, y] = [(-down / length) * 6, (across / length) * 6]; // of the ticks at its ends
  const tick = ([left, top]) => `M${left - x} ${top - y}L${left + x} ${top + y}`;
  line.setAttribute('d', `M${a}L${b}${tick(a)}${tick(b)}`);
  line.setAttribute('class', kind);
  return line;
}

// How long a line is: in millimetres, and where those are meant; in pixels where nothing is told.
export function lengthText(line, frame) {
  const spacing = spacingAlong(line, frame);
  if (!spacing) {
    const pixels = Math.hypot(line[1][0] - line[0][0], (line[1][1] - line[0][1]) / frame.aspect);
    return t('vPixels', { n: Math.round(pixels) });
  }
  const mm = distance(line, { ...frame, spacing });
  const written = `${count(Number(mm.toFixed(mm < 100 ? 1 : 0)))} mm`;
  return frame.where === 'detector' ? `${written} (${t('vAtDetector')})` : written;
}
