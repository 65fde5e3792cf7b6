"""The curve folded at a period that is found from its visible observations alone.

A star of half a day seen for ten years has gone round seven thousand times; no reading of raw times can keep count.
So every token of a record, questions included, is also told the record's period, how strong it is, the shape of the
cycle, where in it its own moment lies, and what the fitted cycle says there. Phase 0 is the maximum of the
fundamental: no epoch is known, and stars are aligned.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor

from sciformer.domains.lightcurve import period
from sciformer.domains.lightcurve.augment import ERROR, TIME, VALUE
from sciformer.domains.lightcurve.period import Fold, Periodograms
from sciformer.tokens import Tokens, Value

PHASES = (1, 2, 3)
"""Multiples of the phase whose cosine and sine are given."""
TYPICAL = {"log10_period": (0.0, 1.0), "power": (0.5, 0.25), "explained": (0.7, 0.25), "odd": (0.3, 0.3)}
"""Centre and spread of what is said of the whole cycle. All but the period are given in these terms: what varies by a
quarter of what else is embedded is learned four times as slowly."""
OVERTONE = 0.15
"""Spread of the real and imaginary parts of the overtones; the fundamental is what is left to 1."""

TERMS = 5
RIDGE = 0.3
"""Of the Fourier series: its terms, and how many observations' worth of belief there is that a term is nothing, times
the square of its order."""
ERROR_FLOOR = 0.1
"""In spreads of a band: better measured points weigh no more, for no series of few terms is as exact."""


def columns(unit: str, *, fourier: bool) -> tuple[Value, ...]:
    """The value columns that folding adds behind those of measurements: first the logarithm of the period, last the
    Fourier series of each band, if asked for."""
    shape = [f"shape_{part}{k}" for part in ("re", "im") for k in range(2, period.HARMONICS + 1)]
    phases = [f"{wave}{k}" for wave in ("cos", "sin") for k in PHASES]
    whole = tuple(Value(name, "1", scale="none", derived=True, wavy=True) for name in (*TYPICAL, *shape))
    folded = (*whole, *(Value(name, "1", scale="none", derived=True) for name in ("fit", *phases)))
    guess = Value("expected", unit, derived=True, guess_of="value")
    return (*folded, guess) if fourier else folded


def derive(tokens: Tokens, first: int, unplaced: int, tools: Periodograms) -> Tokens:
    """Tokens, batched or not, with the columns of ``columns``, which begin at ``first``, filled from the observations
    that are visible now.

    Every record (``sample`` id of a row) has its own period. Tokens of the band ``unplaced`` have no time and hence no
    phase; a record with too few observations has no period, and whatever was there before is wiped.
    """
    values, observed = tokens.values.clone(), tokens.observed.clone()
    values[..., first:], observed[..., first:] = 0.0, False
    placed = tokens.exists & (tokens.ids[..., 0] != unplaced)
    seen = placed & tokens.observed[..., VALUE]
    for record in _records(tokens):
        visible, where = _points(tokens, record & seen), record & placed
        found = period.fold(*visible, tools)
        if found is not None:
            asked = _points(tokens, where)
            content = _content(found, asked.time)
            if values.shape[-1] - first > content.shape[-1]:
                content = np.column_stack([content, fourier(found, visible, asked)])
            values[where, first:] = torch.from_numpy(content).to(values)
            observed[where, first:] = torch.from_numpy(np.isfinite(content)).to(observed)
    values = values.masked_fill(~observed, 0.0)
    return tokens.replace(values=values, observed=observed)


def _records(tokens: Tokens) -> Sequence[Tensor]:
    """For each record of each row, where its tokens are."""
    slots = int(tokens.sample.max()) + 1 if tokens.sample.numel() else 0
    rows = torch.arange(tokens.sample[..., 0].numel(), device=tokens.sample.device).reshape(tokens.sample.shape[:-1])
    record = torch.where(tokens.exists, rows.unsqueeze(-1) * slots + tokens.sample, -1)
    return [record == i for i in record[tokens.exists].unique()]


class Points(NamedTuple):
    """Of one record, in float64, for the cycles are many."""

    time: Float[np.ndarray, " n"]
    band: Integer[np.ndarray, " n"]
    value: Float[np.ndarray, " n"]
    error: Float[np.ndarray, " n"]
    """NaN where unknown."""


def _points(tokens: Tokens, where: Tensor) -> Points:
    values = tokens.values[where].double().cpu().numpy()
    error = np.where(tokens.observed[where][:, ERROR].cpu().numpy(), values[:, ERROR], np.nan)
    time, band = tokens.coords[where][:, TIME].double().cpu().numpy(), tokens.ids[where][:, 0].cpu().numpy()
    return Points(time, band, values[:, VALUE], error)


def fourier(found: Fold, seen: Points, asked: Points) -> Float[np.ndarray, " q"]:
    """What a Fourier series at the period says of each of ``asked``, fitted band by band to ``seen`` with a ridge that
    keeps the series smooth where there are few points; NaN in a band that was not seen."""
    out = np.full(len(asked.time), np.nan)
    for band in np.unique(seen.band):
        at, here = seen.band == band, asked.band == band
        value = seen.value[at]
        spread = max(float(value.std()), 1e-12)
        error = np.nan_to_num(seen.error[at], nan=0.0) / spread
        weight = 1 / (error**2 + ERROR_FLOOR**2)
        weight /= weight.mean()
        level = np.average(value, weights=weight)
        design = period.waves(found.phase(seen.time[at]), TERMS)
        ridge = RIDGE * np.tile(np.arange(1, TERMS + 1), 2) ** 2
        normal = (design * weight[:, None]).T @ design + np.diag(np.concatenate([[1e-9], ridge]))
        series = np.linalg.solve(normal, design.T @ (weight * (value - level)))
        out[here] = level + period.waves(found.phase(asked.time[here]), TERMS) @ series
    return out


def _content(found: Fold, time: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n k"]:
    summary = (np.log10(found.period), found.power, found.explained, min(found.odd, 1.0))
    whole = [(x - centre) / spread for x, (centre, spread) in zip(summary, TYPICAL.values(), strict=True)]
    whole += [*np.real(found.shape[1:]) / OVERTONE, *np.imag(found.shape[1:]) / OVERTONE]
    angles = found.phase(time)[:, None] * np.array(PHASES)
    return np.column_stack([np.tile(whole, (len(time), 1)), found.at(time), np.cos(angles), np.sin(angles)])
