"""Questions to a forecast model: where each lies, and what can be answered."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sciformer.adapter import Record, SeriesAdapter

QUANTILES = {0.05: 0.9, 0.25: 0.5, 0.75: 0.5, 0.95: 0.9}
"""Quantiles that are answered beside the mean, and the level of the central interval that each is an end of."""

Case = tuple[Record, Any]
"""A readable record and questions about it, in the native type of its domain."""


def asked(adapter: SeriesAdapter, cases: Sequence[Case]) -> pd.DataFrame:
    """A row per question: ``case``, place, ``value`` and ``error`` where they are known, the ``target`` it is about,
    and how far ``ahead`` of what was seen it lies, in the unit of the clock."""
    clock, tables = adapter.clock.name, []
    for i, (record, later) in enumerate(cases):
        table = adapter.observations(later)
        tables.append(table.assign(case=i, ahead=adapter.ahead(record, table[clock].to_numpy())))
    if not tables:
        return pd.DataFrame(columns=["case", *adapter.places, "value", "error", "target", "ahead"])
    whole = pd.concat(tables, ignore_index=True)
    return whole.assign(target=whole[adapter.kind] if adapter.kind else adapter.quantities[0].name)


def limits(adapter: SeriesAdapter, asked: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest that each answer can be."""
    low = {target.name: -np.inf if target.lower is None else target.lower for target in adapter.quantities}
    high = {target.name: np.inf if target.upper is None else target.upper for target in adapter.quantities}
    return asked["target"].map(low).to_numpy(np.float64), asked["target"].map(high).to_numpy(np.float64)
