// Playing a pane's list over and over. A picture that is not here yet is waited for: nothing is
// left out, and the rate that is reached is told.

export class Cine {
  #handle = 0;
  #due = 0;
  #seen = [];
  pane = null;

  constructor(tell) {
    this.tell = tell;
    this.rate = 10;
  }

  get playing() {
    return this.#handle !== 0;
  }

  start(pane) {
    this.stop();
    this.pane = pane;
    pane.looping = true;
    this.#due = performance.now();
    this.#seen = [];
    this.#next();
    this.tell();
  }

  stop() {
    cancelAnimationFrame(this.#handle);
    this.#handle = 0;
    if (this.pane) this.pane.looping = false;
    this.pane = null;
    this.tell();
  }

  // Pictures a second of late; null until that can be told.
  reached() {
    const [first, last] = [this.#seen[0], this.#seen.at(-1)];
    return this.#seen.length > 5 ? ((this.#seen.length - 1) * 1000) / (last - first) : null;
  }

  #next() {
    this.#handle = requestAnimationFrame((now) => {
      if (now >= this.#due && this.pane.advance()) {
        const each = 1000 / this.rate;
        // Kept in time, unless it is far behind
        this.#due = now - this.#due > 4 * each ? now + each : this.#due + each;
        this.#seen = [...this.#seen.slice(-20), now];
      }
      if (this.pane) this.#next();
    });
  }
}
