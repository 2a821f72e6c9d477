// How large a model's latest answers were, and what its slots begin with because of that.

import { element, setAttribute, setText } from "./dom.js";
import { NONE, tokens } from "./format.js";

/** The first grant now and, if that was learned and differs, the next time; a model for embeddings has none. Pure. */
export function firstGrant({ initial_tokens, learned_tokens }) {
  if (!initial_tokens) return NONE;
  const now = tokens(initial_tokens);
  return learned_tokens === null || learned_tokens === initial_tokens ? now : `${now}, next time ${tokens(learned_tokens)}`;
}

/** Sizes in words. Pure. */
export function inWords({ median_tokens, usual_tokens, largest_tokens }) {
  return `half up to ${tokens(median_tokens)} tokens, nine of ten up to ${tokens(usual_tokens)}, the largest ${tokens(largest_tokens)}`;
}

/** A power of two, as short as may be. Pure. */
export function short(count) {
  if (count < 2 ** 10) return String(count);
  return count < 2 ** 20 ? `${count / 2 ** 10}k` : `${count / 2 ** 20}M`;
}

export class Sizes {
  /** A histogram: each bar counts the answers up to twice as large as those of the one before. */
  constructor() {
    this.title = element("span", {});
    this.words = element("small", {});
    this.bars = element("div", { class: "bins", "aria-hidden": "true" }); // the words say it
    this.node = element("figure", { class: "sizes" }, element("figcaption", {}, this.title, this.words), this.bars);
  }

  show(sizes) {
    this.node.hidden = sizes === null;
    if (sizes === null) return;
    const { turns, bins } = sizes;
    setText(this.title, turns === 1 ? "The latest answer" : `The latest ${tokens(turns)} answers`);
    setText(this.words, inWords(sizes));
    while (this.bars.childElementCount > bins.length) this.bars.lastChild.remove();
    while (this.bars.childElementCount < bins.length) this.bars.append(bar());
    const most = Math.max(...bins.map(([, count]) => count));
    bins.forEach(([up_to_tokens, count], index) => {
      const node = this.bars.children[index];
      setAttribute(node, "title", `${tokens(count)} of up to ${tokens(up_to_tokens)} tokens`);
      node.column.style.height = `${(100 * count) / most}%`;
      setText(node.label, short(up_to_tokens));
    });
  }
}

function bar() {
  const column = element("div", { class: "column" });
  const label = element("span", {});
  return Object.assign(element("div", {}, element("div", {}, column), label), { column, label });
}
