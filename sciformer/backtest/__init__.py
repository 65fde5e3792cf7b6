"""Forecasts put to the test: the last observations of records are held out, forecast, and scored.

The unit is the record, not the observation: the observations of one object are alike, so every record counts alike in a
score, and resampling draws whole records.
"""

from sciformer.backtest.held import HeldOut, basis, calibrated, examples, predictions, remark
from sciformer.backtest.origins import Backtest, adapted, backtest
from sciformer.backtest.rules import crps
from sciformer.backtest.scoring import by_lead, by_place, gap_curve, reliability, scored

__all__ = [
    "Backtest",
    "HeldOut",
    "adapted",
    "backtest",
    "basis",
    "by_lead",
    "by_place",
    "calibrated",
    "crps",
    "examples",
    "gap_curve",
    "predictions",
    "reliability",
    "remark",
    "scored",
]
