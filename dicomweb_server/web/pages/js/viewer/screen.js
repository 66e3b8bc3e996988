// The two canvases of a pane: the picture, and above it a sharper part of the same picture.
import { h } from '../dom.js';
import { matrix } from './geometry.js';
import { remap } from './windows.js';

export class Screen {
  constructor() {
    this.base = h('canvas', { class: 'v-picture' });
    this.detail = h('canvas', { class: 'v-picture', hidden: true });
    this.clear();
  }

  clear() {
    this.base.hidden = true;
    this.made = null; // the window that the picture was made with
    this.source = null; // its pixels, once a preview needs them
    this.box = null;
    this.blur();
  }

  blur() {
    this.detail.hidden = true;
    this.box = null;
  }

  // Paint a picture of the whole image. `made` is its window, null if that is not known.
  paint(picture, made, inverted) {
    draw(this.base, picture);
    this.base.hidden = false;
    this.made = made;
    this.inverted = inverted;
    this.source = null;
    this.blur();
  }

  // The same picture as window `to` would show it, as far as eight bits tell.
  preview(to) {
    if (!this.made || this.base.hidden) return;
    const context = this.base.getContext('2d');
    const { width, height } = this.base;
    this.source ??= pixels(this.base);
    this.shown ??= new ImageData(1, 1);
    if (this.shown.width !== width || this.shown.height !== height) this.shown = new ImageData(width, height);
    const table = Uint32Array.from(remap(this.made, to, this.inverted), (grey) => 0xff000000 | (grey * 0x10101));
    const from = new Uint32Array(this.source.data.buffer);
    const shown = new Uint32Array(this.shown.data.buffer);
    for (let place = 0; place < from.length; place += 1) shown[place] = table[from[place] & 0xff];
    context.putImageData(this.shown, 0, 0);
    this.blur();
  }

  sharpen(picture, box) {
    draw(this.detail, picture);
    this.detail.hidden = false;
    this.box = box;
  }

  place(view, image, pane) {
    const whole = { x: 0, y: 0, width: image.width, height: image.height };
    this.base.style.transform = `matrix(${matrix(view, image, pane, whole, this.base)})`;
    if (this.box) this.detail.style.transform = `matrix(${matrix(view, image, pane, this.box, this.detail)})`;
  }
}

function draw(canvas, picture) {
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
  }
  canvas.getContext('2d').drawImage(picture, 0, 0);
}

// Read from a copy: a canvas that is read is kept where it is slow to show.
function pixels(canvas) {
  const { width, height } = canvas;
  const copy = h('canvas', { width, height }).getContext('2d', { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  return copy.getImageData(0, 0, width, height);
}
