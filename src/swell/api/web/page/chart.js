// One chart: areas and lines over time, with marks. Its elements stay; only their attributes change.

import { setAttribute, setText, svgElement } from "./dom.js";
import { ages, path, pieces, slopes, ticks } from "./scale.js";

const LEFT = 8;
const RIGHT = 8;
const TOP = 18;
const MARKS_MAX = 200;

const SHAPES = {
  growth: "M0-6 5.5 4-5.5 4Z",
  shrink: "M0 6 5.5-4-5.5-4Z",
  resume: "M0-5A5 5 0 1 1-.01-5Z",
  eviction: "M-5-3-3-5 0-2 3-5 5-3 2 0 5 3 3 5 0 2-3 5-5 3-2 0Z",
  load: "M-4-4H4V4H-4Z",
};

export class Chart {
  /**
   * `series` are drawn in their order: {key, kind, name}, of kind "line" (sloping), "area" (filled to the base), "step"
   * (which holds each value until the next) or "area-step".
   * `format` writes the values at the grid's lines; `isBinary` puts those at powers of two.
   */
  constructor({ title, height, series, format, isBinary = false, least = 1 }) {
    Object.assign(this, { title, height, series, format, isBinary, least });
    this.width = 0;
    this.grid = svgElement("g", { class: "grid" });
    this.times = svgElement("g", { class: "times" });
    this.marks = svgElement("g", { class: "marks" });
    this.cursor = svgElement("path", { class: "cursor" });
    this.paths = series.map(({ kind, name }) => svgElement("path", { class: `series ${kind} ${name}` }));
    this.svg = svgElement("svg", { class: "chart", role: "img", height, "aria-label": title });
    this.svg.append(this.grid, ...this.paths, this.cursor, this.marks, this.times);
  }

  /** Draw `points` between two times; `view` has from_s, to_s, at_s (of the cursor, or null), marks, and hasTimes. */
  draw(points, view, width) {
    if (width !== this.width) {
      this.width = width;
      setAttribute(this.svg, "width", width);
      setAttribute(this.svg, "viewBox", `0 0 ${width} ${this.height}`);
    }
    const base = this.height - (view.hasTimes ? 20 : 4);
    const most = this.#most(points, view);
    const x = (at_s) => LEFT + ((at_s - view.from_s) / (view.to_s - view.from_s)) * (width - LEFT - RIGHT);
    const y = (value) => base - (value / most) * (base - TOP);
    this.#drawGrid(ticks(most, this.isBinary ? 5 : 3, this.isBinary), y, width);
    this.series.forEach(({ key, kind, isRare }, index) => {
      const isShown = !isRare || points.some((point) => point[key]);
      const line = !isShown ? [] : (kind.endsWith("step") ? pieces : slopes)(points, key, view.from_s, view.to_s);
      setAttribute(this.paths[index], "d", path(line, x, y, kind.startsWith("area") ? y(0) : null));
    });
    this.#drawMarks(view.marks, x, y, most);
    if (view.hasTimes) this.#drawTimes(view, x);
    const cursor = view.at_s === null ? "" : `M${x(view.at_s).toFixed(1)} ${TOP}V${base}`;
    setAttribute(this.cursor, "d", cursor);
  }

  #most(points, { from_s, marks }) {
    const seen = points.filter((point, index) => (points[index + 1]?.at_s ?? Infinity) >= from_s);
    const values = seen.flatMap((point) => this.series.map(({ key }) => point[key] ?? 0));
    const levels = marks.map((mark) => mark.level ?? 0);
    return Math.max(this.least, ...values, ...levels) * 1.12;
  }

  #drawGrid(values, y, width) {
    resize(this.grid, values.length, () =>
      svgElement("g", {}, svgElement("line", { x1: LEFT }), svgElement("text", { x: LEFT, dy: -4 })),
    );
    values.forEach((value, index) => {
      const [line, text] = this.grid.children[index].children;
      setAttribute(line, "x2", width - RIGHT);
      for (const [node, name] of [[line, "y1"], [line, "y2"], [text, "y"]]) setAttribute(node, name, Math.round(y(value)));
      setText(text, value ? this.format(value).replace(/\.0+(?!\d)/, "") : "");
    });
  }

  #drawTimes({ from_s, to_s }, x) {
    const labels = ages(to_s - from_s);
    resize(this.times, labels.length, () => svgElement("text", { y: this.height - 4 }));
    labels.forEach(({ age_s, text }, index) => {
      const node = this.times.children[index];
      const place = Math.round(x(to_s - age_s));
      setAttribute(node, "x", place);
      setAttribute(node, "text-anchor", age_s === 0 ? "end" : place < 24 ? "start" : "middle");
      setText(node, text);
    });
  }

  #drawMarks(marks, x, y, most) {
    const shown = marks.slice(-MARKS_MAX);
    resize(this.marks, shown.length, () => svgElement("path", {}, svgElement("title")));
    shown.forEach((mark, index) => {
      const node = this.marks.children[index];
      setAttribute(node, "class", `mark ${mark.mark}`);
      setAttribute(node, "d", SHAPES[mark.mark]);
      const level_y = y(Math.min(mark.level ?? 0, most)) - (mark.mark === "growth" ? 1 : mark.mark === "shrink" ? 10 : 0);
      setAttribute(node, "transform", `translate(${x(mark.at_s).toFixed(1)} ${level_y.toFixed(1)})`);
      setText(node.firstChild, mark.text);
    });
  }
}

/** As many children as are needed, and no more. */
function resize(parent, count, create) {
  while (parent.childElementCount > count) parent.lastChild.remove();
  while (parent.childElementCount < count) parent.append(create());
}
