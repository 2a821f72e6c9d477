// Charts of one model over the same time: its window, its memory, how fast it writes and reads.

import { Chart } from "./chart.js";
import { byId, element, setAttribute, setOptions, setText } from "./dom.js";
import { describe } from "./events.js";
import { bytes, clock, rate, tokens } from "./format.js";
import { pointAt, span } from "./scale.js";
import { busiest, modelNames, pointsOf, serverTime } from "./state.js";

const BUSIEST = "";

const CHARTS = [
  {
    title: "Window",
    unit: "tokens",
    height: 210,
    format: tokens,
    isBinary: true,
    least: 64,
    series: [
      { key: "granted", kind: "area-step", name: "granted", label: "granted" },
      { key: "used", kind: "area", name: "used", label: "used" },
      { key: "granted", kind: "step", name: "granted", label: null },
    ],
  },
  {
    title: "Memory",
    height: 104,
    format: bytes,
    least: 1e6,
    series: [
      { key: "resident", kind: "area", name: "resident", label: "resident" },
      { key: "kv", kind: "area", name: "cache", label: "cache" },
      { key: "device", kind: "line", name: "device", label: "on devices", isRare: true },
    ],
  },
  {
    title: "Writing",
    height: 84,
    format: rate,
    least: 10,
    series: [{ key: "written", kind: "line", name: "written", label: "tokens/s" }],
  },
  {
    title: "Reading",
    height: 84,
    format: rate,
    least: 10,
    series: [{ key: "read", kind: "line", name: "read", label: "tokens/s" }],
  },
];

export class Timeline {
  constructor(state, onInput) {
    this.state = state;
    this.onInput = onInput;
    this.span_s = 0;
    this.age_s = null; // of the moment that is looked at
    this.root = byId("timeline");
    this.select = byId("timeline-model");
    this.range = byId("timeline-range");
    this.readout = byId("readout");
    this.rows = CHARTS.map((options) => this.#row(options));
    this.root.append(...this.rows.map(({ figure }) => figure));
    new ResizeObserver(onInput).observe(this.root);
    for (const select of [this.select, this.range]) select.addEventListener("change", onInput);
    this.root.addEventListener("pointermove", (event) => this.#point(event));
    this.root.addEventListener("pointerleave", () => this.#look(null));
    this.root.addEventListener("keydown", (event) => this.#press(event));
    this.root.addEventListener("blur", () => this.#look(null));
  }

  render() {
    const names = modelNames(this.state);
    setOptions(this.select, [{ value: BUSIEST, text: "the busiest" }, ...names.map((name) => ({ value: name, text: name }))]);
    const model = this.select.value || busiest(this.state);
    const to_s = serverTime(this.state, Date.now() / 1000);
    this.span_s = span(to_s - (this.state.moments[0]?.at_s ?? to_s), Number(this.range.value));
    const from_s = to_s - this.span_s;
    const at_s = this.age_s === null ? null : to_s - this.age_s;
    const points = pointsOf(this.state, model, from_s);
    const marks = this.#marks(model, from_s);
    const width = this.root.clientWidth;
    this.rows.forEach(({ chart, values, options }, index) => {
      const view = { from_s, to_s, at_s, marks: index === 0 ? marks : [], hasTimes: index === this.rows.length - 1 };
      chart.draw(points, view, width);
      const point = pointAt(points, at_s ?? to_s) ?? {};
      for (const { node, key, isRare } of values) {
        setText(node, point[key] === undefined ? "–" : options.format(point[key]));
        if (isRare) node.parentElement.hidden = !points.some((one) => one[key]);
      }
      setAttribute(chart.svg, "aria-label", `${options.title} of ${model ?? "no model"}: ${this.#inWords(options, point)}`);
    });
    this.#say(pointAt(points, at_s ?? to_s), at_s);
  }

  #row(options) {
    const chart = new Chart(options);
    const shown = options.series.filter(({ label }) => label !== null);
    const values = shown.map((series) => ({ ...series, node: element("b", {}, "–") }));
    const legend = values.map(({ label, name, node }) => element("span", { class: `key ${name}` }, `${label} `, node));
    const unit = options.unit ? [element("small", {}, `, ${options.unit}`)] : [];
    const caption = element("figcaption", {}, element("span", {}, options.title, ...unit), ...legend);
    return { chart, values, options, figure: element("figure", {}, caption, chart.svg) };
  }

  #marks(model, from_s) {
    return this.state.events
      .filter((event) => event.at_s >= from_s && event.model === model)
      .map((event) => ({ at_s: event.at_s, ...describe(event) }))
      .filter(({ mark }) => mark);
  }

  #inWords({ series, format }, point) {
    const said = series.filter(({ label, key }) => label !== null && point[key] !== undefined);
    return said.map(({ label, key }) => `${label} ${format(point[key])}`).join(", ") || "nothing";
  }

  #point(event) {
    const { left, width } = this.root.getBoundingClientRect();
    this.#look((1 - Math.min(Math.max((event.clientX - left) / width, 0), 1)) * this.span_s);
  }

  #press(event) {
    const step_s = this.span_s / 60;
    const age_s = this.age_s ?? 0;
    if (event.key === "ArrowLeft") this.#look(Math.min(age_s + step_s, this.span_s), true);
    else if (event.key === "ArrowRight") this.#look(Math.max(age_s - step_s, 0), true);
    else if (event.key === "Escape") this.#look(null);
    else return;
    event.preventDefault();
  }

  #look(age_s, isSpoken = false) {
    if (age_s === this.age_s) return;
    this.age_s = age_s;
    this.isSpoken = isSpoken;
    this.onInput();
  }

  /** Where keys look is read aloud; what follows a pointer isn't. */
  #say(point, at_s) {
    if (at_s === null || !this.isSpoken) return;
    const said = CHARTS.map((options) => `${options.title} ${this.#inWords(options, point ?? {})}`);
    setText(this.readout, `${clock(at_s)}: ${said.join("; ")}`);
    this.isSpoken = false;
  }
}
