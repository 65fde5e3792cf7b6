"""What there is to show of one target, whatever its kind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sciformer.report.canvas import Plot
from sciformer.report.coverage import Coverage


@dataclass(frozen=True)
class Shown:
    """Figures and counts of the test part; ``n`` is the number of its records, or of what counts as one."""

    n: int = 0
    coverage: Coverage | None = None
    plots: list[Plot] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    by_class: list[tuple[str, Coverage]] = field(default_factory=list)
    """Coverage of the test records of each true class."""
    confusion: tuple[list[str], list[list[tuple[int, float]]]] | None = None
    counted: str = "record"
    """What it is that ``n`` counts, in one word."""
    records: int | None = None
    """Of how many records these are parts, where every part is answered: parts of one record are alike."""


def count(value: Any) -> int | None:
    """A number of records as a file told it; None for anything else."""
    return value if isinstance(value, int) and value >= 0 else None


def mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
