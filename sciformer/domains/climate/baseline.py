"""Classical forecasts to stand beside the transformer; each says how far it can be trusted."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from sciformer.adapter import Forecasting, Record
from sciformer.domains.climate import expectation
from sciformer.domains.climate.series import Series

if TYPE_CHECKING:
    from sciformer.domains.climate.adapter import Climate

RIDGE = 100.0
"""Penalty of the linear model, for inputs in spreads from the normal."""
MOST = 2**25
"""Numbers, of training windows at even distances, that the linear model is fitted to."""

Answer = tuple[Float[np.ndarray, "n y x v"], Float[np.ndarray, "n y x v"]]


def forecasts(adapter: "Climate", train: Sequence[Record]) -> Mapping[str, Forecasting]:
    """By name. Kriging is what the transformer starts from: what it adds is the difference to that."""
    known = {
        "climatology": climatology,
        "persistence": persistence,
        "damped persistence": damped,
    }
    if adapter.diurnal or adapter.annual:
        known["seasonal naive"] = seasonal
    told = {name: _rows(adapter, model) for name, model in known.items()}
    told["kriging"] = functools.partial(kriging, adapter)
    linear = Linear.fit(adapter, train)
    return {**told, **({"linear (ridge)": _rows(adapter, linear)} if linear else {})}


def _rows(adapter: "Climate", model: Callable[["Climate", Series, Series], Answer]) -> Forecasting:
    """An answer per row of ``observations`` of the questions."""

    def answer(seen: Series, asked: Series) -> tuple[np.ndarray, np.ndarray]:
        seen, wanted = adapter.seen(seen).loaded(), np.isfinite(np.asarray(asked.values))
        mean, std = model(adapter, seen, asked)
        return mean[wanted].astype(np.float64), np.maximum(std[wanted], 1e-12).astype(np.float64)

    return answer


def _usual(adapter: "Climate", seen: Series, time: np.ndarray) -> Float[np.ndarray, "n y x v"]:
    return adapter.cycles.usual(time, adapter.normal(seen)[0])


def _shape(adapter: "Climate", seen: Series, asked: Series) -> tuple[np.ndarray, np.ndarray]:
    """What is normal at the questions, and the spread around it."""
    spread = adapter.normal(seen)[1]
    return _usual(adapter, seen, asked.time), np.broadcast_to(spread, (len(asked), *spread.shape))


def _last(anomaly: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The last known anomaly of every line and its moment; 0 at no moment where none is known."""
    known = np.isfinite(anomaly)
    place = len(anomaly) - 1 - known[::-1].argmax(0)
    value = np.take_along_axis(anomaly, place[None], 0)[0]
    some = known.any(0)
    return np.where(some, value, 0.0), np.where(some, time[place], -np.inf)


def climatology(adapter: "Climate", seen: Series, asked: Series) -> Answer:
    """What is normal for the place, the season and the hour."""
    return _shape(adapter, seen, asked)


def persistence(adapter: "Climate", seen: Series, asked: Series) -> Answer:
    """The last value, come what may."""
    usual, spread = _shape(adapter, seen, asked)
    values = np.asarray(seen.values, dtype=float)
    last, when = _last(values, seen.time)
    last = np.where(np.isfinite(when), last, _usual(adapter, seen, seen.time[-1:])[0])
    return np.broadcast_to(last, usual.shape), spread * np.sqrt(2 * (1 - _correlation(adapter, asked, when)))


def damped(adapter: "Climate", seen: Series, asked: Series) -> Answer:
    """The last anomaly, fading as anomalies do."""
    usual, spread = _shape(adapter, seen, asked)
    last, when = _last(adapter.anomaly(seen), seen.time)
    rho = _correlation(adapter, asked, when)
    return usual + spread * rho * last, spread * np.sqrt(1 - rho**2)


def _correlation(adapter: "Climate", asked: Series, when: np.ndarray) -> np.ndarray:
    """Of the anomalies at the questions with those at ``when``, of unit variance as they are."""
    lag = (asked.time[:, None, None, None] - np.where(np.isfinite(when), when, -1e9)) / adapter.step
    out = np.empty(lag.shape)
    for j, memory in enumerate(adapter.memories):
        drop = memory.covariance[0] - memory.at(lag[..., j]) + memory.nugget
        out[..., j] = np.clip(1 - drop, 0.0, 0.9999)
    return out


def seasonal(adapter: "Climate", seen: Series, asked: Series) -> Answer:
    """The value of the same hour of the last day that was seen, or of the same day of the last year."""
    usual, spread = _shape(adapter, seen, asked)
    period = 1.0 if adapter.diurnal else adapter.cycles.year
    back = np.ceil((asked.time - seen.time[-1]) / period - 1e-6) * period
    place = np.abs(seen.time[:, None] - (asked.time - back)[None]).argmin(0)
    near = np.abs(seen.time[place] - (asked.time - back)) < adapter.step
    values = np.where(near[:, None, None, None], np.asarray(seen.values)[place], np.nan)
    return np.where(np.isfinite(values), values, usual), spread * np.sqrt(2.0)


def kriging(adapter: "Climate", seen: Series, asked: Series) -> tuple[np.ndarray, np.ndarray]:
    """The best linear answer from what was seen of the same variable and place: what the tokens of questions expect."""
    record = Record(key=seen.place, data=seen, group=seen.place)
    tokens = adapter.ask(record, asked)
    questions = tokens.values[~tokens.observed[:, list(adapter.schema.measured)].any(-1)]
    place = adapter.answered(record, asked)
    mean, std = (
        questions[:, adapter.layout.part(part)].double().numpy().ravel()[place]
        for part in (expectation.EXPECTED, expectation.DOUBT)
    )
    return mean, np.maximum(std, 1e-12)


class Linear:
    """Ridge regression of what comes on what was, from the last value (NLinear; Zeng et al. 2023, arXiv:2205.13504),
    variable by variable. It knows no gaps: they are filled in straight lines before."""

    def __init__(self, weights: np.ndarray, residual: np.ndarray):
        self.weights, self.residual = weights, residual
        """[variables, context, horizon] and [variables, horizon]."""

    @classmethod
    def fit(cls, adapter: "Climate", train: Sequence[Record]) -> "Linear | None":
        """From training windows; None where there are too few."""
        from sklearn.linear_model import Ridge

        numbers = len(train) * adapter.span * adapter.rows * adapter.columns * len(adapter.variables)
        pairs = [laid(adapter, record.data) for record in train[:: max(1, -(-numbers // MOST))]]
        pairs = [pair for pair in pairs if pair is not None]
        if len(pairs) < 10:
            return None
        weights, residual = [], []
        for v in range(len(adapter.variables)):
            x, y = (np.concatenate([pair[i][..., v].reshape(pair[i].shape[0], -1).T for pair in pairs]) for i in (0, 1))
            whole = np.isfinite(y).all(1) & np.isfinite(x).all(1)
            model = Ridge(RIDGE, fit_intercept=False).fit(x[whole], y[whole])
            weights.append(np.atleast_2d(model.coef_).T)
            residual.append((y[whole] - x[whole] @ weights[-1]).std(0))
        return cls(np.stack(weights), np.stack(residual))

    def __call__(self, adapter: "Climate", seen: Series, asked: Series) -> Answer:
        usual, spread = _shape(adapter, seen, asked)
        cut = seen.time[-1] + adapter.step
        past, last = before(adapter, seen, cut)
        place = np.clip(np.round((asked.time - cut) / adapter.step).astype(int), 0, self.residual.shape[1] - 1)
        ahead = np.einsum("cyxv,vch->hyxv", past, self.weights)
        std = np.broadcast_to(self.residual.T[place][:, None, None], usual.shape)
        return usual + spread * (ahead[place] + last), spread * std


def laid(adapter: "Climate", window: Series) -> tuple[np.ndarray, np.ndarray] | None:
    """Context and horizon of a training window, as anomalies less the last of them: [steps, y, x, variables]."""
    cut = window.time[0] + adapter.context * adapter.step
    here = int(np.searchsorted(window.time, cut - adapter.step / 2))
    if here < 2 or here == len(window):
        return None
    seen, after = window.take(adapter.variables).between(0, here).loaded(), window.between(here, len(window)).loaded()
    past, last = before(adapter, seen, cut)
    future = np.full((adapter.horizon, *past.shape[1:]), np.nan)
    place = np.round((after.time - cut) / adapter.step).astype(int)
    inside = (place >= 0) & (place < adapter.horizon)
    future[place[inside]] = (adapter.anomaly(after.take(adapter.variables)) - last)[inside]
    return past, future


def before(adapter: "Climate", seen: Series, cut: float) -> tuple[np.ndarray, np.ndarray]:
    """The context before ``cut`` without gaps, as anomalies less the last of them, and that last one."""
    anomaly = adapter.anomaly(seen)
    grid = np.full((adapter.context, *anomaly.shape[1:]), np.nan)
    place = adapter.context - np.round((cut - seen.time) / adapter.step).astype(int)
    inside = (place >= 0) & (place < adapter.context)
    grid[place[inside]] = anomaly[inside]
    for line in grid.reshape(len(grid), -1).T:
        known = np.flatnonzero(np.isfinite(line))
        line[:] = np.interp(np.arange(len(line)), known, line[known]) if len(known) else 0.0
    return grid - grid[-1], grid[-1]
