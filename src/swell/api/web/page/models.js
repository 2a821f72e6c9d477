// The cards of loaded models: windows and slots as bars, memory, speed, threads.

import { byId, element, setAttribute, setText } from "./dom.js";
import { bytes, rate, tokens } from "./format.js";
import { firstGrant, Sizes } from "./sizes.js";

const STATES = { idle: "idle", prefill: "reading", generate: "writing", wait: "waiting for memory" };

export class Bar {
  /** A window: used within granted within the ceiling. */
  constructor(label) {
    this.used = element("div", { class: "used" });
    this.granted = element("div", { class: "granted" });
    this.node = element("div", { class: "bar", role: "meter", "aria-label": label, "aria-valuemin": 0 });
    this.node.append(this.granted, this.used);
  }

  show(used, granted, ceiling) {
    const most = Math.max(ceiling, granted, used, 1);
    this.used.style.width = `${(100 * used) / most}%`;
    this.granted.style.width = `${(100 * granted) / most}%`;
    setAttribute(this.node, "aria-valuemax", most);
    setAttribute(this.node, "aria-valuenow", used);
    const words = `${tokens(used)} tokens used, ${tokens(granted)} granted, ${tokens(ceiling)} at most`;
    setAttribute(this.node, "aria-valuetext", words);
  }
}

export class Models {
  constructor(state) {
    this.state = state;
    this.root = byId("models");
    this.empty = byId("no-models");
    this.cards = new Map();
  }

  render() {
    const models = this.state.now?.models ?? [];
    const names = new Set(models.map(({ model }) => model));
    for (const [name, card] of this.cards) {
      if (names.has(name)) continue;
      card.node.remove();
      this.cards.delete(name);
    }
    for (const model of models) {
      if (!this.cards.has(model.model)) {
        const card = new Card(model.model);
        this.cards.set(model.model, card);
        this.root.append(card.node);
      }
      this.cards.get(model.model).show(model);
    }
    this.empty.hidden = models.length > 0;
  }
}

class Card {
  constructor(name) {
    this.badge = element("span", { class: "badge" });
    this.bar = new Bar(`Window of ${name}`);
    this.window = ["used", "granted", "at most"].map((label) => fact(label));
    this.facts = ["RAM", "VRAM", "Cache", "Weights", "Threads", "Growths", "Shrinks", "First grant"].map((label) => fact(label));
    this.sizes = new Sizes();
    this.slots = element("ul", { class: "slots", "aria-label": `Slots of ${name}` });
    this.node = element(
      "article",
      { class: "card model" },
      element("header", {}, element("h3", {}, name), this.badge),
      this.bar.node,
      element("dl", { class: "window" }, ...this.window.map(({ node }) => node)),
      element("dl", { class: "facts" }, ...this.facts.map(({ node }) => node)),
      this.sizes.node,
      this.slots,
    );
  }

  show(model) {
    this.bar.show(model.used_tokens, model.granted_tokens, model.ceiling_tokens);
    const window = [model.used_tokens, model.granted_tokens, model.ceiling_tokens];
    this.window.forEach(({ value }, index) => setText(value, tokens(window[index])));
    const facts = [
      bytes(model.resident_bytes),
      model.device_bytes ? bytes(model.device_bytes) : "–",
      `${bytes(model.kv_bytes)} of ${bytes(model.kv_granted_bytes)}`,
      bytes(model.weights_bytes),
      `${model.threads} of ${model.threads_allowed}`,
      tokens(model.growths),
      tokens(model.shrinks),
      firstGrant(model),
    ];
    this.facts.forEach(({ value }, index) => setText(value, facts[index]));
    setText(this.badge, activity(model));
    this.badge.classList.toggle("busy", model.slots_busy > 0);
    this.sizes.show(model.sizes);
    this.#showSlots(model);
  }

  #showSlots({ slots_detail, ceiling_tokens }) {
    while (this.slots.childElementCount > slots_detail.length) this.slots.lastChild.remove();
    while (this.slots.childElementCount < slots_detail.length) {
      this.slots.append(slotRow(this.slots.childElementCount + 1));
    }
    // Bars of slots are longer: as long as the largest of them is granted memory for.
    const most = Math.max(...slots_detail.map(({ granted_tokens }) => granted_tokens), 1);
    slots_detail.forEach((slot, index) => {
      const row = this.slots.children[index];
      row.bar.show(slot.used_tokens, slot.granted_tokens, Math.min(most, ceiling_tokens || most));
      setText(row.words, `${STATES[slot.state] ?? slot.state}, ${tokens(slot.used_tokens)} of ${tokens(slot.granted_tokens)}`);
      row.classList.toggle("busy", slot.state !== "idle");
    });
  }
}

function activity({ slots_busy, generated_per_s, read_per_s }) {
  if (!slots_busy) return "idle";
  if (generated_per_s > 0) return `writing ${rate(generated_per_s)} tokens/s`;
  return read_per_s > 0 ? `reading ${rate(read_per_s)} tokens/s` : "busy";
}

function fact(label) {
  const value = element("dd");
  return { node: element("div", {}, element("dt", {}, label), value), value };
}

function slotRow(number) {
  const bar = new Bar(`Slot ${number}`);
  const words = element("span", { class: "fine" });
  const row = element("li", {}, element("span", {}, `Slot ${number}`), bar.node, words);
  return Object.assign(row, { bar, words });
}
