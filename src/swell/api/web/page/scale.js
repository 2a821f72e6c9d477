// From values to places in a chart. Pure.

const SPAN_LEAST_S = 30;
const AGE_STEPS_S = [10, 20, 30, 60, 120];
const AGES_MAX = 5;

/** Round steps below `most`: of powers of two for tokens, of 1, 2 and 5 for everything else. */
export function ticks(most, count, isBinary) {
  const least = most / count;
  const step = isBinary ? 2 ** Math.ceil(Math.log2(Math.max(least, 1))) : decimalStep(least);
  const found = [];
  for (let value = 0; value <= most; value += step) found.push(value);
  return found;
}

function decimalStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].find((factor) => factor * power >= least * 0.999) * power;
}

/** How many seconds to show of `known_s`: as many as may be, but no long emptiness before the first. */
export function span(known_s, most_s) {
  return Math.min(Math.max(known_s, SPAN_LEAST_S), most_s);
}

/** Ages in seconds to write below `span_s`, and how: from now into the past. */
export function ages(span_s) {
  const step_s = AGE_STEPS_S.find((one) => span_s / one <= AGES_MAX) ?? AGE_STEPS_S.at(-1);
  return Array.from({ length: Math.floor(span_s / step_s) + 1 }, (_, index) => {
    const age_s = index * step_s;
    return { age_s, text: age_s === 0 ? "now" : age_s % 60 ? `−${age_s} s` : `−${age_s / 60} min` };
  });
}

/**
 * Pieces of a line through `points` ({at_s, and a number under `key`}), each held until the next one; where the
 * number is missing there is a gap. The last one is held until `to_s`.
 */
export function pieces(points, key, from_s, to_s) {
  const found = [];
  let piece = null;
  for (const [index, point] of points.entries()) {
    const value = point[key];
    const end_s = Math.min(points[index + 1]?.at_s ?? to_s, to_s);
    if (value === undefined) piece = null;
    else if (end_s > from_s) {
      if (piece === null) found.push((piece = []));
      piece.push([Math.max(point.at_s, from_s), value], [end_s, value]);
    }
  }
  return found;
}

/** As `pieces`, but straight from one point to the next if they are not `hold_s` apart: what rises by and by. */
export function slopes(points, key, from_s, to_s, hold_s = 2.5) {
  return pieces(points, key, from_s, to_s).map((piece) =>
    piece.filter(([at_s], index) => index % 2 === 0 || index === piece.length - 1 || at_s - piece[index - 1][0] > hold_s),
  );
}

/** The `d` of a path through `pieces`, with places by `x` and `y`; closed down to `base` if that is given. */
export function path(pieces, x, y, base = null) {
  return pieces
    .map((piece) => {
      const line = piece.map(([at_s, value]) => `${round(x(at_s))} ${round(y(value))}`).join("L");
      if (base === null) return `M${line}`;
      return `M${round(x(piece[0][0]))} ${round(base)}L${line}L${round(x(piece.at(-1)[0]))} ${round(base)}Z`;
    })
    .join("");
}

/** The last point at or before `at_s`; null if there is none. */
export function pointAt(points, at_s) {
  return points.findLast((point) => point.at_s <= at_s) ?? null;
}

function round(value) {
  return Math.round(value * 10) / 10;
}
