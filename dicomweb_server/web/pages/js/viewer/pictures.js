// Pictures that are wanted, on their way, or here. Knows nothing of the page: what fetches one is
// given. At most so many are on their way and so many bytes kept; what nobody wants any more is
// given up, so that the connections are free for what is.

// The indices around `index` to have, the nearest first: more of them where it is going.
export function plan(index, length, direction, { ahead = 24, behind = 6, loop = false } = {}) {
  const found = [index];
  const add = (at) => {
    const place = loop ? ((at % length) + length) % length : at;
    if (place >= 0 && place < length && !found.includes(place)) found.push(place);
  };
  const forward = direction < 0 ? -1 : 1;
  for (let step = 1; step <= Math.max(ahead, behind); step += 1) {
    if (step <= ahead) add(index + forward * step);
    // One behind for every four ahead: what is nearest comes first all the same
    if (step % 4 === 1 && (step - 1) / 4 < behind) add(index - forward * ((step - 1) / 4 + 1));
  }
  return found;
}

// What was used last stays, up to `limit` bytes.
export class Recent {
  #limit;
  #entries = new Map(); // key → {value, bytes}, the least recent first
  #drop;
  bytes = 0;

  constructor(limit, drop = () => {}) {
    this.#limit = limit;
    this.#drop = drop;
  }

  has = (key) => this.#entries.has(key);

  get(key) {
    const found = this.#entries.get(key);
    if (!found) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, found);
    return found.value;
  }

  // The newest stays even if it alone is above the limit: it is wanted now.
  put(key, value, bytes) {
    this.delete(key);
    this.#entries.set(key, { value, bytes });
    this.bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.bytes <= this.#limit || oldest === key) break;
      this.delete(oldest);
    }
  }

  delete(key) {
    const found = this.#entries.get(key);
    if (!found) return;
    this.#entries.delete(key);
    this.bytes -= found.bytes;
    this.#drop(found.value);
  }

  clear() {
    for (const key of [...this.#entries.keys()]) this.delete(key);
  }
}

const PAUSES = [500, 1000, 2000, 4000, 8000]; // milliseconds before what failed is tried again

export class Pictures {
  #load;
  #kept;
  #wanted = new Map(); // who → keys, the most wanted first
  #coming = new Map(); // key → AbortController
  #failed = new Map(); // key → {error, again, times}: `again` is when it may be tried once more
  #abreast;
  #tell;
  #drop;
  #isClosed = false;

  // `load(key, signal)` resolves to {picture, bytes}; an error with `passing` is tried again.
  // `tell(key)` when something has come or failed.
  constructor({ load, tell, limit, abreast = 4, drop }) {
    this.#load = load;
    this.#tell = tell;
    this.#kept = new Recent(limit, drop);
    this.#abreast = abreast;
    this.#drop = drop;
  }

  get = (key) => this.#kept.get(key);
  problem = (key) => this.#failed.get(key)?.error;
  get coming() {
    return this.#coming.size;
  }

  // `who` wants these from now on, in this order, and nothing else.
  want(who, keys) {
    if (keys.length > 0) this.#wanted.set(who, keys);
    else this.#wanted.delete(who); // who is gone is not held
    this.#pump();
  }

  // Try again what failed.
  retry() {
    this.#failed.clear();
    this.#pump();
  }

  close() {
    this.#isClosed = true;
    this.#wanted.clear();
    this.#pump();
    this.#kept.clear();
  }

  #pump() {
    const lists = [...this.#wanted.values()];
    const all = new Set(lists.flat());
    for (const [key, control] of this.#coming) {
      if (all.has(key)) continue;
      this.#coming.delete(key);
      control.abort();
    }
    const first = new Set(lists.map((keys) => keys[0]));
    for (let place = 0; place < Math.max(0, ...lists.map(({ length }) => length)); place += 1) {
      for (const keys of lists) {
        const key = keys[place];
        // The slice that is looked at does not queue behind those that may be next
        const room = this.#abreast + (first.has(key) ? 2 : 0);
        if (this.#coming.size < room && key !== undefined && this.#isMissing(key)) this.#start(key);
      }
      if (this.#coming.size >= this.#abreast + 2) return;
    }
  }

  #isMissing(key) {
    if (this.#kept.has(key) || this.#coming.has(key)) return false;
    const failed = this.#failed.get(key);
    return !failed || failed.again <= Date.now();
  }

  async #start(key) {
    const control = new AbortController();
    this.#coming.set(key, control);
    let loaded;
    try {
      loaded = await this.#load(key, control.signal);
    } catch (error) {
      if (this.#coming.get(key) !== control) return; // given up
      this.#coming.delete(key);
      this.#fail(key, error);
      return;
    }
    if (this.#isClosed) {
      this.#drop?.(loaded.picture);
      return;
    }
    // Given up while it was decoded: it is here all the same, and may be wanted again
    if (this.#coming.get(key) === control) this.#coming.delete(key);
    this.#failed.delete(key);
    this.#kept.put(key, loaded.picture, loaded.bytes);
    this.#tell(key);
    this.#pump();
  }

  #fail(key, error) {
    const times = (this.#failed.get(key)?.times ?? 0) + 1;
    const told = Math.min((error.after ?? 0) * 1000, PAUSES.at(-1)); // by Retry-After
    const pause = error.passing ? Math.max(told, PAUSES[Math.min(times, PAUSES.length) - 1]) : Infinity;
    this.#failed.set(key, { error, times, again: Date.now() + pause });
    if (pause < Infinity) setTimeout(() => this.#pump(), pause + 5);
    this.#tell(key);
    this.#pump();
  }
}
