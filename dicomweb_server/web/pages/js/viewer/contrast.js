// The window that one pane shows its pictures with, and whether they are inverted.
import { measure } from './series.js';
import { dragged, same } from './windows.js';

const PAUSE = 120; // ms between exact pictures while a window is dragged

export class Contrast {
  constructor(pane) {
    this.pane = pane;
    this.forget();
  }

  // What a reader has chosen goes, as when another series comes.
  forget() {
    this.choice = null;
    this.inverted = false;
    this.pane.stage.classList.remove('v-inverted');
  }

  close() {
    clearTimeout(this.asking);
  }

  // What is asked for: null for what the file shows first.
  asked(frame) {
    const { choice } = this;
    if (!choice || !frame.grey) return null;
    if (choice.stored === undefined) return choice;
    return choice.stored ? (frame.windows[choice.stored] ?? null) : null;
  }

  effective = (frame) => this.asked(frame) ?? (frame.lut ? null : (frame.windows[0] ?? frame.measured ?? null));

  choose(choice, { isFollowing = false } = {}) {
    const { pane } = this;
    this.choice = choice;
    this.preview();
    pane.flush();
    pane.viewer.changed(pane);
    if (!isFollowing) pane.viewer.windowed(pane);
  }

  invert(inverted) {
    const { pane } = this;
    this.inverted = inverted;
    pane.stage.classList.toggle('v-inverted', inverted);
    pane.viewer.changed(pane);
  }

  // Show at once, as far as the painted picture tells, what another window shows.
  preview() {
    const { painted, screen, overlay } = this.pane;
    if (!painted?.frame.grey) return;
    const to = this.effective(painted.frame);
    if (!to || same(to, painted.window)) return;
    screen.preview(to);
    Object.assign(painted, { exact: false, window: to });
    overlay.picture(painted);
  }

  async begin() {
    const { pane } = this;
    const frame = pane.painted?.frame;
    if (!frame?.grey) return;
    const { signal } = pane.abort;
    if (!this.effective(frame) && !frame.windows.length && !frame.measured) {
      frame.measured = await measure(frame, signal).catch(() => null);
      if (signal.aborted || pane.painted?.frame !== frame) return;
      if (!pane.screen.made) pane.screen.made = frame.measured;
    }
    pane.screen.made ??= frame.windows[0] ?? null; // of a LUT, nearly
  }

  drag(dx, dy) {
    const { pane } = this;
    const frame = pane.painted?.frame;
    const from = frame?.grey && (this.effective(frame) ?? frame.windows[0] ?? frame.measured);
    if (!from) return;
    // Up is brighter, also where high values are shown dark
    this.choice = dragged(from, dx, Boolean(frame.inverted) === this.inverted ? dy : -dy);
    this.previewing ??= requestAnimationFrame(() => {
      this.previewing = undefined;
      if (!pane.closed) this.preview();
    });
    this.asking ??= setTimeout(() => this.end(), PAUSE);
  }

  // The exact picture; the last one that is asked for wins.
  end() {
    const { pane } = this;
    clearTimeout(this.asking);
    this.asking = undefined;
    if (pane.closed) return;
    pane.flush();
    pane.viewer.changed(pane);
    pane.viewer.windowed(pane);
  }

  async nudge(dx, dy) {
    await this.begin();
    this.drag(dx, dy);
  }
}
