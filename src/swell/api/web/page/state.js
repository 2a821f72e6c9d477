// What the server has told, as the page keeps it: bounded, and without any effect on the page. Pure.

export const SPAN_S = 600;
const MOMENTS_MAX = 800;
const EVENTS_MAX = 200;
const EVERY_S = 0.95; // moments are at least so far apart, as the server's are
const SKEW_S = 2; // clocks that differ by less are the same

const POINT = ["used", "granted", "ceiling", "kv", "resident", "device", "busy", "read", "written"];

export function emptyState() {
  return { now: null, moments: [], events: [], skew_s: 0, version: 0 };
}

/** Take one message of the stream; `clock_s` is this computer's time. */
export function take(state, name, data, clock_s) {
  if (name === "snapshot") takeSnapshot(state, data);
  else if (name === "numbers") takeNumbers(state, data);
  else if (name === "event") push(state.events, data, EVENTS_MAX);
  else return;
  if (name !== "snapshot") noteClock(state, data.at_s, clock_s);
  state.version += 1;
}

/** The server's time when this computer's is `clock_s`. */
export function serverTime(state, clock_s) {
  const latest_s = state.moments.at(-1)?.at_s ?? 0;
  return Math.max(clock_s + state.skew_s, latest_s);
}

/** The moments of one model from `from_s` on, and the one before, which holds until then. */
export function pointsOf(state, model, from_s) {
  const first = Math.max(state.moments.findLastIndex((moment) => moment.at_s <= from_s), 0);
  return state.moments.slice(first).map((moment) => ({ at_s: moment.at_s, ...(moment.models.get(model) ?? {}) }));
}

/** All models that are loaded or were in the time that is kept. */
export function modelNames(state) {
  const names = new Set((state.now?.models ?? []).map((model) => model.model));
  for (const moment of state.moments) for (const name of moment.models.keys()) names.add(name);
  return [...names];
}

/** The model that is most worth looking at: the busiest, else the one that was busy last, else any. */
export function busiest(state) {
  const busy = (state.now?.models ?? []).filter((model) => model.slots_busy > 0);
  if (busy.length) return busy.reduce((most, one) => (one.generated_per_s > most.generated_per_s ? one : most)).model;
  const before = state.moments.findLast((moment) => [...moment.models.values()].some((point) => point.busy > 0));
  const last = [...(before?.models ?? [])].find(([, point]) => point.busy > 0)?.[0];
  return last ?? state.now?.models[0]?.model ?? modelNames(state)[0] ?? null;
}

/** The middle of `values`; null of none. */
export function median(values) {
  const sorted = values.filter((value) => value !== null && value !== undefined).sort((a, b) => a - b);
  return sorted.length ? sorted[Math.floor(sorted.length / 2)] : null;
}

// What is older than all that the new server or stream tells is kept: it happened.
function takeSnapshot(state, { now, history, events }) {
  const moments = history.map(momentOfHistory);
  if (now.models.length || moments.length) addMoment(moments, momentOf(now));
  const begin_s = moments[0]?.at_s ?? now.at_s;
  const before = state.moments.filter((moment) => moment.at_s < begin_s);
  if (before.length && before.length === state.moments.length) {
    before.push({ at_s: before.at(-1).at_s + 0.001, queued: 0, active: 0, models: new Map() }); // another server's
  }
  state.moments = [...before, ...moments].slice(-MOMENTS_MAX);
  const first_s = Math.min(events[0]?.at_s ?? Infinity, begin_s);
  state.events = [...state.events.filter((event) => event.at_s < first_s), ...events].slice(-EVENTS_MAX);
  state.now = now;
}

function takeNumbers(state, sample) {
  state.now = sample;
  addMoment(state.moments, momentOf(sample));
  const old = state.moments.findIndex((moment) => moment.at_s >= sample.at_s - SPAN_S);
  state.moments.splice(0, Math.max(old - 1, state.moments.length - MOMENTS_MAX, 0));
}

function addMoment(moments, moment) {
  const last = moments.at(-1);
  const before = moments.at(-2);
  if (last && moment.at_s <= last.at_s) return;
  const isClose = last && before && last.at_s - before.at_s < EVERY_S && moment.at_s - before.at_s < 2 * EVERY_S;
  if (isClose && !isStep(before, last)) moments.pop();
  moments.push(moment);
}

/** Whether a grant was raised or lowered in between: that is drawn where it happened. */
function isStep(before, after) {
  return [...after.models].some(([name, { granted }]) => before.models.get(name)?.granted !== granted);
}

function momentOf({ at_s, queued, active, models }) {
  const point = (model) => ({
    used: model.used_tokens,
    granted: model.granted_tokens,
    ceiling: model.ceiling_tokens,
    kv: model.kv_bytes,
    resident: model.resident_bytes,
    device: model.device_bytes,
    busy: model.slots_busy,
    read: model.read_per_s,
    written: model.generated_per_s,
  });
  return { at_s, queued, active, models: new Map(models.map((model) => [model.model, point(model)])) };
}

function momentOfHistory({ at_s, queued, active, models }) {
  const point = (values) => Object.fromEntries(POINT.map((name, index) => [name, values[index]]));
  return { at_s, queued, active, models: new Map(models.map(([name, ...values]) => [name, point(values)])) };
}

function noteClock(state, at_s, clock_s) {
  if (Math.abs(at_s - clock_s - state.skew_s) > SKEW_S) state.skew_s = at_s - clock_s;
}

function push(list, item, most) {
  list.push(item);
  list.splice(0, list.length - most);
}
