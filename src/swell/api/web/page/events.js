// Events in words. Pure.

import { bytes, seconds, tokens } from "./format.js";

const LOADS = { loaded: "was loaded", failed: "could not be loaded", cancelled: "was not needed any more" };

/** What an event is marked with and how it is told; null for what is only counted. */
export function describe(event) {
  const teller = TELLERS[event.event];
  return teller ? teller(event) : null;
}

const TELLERS = {
  window_grown: ({ model, slot, from_tokens, to_tokens, granted_bytes, stall_s }) => ({
    mark: "growth",
    text: `${model} grew from ${tokens(from_tokens)} to ${tokens(to_tokens)} tokens`,
    detail: `slot ${slot + 1}, cache may use ${bytes(granted_bytes)}${stall(stall_s)}`,
    level: to_tokens,
  }),
  window_shrunk: ({ model, slot, from_tokens, to_tokens, cause, stall_s }) => ({
    mark: "shrink",
    text: `${model} shrank from ${tokens(from_tokens)} to ${tokens(to_tokens)} tokens`,
    detail: `slot ${slot + 1}, ${cause}${stall(stall_s)}`,
    level: to_tokens,
  }),
  model_unloaded: ({ model, cause, loaded_s }) => ({
    mark: cause.startsWith("evicted") ? "eviction" : "load",
    text: cause.startsWith("evicted") ? `${model} was evicted` : `${model} left memory`,
    detail: `${cause}, after ${seconds(loaded_s)}`,
  }),
  load_ended: ({ model, outcome, load_s, error }) => ({
    mark: "load",
    text: `${model} ${LOADS[outcome] ?? outcome}`,
    detail: [seconds(load_s), error].filter(Boolean).join(", "),
  }),
  memory_reclaimed: ({ model, source }) => ({
    mark: "eviction",
    text: `${model} was given memory`,
    detail: `of ${source}`,
  }),
  recovery_ended: ({ model, step, outcome, recovery_s }) => ({
    mark: "resume",
    text: `an answer of ${model} ${outcome === "resumed" ? "went on" : outcome}`,
    detail: `${step}, ${seconds(recovery_s)}`,
  }),
};

/** How long nothing was computed, where somebody may have noticed that. */
function stall(stall_s) {
  return stall_s >= 0.001 ? `, stood still for ${seconds(stall_s)}` : "";
}

/** Events that are answers, for the table. */
export function isAnswer(event) {
  return event.event === "request_finished" && event.generated_tokens > 0;
}

const ENDS = { ok: "well", client_error: "client’s error", server_error: "server’s error", client_left: "client left" };

/** How a request ended, in words. */
export function ending({ outcome, error, recovery_steps }) {
  const resumed = recovery_steps.length ? `, resumed (${recovery_steps.join(", ")})` : "";
  return `${ENDS[outcome] ?? outcome}${error ? `: ${error}` : ""}${resumed}`;
}
