"""Numbers as a reader of a paper expects them."""

import math

import numpy as np

MISSING = "–"


def number(value: object) -> str:
    """Three significant digits and a true minus sign; texts and counts stay as they are; NaN is a dash."""
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
        return str(value)
    if isinstance(value, (int, np.integer)):
        return f"{value:,}".replace("-", "−")
    return _digits(float(value), _decimals(float(value)))


def with_interval(value: float, lower: float, upper: float) -> str:
    """``0.612 [0.541, 0.690]`` with the same decimals throughout."""
    decimals = _decimals(value, lower, upper)
    if not (math.isfinite(lower) or math.isfinite(upper)):
        return _digits(value, decimals)
    return f"{_digits(value, decimals)} [{_digits(lower, decimals)}, {_digits(upper, decimals)}]"


def _decimals(*values: float) -> int:
    """Enough for three significant digits of the largest, and three decimals from 0.01 up to 1."""
    size = max((abs(v) for v in values if math.isfinite(v)), default=0.0)
    if size == 0 or 0.01 <= size < 1:
        return 3
    return min(9, max(0, 2 - math.floor(math.log10(size))))


def _digits(value: float, decimals: int) -> str:
    if not math.isfinite(value):
        return MISSING if math.isnan(value) else ("−∞" if value < 0 else "∞")
    if abs(value) >= 1e6 or 0 < abs(value) < 1e-6:
        return f"{value:.2e}".replace("-", "−")
    return f"{value:,.{decimals}f}".replace("-", "−")
