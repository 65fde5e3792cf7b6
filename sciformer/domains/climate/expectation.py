"""What is to be expected at every step that was not observed, from those of the same variable and place that were.

Every token, questions included, is told it: where forecasts start from, and how far it can be trusted.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sciformer.domains.climate.memory import Memory
from sciformer.domains.climate.tokenizer import Layout
from sciformer.tokens import AXES, Tokens

VALUE, NORMAL, EXPECTED, DOUBT, LEVEL, UNSURE = range(6)
_TIME, _X = AXES.index("time"), AXES.index("x")


def derive(tokens: Tokens, layout: Layout, memories: Mapping[int, Memory]) -> Tokens:
    """Tokens, batched or not, with their derived columns filled from what is visible in them now; ``memories`` are
    those of the variables by their ids.

    Every line (a variable at a cell, of one record) is answered by itself: what its neighbours say is for the
    transformer to learn. Where nothing is normal, nothing is ever measured, and nothing is expected.
    """
    values, observed = tokens.values.clone(), tokens.observed.clone()
    exists = tokens.exists
    spread = values[exists][:, layout.spread].double().cpu().numpy()[:, None]
    raw, seen = (_columns(x[exists], layout, VALUE) for x in (values, observed))
    normal, usual = (_columns(x[exists], layout, NORMAL) for x in (values, observed))
    known = seen & usual
    anomaly = np.where(known, (raw - normal) / np.where(spread > 0, spread, 1.0), 0.0)
    doubt = np.where(known, 0.0, np.nan)
    moment = tokens.coords[exists][:, _TIME].double().cpu().numpy()[:, None] + layout.steps
    for kind, line in _lines(tokens, exists):
        _fill(anomaly, doubt, moment, known, usual, line, layout, memories.get(kind))
    told = np.isfinite(doubt)
    content = {
        EXPECTED: normal + spread * anomaly,
        DOUBT: spread * doubt,
        LEVEL: anomaly,
        UNSURE: doubt,
    }
    for part, x in content.items():
        full = torch.from_numpy(np.where(told, x, 0.0)).to(values)
        values[..., layout.part(part)] = values.new_zeros(observed[..., layout.part(part)].shape).masked_scatter(
            exists.unsqueeze(-1), full
        )
        observed[..., layout.part(part)] = torch.zeros_like(observed[..., layout.part(part)]).masked_scatter(
            exists.unsqueeze(-1), torch.from_numpy(told).to(observed)
        )
    return tokens.replace(values=values, observed=observed)


def _columns(x: Tensor, layout: Layout, part: int) -> np.ndarray:
    return x[:, layout.part(part)].cpu().numpy().astype(np.float64 if x.is_floating_point() else bool)


def _lines(tokens: Tokens, exists: Bool[Tensor, "*b n"]) -> Iterator[tuple[int, np.ndarray]]:
    """For each record, variable and block, the id of the variable and the places of its tokens among all there are."""
    rows = torch.arange(tokens.sample[..., 0].numel(), device=tokens.sample.device).reshape(tokens.sample.shape[:-1])
    key = torch.stack([rows.unsqueeze(-1).expand_as(tokens.sample), tokens.sample, tokens.ids[..., 0]], -1)
    whole = torch.cat([key.double(), tokens.coords[..., _X : _X + 3].double()], -1)[exists].cpu().numpy()
    if not len(whole):
        return
    distinct, place = np.unique(whole, axis=0, return_inverse=True)
    order = np.argsort(place.ravel(), kind="stable")
    bounds = np.searchsorted(place.ravel()[order], np.arange(len(distinct) + 1))
    for i, kind in enumerate(distinct[:, 2].astype(int)):
        yield int(kind), order[bounds[i] : bounds[i + 1]]


def _fill(
    anomaly: Float[np.ndarray, "m k"],
    doubt: Float[np.ndarray, "m k"],
    moment: Float[np.ndarray, "m k"],
    known: Bool[np.ndarray, "m k"],
    usual: Bool[np.ndarray, "m k"],
    line: np.ndarray,
    layout: Layout,
    memory: Memory | None,
) -> None:
    """Krige the unseen steps of the cells of one block, in place. Cells that were seen at the same steps share the
    work; of a variable that was never learned nothing is expected."""
    cells = layout.block**2
    shape = (len(line) * layout.patch, cells)
    time = moment[line].reshape(shape)[:, 0]
    seen, wanted = known[line].reshape(shape), (usual & ~known)[line].reshape(shape)
    if memory is None or not wanted.any():
        return
    level, error = anomaly[line].reshape(shape), doubt[line].reshape(shape)
    patterns, which = np.unique(np.concatenate([seen, wanted]), axis=1, return_inverse=True)
    for i in range(patterns.shape[1]):
        there, asked = np.split(patterns[:, i], 2)
        alike = np.flatnonzero(which.ravel() == i)
        if asked.any():
            mean, std = memory.krige(time[there], level[np.ix_(there, alike)], time[asked])
            level[np.ix_(asked, alike)], error[np.ix_(asked, alike)] = mean, std[:, None]
    anomaly[line], doubt[line] = level.reshape(len(line), -1), error.reshape(len(line), -1)
