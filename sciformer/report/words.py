"""Numbers as a reader of a paper expects them."""

import math

import numpy as np

MISSING = "–"
TIMES = "\N{NO-BREAK SPACE}·\N{NO-BREAK SPACE}"
SMALL = 1e-4
"""Below it, and from a million on, numbers have a power of ten."""


def number(value: object) -> str:
    """Three significant digits and a true minus sign; texts and counts stay as they are; NaN is a dash."""
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        return str(value)
    if isinstance(value, (int, np.integer)):
        return f"{value:,}".replace("-", "−")
    scale, power = _power(float(value))
    return _digits(float(value) / scale, _decimals(float(value) / scale)) + (f"{TIMES}{power}" if power else "")


def with_interval(value: float, lower: float, upper: float) -> str:
    """``0.612 [0.541, 0.690]`` with the same decimals, and the same power of ten, throughout."""
    scale, power = _power(value, lower, upper)
    value, lower, upper = (x / scale for x in (value, lower, upper))
    decimals, power = _decimals(value, lower, upper), f"{TIMES}{power}" if power else ""
    if not (math.isfinite(lower) or math.isfinite(upper)):
        return _digits(value, decimals) + power
    return f"{_digits(value, decimals)} [{_digits(lower, decimals)}, {_digits(upper, decimals)}]{power}"


def together(*values: float) -> tuple[str, ...]:
    """Numbers that are read as one, with the same decimals, and the same power of ten, throughout."""
    scale, power = _power(*values)
    decimals = _decimals(*(x / scale for x in values))
    return tuple(_digits(x / scale, decimals) + (f"{TIMES}{power}" if power else "") for x in values)


def scaled(largest: float) -> tuple[float, str]:
    """A power of 1000 to divide by, and its name, so that numbers up to ``largest`` fit beside an axis."""
    if not math.isfinite(largest) or largest == 0 or 1e-2 <= largest < 1e4:
        return 1.0, ""
    exponent = 3 * math.floor(math.log10(largest) / 3)
    return 10.0**exponent, _ten(exponent)


def bracket(text: str, unit: str, power: str = "") -> str:
    """The label of an axis: what is on it, and in which unit."""
    unit = " ".join(part for part in (power, unit) if part)
    return f"{text} [{unit}]" if unit else text


def _power(*values: float) -> tuple[float, str]:
    """What the numbers are divided by where the largest of them is very small or very large."""
    size = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    if size == 0 or SMALL <= size < 1e6:
        return 1.0, ""
    exponent = max(math.floor(math.log10(size)), -300)
    return 10.0**exponent, _ten(exponent)


def _ten(exponent: int) -> str:
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _decimals(*values: float) -> int:
    """Enough for three significant digits of the largest, and three decimals from 0.01 up to 1."""
    size = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    if size == 0 or 0.01 <= size < 1:
        return 3
    return min(9, max(0, 2 - math.floor(math.log10(size))))


def _digits(value: float, decimals: int) -> str:
    if not math.isfinite(value):
        return MISSING if math.isnan(value) else ("−∞" if value < 0 else "∞")
    return f"{value:,.{decimals}f}".replace("-", "−")
