"""Varied series for the laws of ``tests/contract.py``: stations with gaps, of two variables of unlike size."""

import dataclasses

import numpy as np

from sciformer.adapter import Record
from sciformer.domains.climate.adapter import Climate
from sciformer.domains.climate.series import Series, Variable

VARIABLES = (Variable("tas", "K"), Variable("ps", "Pa"))
START = 10_000.0


def series(n: int, seed: int, place: str = "Here", *, gaps: float = 0.0, cells: tuple[int, int] = (1, 1)) -> Series:
    """A daily weather that remembers, with lost values."""
    rng = np.random.default_rng(seed)
    weather = rng.normal(size=(n, *cells, 2))
    for i in range(1, n):
        weather[i] = 0.8 * weather[i - 1] + 0.6 * weather[i]
    values = np.array([280.0, 1e5]) + np.array([5.0, 500.0]) * weather
    values[rng.random(values.shape) < gaps] = np.nan
    return Series(
        time=START + np.arange(n, dtype=float),
        values=values.astype(np.float32),
        variables=VARIABLES,
        lat=np.linspace(50.0, 54.0, cells[0]),
        lon=np.linspace(0.0, 8.0, cells[1]),
        place=place,
        step=1.0,
    )


def record(data: Series, key: str = "here") -> Record:
    return Record(key=key, data=data, group=key)


def fitted(adapter: Climate, *, gaps: float = 0.1, cells: tuple[int, int] = (1, 1)) -> Climate:
    """What a year of weather teaches."""
    shape = dataclasses.replace(adapter, rows=cells[0], columns=cells[1])
    return shape.fitted([record(series(400, 0, gaps=gaps, cells=cells))])


def station(patch: int = 4) -> Climate:
    return fitted(Climate(variables=("tas", "ps"), units=("K", "Pa"), step=1.0, context=16, horizon=8, patch=patch))


def adapters() -> list[Climate]:
    return [station(4), station(1)]


def records() -> list[Record]:
    short = series(3, 4)
    return [
        record(series(24, 1), "whole"),
        record(series(24, 2, gaps=0.4), "gappy"),
        record(series(40, 3, gaps=0.1), "longer than a window"),
        record(short, "short"),
        record(series(24, 5, place="There", gaps=0.2), "of a place that was not learned"),
    ]
