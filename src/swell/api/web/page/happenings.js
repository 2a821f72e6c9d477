// What happened, in words: the list, the table of answers, and what is read aloud.

import { byId, element, setText } from "./dom.js";
import { describe, ending, isAnswer } from "./events.js";
import { clock, NONE, rate, seconds, tokens } from "./format.js";

const HAPPENINGS_MAX = 40;
const ANSWERS_MAX = 10;
const ALOUD_EVERY_MS = 3000;

export class Happenings {
  constructor(state) {
    this.state = state;
    this.rows = new WeakMap(); // each event's, so that one is made once
    this.last = null;
  }

  render() {
    const { events } = this.state;
    if (events.at(-1) === this.last) return;
    this.last = events.at(-1);
    const told = events.filter(describe).slice(-HAPPENINGS_MAX).reverse();
    const answers = events.filter(isAnswer).slice(-ANSWERS_MAX).reverse();
    byId("happenings").replaceChildren(...told.map((event) => this.#row(event, happening)));
    byId("answers").replaceChildren(...answers.map((event) => this.#row(event, answer)));
    byId("happenings").hidden = !told.length;
    byId("no-happenings").hidden = told.length > 0;
    byId("answers").closest("div").hidden = !answers.length;
    byId("no-answers").hidden = answers.length > 0;
  }

  #row(event, create) {
    if (!this.rows.has(event)) this.rows.set(event, create(event));
    return this.rows.get(event);
  }
}

/** Reads events aloud, the latest only when they come thick and fast. */
export class Announcer {
  constructor() {
    this.node = byId("announcer");
    this.text = "";
    this.timer = null;
  }

  hear(event) {
    const told = describe(event);
    if (!told) return;
    this.text = told.text;
    this.timer ??= setTimeout(() => {
      setText(this.node, this.text);
      this.timer = null;
    }, ALOUD_EVERY_MS);
  }
}

function happening(event) {
  const { mark, text, detail } = describe(event);
  return element(
    "li",
    {},
    element("time", {}, clock(event.at_s)),
    element("span", { class: `mark ${mark}`, "aria-hidden": "true" }),
    element("span", {}, text, " ", element("small", {}, detail)),
  );
}

function answer(event) {
  const cells = [
    seconds(event.queue_s + event.load_s),
    seconds(event.first_token_s),
    event.token_interval_s ? rate(1 / event.token_interval_s) : NONE,
    tokens(event.prompt_tokens),
    tokens(event.generated_tokens),
    tokens(event.growths),
  ];
  return element(
    "tr",
    {},
    element("td", {}, clock(event.at_s)),
    element("td", {}, event.model),
    element("td", {}, ending(event)),
    ...cells.map((text) => element("td", { class: "number" }, text)),
  );
}
