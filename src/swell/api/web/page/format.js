// Numbers as people read them. Pure.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const BYTE_UNITS = ["B", "kB", "MB", "GB", "TB"];

export const NONE = "–";

export function tokens(count) {
  return whole.format(count);
}

/** Decimal units, as `swell ps` has them. */
export function bytes(count) {
  let unit = 0;
  while (count >= 999.5 && unit < BYTE_UNITS.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return `${significant(count)} ${BYTE_UNITS[unit]}`;
}

export function seconds(duration_s) {
  if (duration_s === null || duration_s === undefined) return NONE;
  if (duration_s < 0.9995) return `${Math.round(duration_s * 1000)} ms`;
  if (duration_s < 120) return `${significant(duration_s)} s`;
  return `${whole.format(duration_s / 60)} min`;
}

export function rate(per_s) {
  return per_s > 0 ? significant(per_s) : "0";
}

/** The time of day. */
export function clock(at_s) {
  const time = new Date(at_s * 1000);
  return [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
}

/** Three digits, as far as they say anything. */
function significant(value) {
  if (value >= 99.95) return whole.format(value);
  return value >= 9.995 ? value.toFixed(1) : value.toFixed(value < 0.005 ? 0 : 2);
}
