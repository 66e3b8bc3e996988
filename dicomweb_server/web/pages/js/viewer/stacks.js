// The frames of a series in the order to look at them: stacks, and in each the phases of a
// series that shows the same places again and again.
import { SAME_PLACE, alike, axes, dot, normal } from './geometry.js';

// Stacks of `instances` (frames.js), each {phases: [[frame, …], …], spatial, rate, document}.
// Frames of one orientation lie along its normal, from the side that was numbered first. What
// has no place in the patient is in the order of its numbers; a clip is a stack of its own, and
// so is what is no image (`document`, with a phase of no frames).
export function stacks(instances) {
  const images = instances.filter(({ kind }) => kind === 'image');
  const frames = images.flatMap((instance) => instance.frames);
  const rates = new Map(images.map(({ instance, rate }) => [instance, rate]));
  const placed = frames.filter((frame) => frame.position && axes(frame.orientation));
  const rest = frames.filter((frame) => !placed.includes(frame));
  const found = [...spatial(placed), ...plain(rest)].map((stack) => ({
    ...stack,
    rate: rates.get(stack.phases[0][0].instance) ?? null,
  }));
  found.sort((a, b) => byNumber(a.phases[0][0], b.phases[0][0]));
  const documents = instances
    .filter(({ kind }) => kind !== 'image')
    .sort((a, b) => a.number - b.number)
    .map((document) => ({ phases: [[]], spatial: false, rate: null, document }));
  return [...found, ...documents];
}

function plain(frames) {
  const clips = group(frames.filter(({ count }) => count > 1), ({ instance }) => instance);
  const single = frames.filter(({ count }) => count === 1).sort(byNumber);
  return [...clips.map((clip) => clip.sort(byNumber)), ...(single.length ? [single] : [])].map((phase) => ({
    phases: [phase],
    spatial: false,
  }));
}

function spatial(frames) {
  const sets = [];
  for (const frame of frames) {
    const lies = axes(frame.orientation);
    const isOf = (set) => set.reference === frame.reference && set.stackId === frame.stackId && alike(set.axes, lies);
    let set = sets.find(isOf);
    if (!set) {
      set = { reference: frame.reference, stackId: frame.stackId, axes: lies, frames: [] };
      sets.push(set);
    }
    set.frames.push(frame);
  }
  // Planes that turn around an axis are one stack, in the order of their numbers
  if (sets.length > 3 && sets.length > frames.length / 2) return [{ phases: [frames.sort(byNumber)], spatial: false }];
  return sets.map(({ axes: lies, frames: members }) => ({ phases: phases(members, normal(lies)), spatial: true }));
}

function phases(frames, along) {
  const places = [];
  let last = -Infinity;
  for (const { frame, at } of frames.map((frame) => ({ frame, at: dot(frame.position, along) })).sort((a, b) => a.at - b.at)) {
    if (at - last < SAME_PLACE) places.at(-1).push(frame);
    else places.push([frame]);
    last = at;
  }
  for (const members of places) members.sort(byPhase);
  // All of them in one direction, so that a place is as far along each
  const straight = (found) => {
    const longest = found.reduce((most, phase) => (phase.length > most.length ? phase : most));
    return byNumber(longest[0], longest.at(-1)) > 0 ? found.map((phase) => phase.reverse()) : found;
  };
  if (places.length === 1) return [places[0]];
  const most = Math.max(...places.map((members) => members.length));
  if (most === 1) return straight([places.flat()]);
  if (places.every((members) => members.length === most)) {
    return straight(Array.from({ length: most }, (_, phase) => places.map((members) => members[phase])));
  }
  const parts = apart(frames, along, most);
  return parts ? straight(parts) : [frames.sort(byNumber)];
}

// Where some places were shown more often than others: by what tells the phases apart.
function apart(frames, along, most) {
  const parts = group([...frames].sort(byPhase), ({ time, echo, weight, acquisition }) => `${[time, echo, weight, acquisition]}`);
  if (parts.length > most) return null;
  for (const part of parts) {
    part.sort((a, b) => dot(a.position, along) - dot(b.position, along));
    const twice = part.some((frame, place) => place && dot(frame.position, along) - dot(part[place - 1].position, along) < SAME_PLACE);
    if (twice) return null;
  }
  return parts;
}

const byNumber = (a, b) => a.order - b.order || (a.instance < b.instance ? -1 : a.instance > b.instance ? 1 : a.frame - b.frame);

const byPhase = (a, b) =>
  a.time - b.time || a.trigger - b.trigger || a.echo - b.echo || a.weight - b.weight || a.acquisition - b.acquisition || byNumber(a, b);

// Members of one key, in the order in which the keys came.
function group(members, keyOf) {
  const found = new Map();
  for (const member of members) {
    const key = keyOf(member);
    if (!found.has(key)) found.set(key, []);
    found.get(key).push(member);
  }
  return [...found.values()];
}

// Where the frame of an instance is: {stack, phase, index}; null if it is in none.
export function find(all, instance) {
  for (const [stack, { phases: within, document }] of all.entries()) {
    if (document?.instance === instance) return { stack, phase: 0, index: 0 };
    for (const [phase, frames] of within.entries()) {
      const index = frames.findIndex((frame) => frame.instance === instance);
      if (index >= 0) return { stack, phase, index };
    }
  }
  return null;
}
