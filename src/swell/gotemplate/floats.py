"""Floats as Go writes them."""

import math
from decimal import Decimal

_EXPONENT_MIN, _EXPONENT_LIMIT = -4, 6
_MANTISSA_BITS, _EXPONENT_OF_TWO_MIN = 52, -1074


def float_text(value: float, verb: str, precision: int | None) -> str:
    """`value` by one of the verbs e, E, f, g, G, x, X and b of printf; without `precision` as short as is exact."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    match verb:
        case "b":
            mantissa, exponent = _parts(value)
            return f"{_sign(value)}{mantissa}p{exponent:+d}"
        case "x" | "X":
            text = _hex(value, precision)
            return text.upper() if verb == "X" else text
    if precision is not None:
        return f"{value:.{precision}{verb}}"
    match verb:
        case "f":
            return f"{Decimal(repr(value)):f}".removesuffix(".0")
        case "e" | "E":
            return _shortest_exponential(value, verb)
    if not _EXPONENT_MIN <= _exponent(value) < _EXPONENT_LIMIT:
        return _shortest_exponential(value, "e" if verb == "g" else "E")
    return f"{Decimal(repr(value)):f}".removesuffix(".0")


def _exponent(value: float) -> int:
    """The exponent of ten of the first digit."""
    return Decimal(repr(value)).adjusted() if value else 0


def _shortest_exponential(value: float, letter: str) -> str:
    number = Decimal(repr(value)).normalize()
    digits = "".join(map(str, number.as_tuple().digits))
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{_sign(value)}{digits[0]}{fraction}{letter}{_exponent(value):+03d}"


def _sign(value: float) -> str:
    return "-" if math.copysign(1, value) < 0 else ""


def _parts(value: float) -> tuple[int, int]:
    """The integer and the exponent of two of which a float is made."""
    exponent = max(math.frexp(value)[1] - _MANTISSA_BITS - 1, _EXPONENT_OF_TWO_MIN) if value else _EXPONENT_OF_TWO_MIN
    return int(math.ldexp(abs(value), -exponent)), exponent


def _hex(value: float, precision: int | None) -> str:
    if value == 0:
        mantissa, exponent = 0, 0
    else:
        fraction, exponent = math.frexp(abs(value))
        mantissa, exponent = int(math.ldexp(fraction, _MANTISSA_BITS + 1)), exponent - 1
    if precision is not None and precision < _MANTISSA_BITS // 4:
        dropped = _MANTISSA_BITS - 4 * precision
        mantissa = round(Decimal(mantissa) / (1 << dropped)) << dropped
        if mantissa >> (_MANTISSA_BITS + 1):
            mantissa, exponent = mantissa >> 1, exponent + 1
    digits = f"{mantissa & ((1 << _MANTISSA_BITS) - 1):013x}"
    digits = digits.rstrip("0") if precision is None else digits[:precision].ljust(precision, "0")
    point = "." if digits else ""
    return f"{_sign(value)}0x{mantissa >> _MANTISSA_BITS}{point}{digits}p{exponent:+03d}"
