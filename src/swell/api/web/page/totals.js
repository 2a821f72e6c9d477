// The server in six numbers.

import { byId, element, setText } from "./dom.js";
import { isAnswer } from "./events.js";
import { bytes, NONE, rate, seconds, tokens } from "./format.js";
import { median } from "./state.js";

const LATEST = 20;

export class Totals {
  constructor(state) {
    this.state = state;
    this.values = ["Writing", "Reading", "Answers", "Waiting", "First token", "Memory"].map((label) => {
      const value = element("dd");
      byId("totals").append(element("div", {}, element("dt", {}, label), value));
      return value;
    });
  }

  render() {
    const { now, events } = this.state;
    if (now === null) return;
    const sum = (name) => now.models.reduce((total, model) => total + model[name], 0);
    const first_s = median(events.filter(isAnswer).slice(-LATEST).map((event) => event.first_token_s));
    const texts = [
      `${rate(sum("generated_per_s"))} tok/s`,
      `${rate(sum("read_per_s"))} tok/s`,
      tokens(now.active),
      tokens(now.queued),
      first_s === null ? NONE : seconds(first_s),
      bytes(sum("resident_bytes") + sum("device_bytes")),
    ];
    this.values.forEach((value, index) => setText(value, texts[index]));
  }
}
