// Measuring on one pane, by a pointer or by keys. Points are of the pane, from its middle.
import { announce } from '../dom.js';
import { t } from '../i18n.js';
import { toImage } from './geometry.js';
import { Measures, lengthText } from './measures.js';

export class Lengths {
  constructor(pane) {
    this.pane = pane;
    this.measures = new Measures();
    this.element = this.measures.element;
  }

  get frame() {
    return this.pane.painted?.frame;
  }

  begin(at) {
    const { view, image } = this.pane;
    if (!this.frame || !image) return;
    this.measures.begin(this.frame, toImage(view, image, at));
    this.draw();
  }

  drag(at) {
    const { view, image } = this.pane;
    if (!image) return;
    this.measures.drag(toImage(view, image, at));
    this.draw();
  }

  end() {
    const { frame, measures } = this;
    const isOf = measures.open?.frame === frame;
    const line = measures.end(isOf ? this.pane.view.scale : 0);
    this.showCross(false);
    this.draw();
    if (line) announce(lengthText(line, frame));
  }

  // By keys: the ends are where the cross in the middle of the pane is put down, twice; between,
  // the image is moved below it.
  point() {
    if (!this.frame) return;
    if (this.measures.open) {
      this.end();
      return;
    }
    this.begin([0, 0]);
    this.showCross(true);
    announce(t('vPoint'));
  }

  undo() {
    const { frame, measures } = this;
    if (measures.open) measures.end(0);
    else if (!frame || !measures.undo(frame)) return;
    this.showCross(false);
    this.draw();
    announce(t('vUnmeasured'));
  }

  showCross(isShown) {
    this.measures.cross.hidden = !isShown;
  }

  draw() {
    const { frame, measures } = this;
    const { view, image, room } = this.pane;
    if (!measures.cross.hidden) {
      if (frame && measures.open?.frame === frame) measures.drag(toImage(view, image, [0, 0]));
      else this.showCross(false);
    }
    measures.draw(frame, view, image, room);
  }
}
