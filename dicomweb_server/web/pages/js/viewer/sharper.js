// The part of a picture that is zoomed into, asked for once more if the picture was made smaller.
import { visible } from './geometry.js';

const SETTLED = 250; // ms without a change before a sharper part is asked for

export class Sharper {
  constructor(pane) {
    this.pane = pane;
    this.key = null; // of the sharper part, among the pictures
  }

  // To be called whenever the view changes.
  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.ask(), SETTLED);
  }

  close() {
    clearTimeout(this.timer);
    this.pane.viewer.pictures.want(this, []);
  }

  ask() {
    this.key = null;
    const { painted, image, view, screen, room, viewer } = this.pane;
    const frame = painted?.frame;
    const needed = view.scale * Math.min(2, devicePixelRatio || 1);
    const part = frame?.columns && !frame.fixed && painted.exact && screen.base.width < image.width * Math.min(1, needed) * 0.9 && visible(view, image, room);
    if (!part) {
      screen.blur();
      viewer.pictures.want(this, []);
      return;
    }
    const density = Math.min(1, needed);
    const region = { ...part, y: Math.round(part.y / frame.aspect), height: Math.round(part.height / frame.aspect) };
    this.part = { ...part, y: region.y * frame.aspect, height: region.height * frame.aspect };
    this.key = this.pane.key(frame, { box: [part.width, part.height].map((side) => Math.max(1, Math.round(side * density))), region });
    this.frame = frame;
    viewer.pictures.want(this, [this.key]);
    if (viewer.pictures.get(this.key)) this.show();
  }

  // A picture has come, or failed.
  arrived(key) {
    if (key === this.key) this.show();
  }

  show() {
    const { painted, screen, view, image, room, viewer } = this.pane;
    const picture = viewer.pictures.get(this.key);
    const isOf = painted?.frame === this.frame && painted?.exact && painted.key === this.pane.key(this.frame);
    if (!picture || !isOf) return;
    screen.sharpen(picture, this.part);
    screen.place(view, image, room);
  }
}
