"""The curve folded at a period that is found from its visible observations alone.

A star of half a day seen for ten years has gone round seven thousand times; no reading of raw times can keep count.
So every token of a record, questions included, is also told the record's period, how strong it is, the shape of the
cycle, where in it its own moment lies, and what the fitted cycle says there. Phase 0 is the maximum of the
fundamental: no epoch is known, and stars are aligned.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
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


def columns() -> tuple[Value, ...]:
    """The value columns that folding adds behind those of measurements, the logarithm of the period first."""
    shape = [f"shape_{part}{k}" for part in ("re", "im") for k in range(2, period.HARMONICS + 1)]
    phases = [f"{wave}{k}" for wave in ("cos", "sin") for k in PHASES]
    return tuple(Value(name, "1", scale="none", derived=True) for name in (*TYPICAL, *shape, "fit", *phases))


def derive(tokens: Tokens, unplaced: int, tools: Periodograms) -> Tokens:
    """Tokens, batched or not, with the columns of ``columns`` filled from the observations that are visible now.

    Every record (``sample`` id of a row) has its own period. Tokens of the band ``unplaced`` have no time and hence no
    phase; a record with too few observations has no period, and whatever was there before is wiped.
    """
    first = tokens.values.shape[-1] - len(columns())
    values, observed = tokens.values.clone(), tokens.observed.clone()
    values[..., first:], observed[..., first:] = 0.0, False
    placed = tokens.exists & (tokens.ids[..., 0] != unplaced)
    seen = placed & tokens.observed[..., VALUE]
    for record in _records(tokens):
        found = _fold(tokens, record & seen, tools)
        if found is not None:
            where = record & placed
            time = tokens.coords[where][:, TIME].double().cpu().numpy()
            values[where, first:] = torch.from_numpy(_content(found, time)).to(values)
            observed[where, first:] = True
    return tokens.replace(values=values, observed=observed)


def _records(tokens: Tokens) -> Sequence[Tensor]:
    """For each record of each row, where its tokens are."""
    slots = int(tokens.sample.max()) + 1 if tokens.sample.numel() else 0
    rows = torch.arange(tokens.sample[..., 0].numel(), device=tokens.sample.device).reshape(tokens.sample.shape[:-1])
    record = torch.where(tokens.exists, rows.unsqueeze(-1) * slots + tokens.sample, -1)
    return [record == i for i in record[tokens.exists].unique()]


def _fold(tokens: Tokens, seen: Tensor, tools: Periodograms) -> Fold | None:
    """Of the observations at ``seen``; float64, for the cycles are many."""
    values = tokens.values[seen].double().cpu().numpy()
    error = np.where(tokens.observed[seen][:, ERROR].cpu().numpy(), values[:, ERROR], np.nan)
    time, band = tokens.coords[seen][:, TIME].double().cpu().numpy(), tokens.ids[seen][:, 0].cpu().numpy()
    return period.fold(time, band, values[:, VALUE], error, tools)


def _content(found: Fold, time: Float[np.ndarray, " n"]) -> Float[np.ndarray, "n k"]:
    summary = (np.log10(found.period), found.power, found.explained, min(found.odd, 1.0))
    whole = [(x - centre) / spread for x, (centre, spread) in zip(summary, TYPICAL.values(), strict=True)]
    whole += [*np.real(found.shape[1:]) / OVERTONE, *np.imag(found.shape[1:]) / OVERTONE]
    angles = found.phase(time)[:, None] * np.array(PHASES)
    return np.column_stack([np.tile(whole, (len(time), 1)), found.at(time), np.cos(angles), np.sin(angles)])
