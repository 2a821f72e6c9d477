// A conversation with a model. What it writes is shown as text, and at most once per frame.

import { byId, element, setAttribute, setOptions, setText } from "./dom.js";
import { rate, seconds, tokens } from "./format.js";
import { jsonLines } from "./lines.js";
import { Bar } from "./models.js";
import { busiest } from "./state.js";

const SHOWN_MAX = 100;
const IDEAS = ["Tell me a long story about the sea.", "Why is the sky blue?", "List fifty animals, and a sentence on each."];

export class Chat {
  constructor(state) {
    this.state = state;
    this.messages = [];
    this.names = [];
    this.running = null;
    this.log = byId("conversation");
    this.select = byId("chat-model");
    this.question = byId("question");
    this.bar = new Bar("Window of the chat’s model");
    this.words = element("p", { class: "fine" });
    byId("chat-window").append(this.bar.node, this.words);
    byId("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send(this.question.value);
    });
    this.question.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send(this.question.value);
    });
    byId("stop").addEventListener("click", () => this.running?.abort());
    byId("new-chat").addEventListener("click", () => this.#clear());
    this.#clear();
  }

  /** Ask which models there are. */
  async refresh() {
    try {
      const response = await fetch("api/tags");
      const { models } = await response.json();
      this.names = models.filter(({ capabilities }) => capabilities?.includes("completion") ?? true).map(({ name }) => name);
    } catch {
      // the server is away: what was known still is
    }
    this.render();
  }

  render() {
    const loaded = this.state.now?.models ?? [];
    const names = new Set([...this.names, ...loaded.map(({ model }) => model)]);
    const isFirst = !this.select.value;
    setOptions(this.select, [...names].map((name) => ({ value: name, text: name })));
    if (isFirst && names.has(busiest(this.state))) this.select.value = busiest(this.state);
    const model = loaded.find((one) => one.model === this.select.value);
    byId("chat-window").hidden = !model;
    if (!model) return;
    this.bar.show(model.used_tokens, model.granted_tokens, model.ceiling_tokens);
    setText(this.words, `Window: ${tokens(model.used_tokens)} used of ${tokens(model.granted_tokens)} granted`);
  }

  #clear() {
    this.running?.abort();
    this.messages = [];
    const ideas = IDEAS.map((text) => {
      const button = element("button", { type: "button", class: "idea" }, text);
      button.addEventListener("click", () => this.#send(text));
      return button;
    });
    this.log.replaceChildren(element("div", { class: "ideas" }, ...ideas));
  }

  async #send(text) {
    if (!this.select.value) await this.refresh(); // asked before it was known what there is
    const model = this.select.value;
    if (!text.trim() || this.running) return;
    if (!this.messages.length) this.log.replaceChildren();
    if (!model) {
      this.#show(element("p", { class: "fine" }, "There is no model yet. Get one: swell pull llama3.2"));
      return;
    }
    this.question.value = "";
    this.messages.push({ role: "user", content: text });
    this.#show(element("div", { class: "said user" }, element("span", { class: "who" }, "You"), element("p", {}, text)));
    const running = new AbortController();
    const reply = new Reply(this.log, model);
    this.#show(reply.node);
    this.#setRunning(running);
    try {
      await reply.read(model, this.messages, running.signal);
    } catch (error) {
      reply.fail(error.name === "AbortError" ? "Stopped." : `It broke off: ${error.message}`);
    }
    if (this.running !== running) return; // another chat has begun
    this.#setRunning(null);
    // Without an answer the question is not part of the conversation: a template may demand that roles alternate.
    if (reply.content) this.messages.push({ role: "assistant", content: reply.content });
    else this.messages.pop();
  }

  #setRunning(running) {
    this.running = running;
    const isRunning = running !== null;
    const hadFocus = document.activeElement === byId("stop");
    byId("stop").hidden = !isRunning;
    byId("send").disabled = isRunning;
    setAttribute(this.log, "aria-busy", isRunning); // read aloud once it is complete
    if (hadFocus) this.question.focus();
  }

  #show(node) {
    this.log.append(node);
    while (this.log.childElementCount > SHOWN_MAX) this.log.firstChild.remove();
    this.log.scrollTop = this.log.scrollHeight;
  }
}

class Reply {
  constructor(log, model) {
    this.log = log;
    this.content = "";
    this.text = document.createTextNode("");
    this.thoughts = document.createTextNode("");
    this.thinking = element("details", { hidden: "" }, element("summary", {}, "Thoughts"), element("p", {}, this.thoughts));
    this.end = element("p", { class: "fine" }, "…");
    this.node = element("div", { class: "said model" }, element("span", { class: "who" }, model), this.thinking);
    this.node.append(element("p", { class: "answer" }, this.text), this.end);
    this.pending = { text: "", thoughts: "" };
    this.frame = null;
  }

  /** Ask, and show the answer as it comes. Raises an error if it fails. */
  async read(model, messages, signal) {
    const started_ms = performance.now();
    let first_ms = null;
    const headers = { "content-type": "application/json" };
    const body = JSON.stringify({ model, messages, stream: true });
    const response = await fetch("api/chat", { method: "POST", headers, body, signal });
    if (!response.ok) throw new Error(await errorText(response));
    for await (const line of jsonLines(response.body)) {
      if (line.error) throw new Error(line.error);
      first_ms ??= performance.now();
      this.content += line.message?.content ?? "";
      this.#add(line.message?.content ?? "", line.message?.thinking ?? "");
      if (line.done) this.#finish(line, (first_ms - started_ms) / 1000);
    }
  }

  fail(text) {
    this.end.textContent = text;
    this.end.classList.add("failed");
  }

  #finish({ eval_count, eval_duration, prompt_eval_count, done_reason }, first_s) {
    const speed = eval_duration ? `${rate((eval_count ?? 0) / (eval_duration / 1e9))} tokens/s` : "";
    const parts = [`${tokens(eval_count ?? 0)} tokens`, speed, `first after ${seconds(first_s)}`];
    if (prompt_eval_count) parts.push(`prompt ${tokens(prompt_eval_count)}`);
    if (done_reason && done_reason !== "stop") parts.push(`ended by ${done_reason}`);
    this.end.textContent = parts.filter(Boolean).join(" · ");
  }

  #add(text, thoughts) {
    this.pending.text += text;
    this.pending.thoughts += thoughts;
    this.frame ??= requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    this.frame = null;
    const isAtEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < 40;
    if (this.pending.thoughts) this.thinking.hidden = false;
    this.text.appendData(this.pending.text);
    this.thoughts.appendData(this.pending.thoughts);
    this.pending = { text: "", thoughts: "" };
    if (isAtEnd) this.log.scrollTop = this.log.scrollHeight;
  }
}

async function errorText(response) {
  try {
    return (await response.json()).error ?? response.statusText;
  } catch {
    return `${response.status} ${response.statusText}`;
  }
}
