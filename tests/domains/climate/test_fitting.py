"""What is learned of a series on disk is what is learned of it in memory, one piece at a time."""

import importlib.util
import weakref
from collections import Counter
from pathlib import Path

import dask.array
import numpy as np
import pytest
from numpy.testing import assert_allclose

from sciformer.adapter import Record
from sciformer.domains.climate import fitting
from sciformer.domains.climate.normals import Cycles, Sums, fit
from sciformer.domains.climate.windows import windows

spec = importlib.util.spec_from_file_location("climate_samples", Path(__file__).with_name("samples.py"))
samples = importlib.util.module_from_spec(spec)
spec.loader.exec_module(samples)


class Disk:
    """Values as a dask array that knows how often each piece was read, and how many are in memory."""

    def __init__(self, values: np.ndarray, chunks: tuple[int, ...]):
        self.read, self.there, self.most = Counter(), 0, 0
        source = dask.array.from_array(values, chunks=chunks)
        self.array = source.map_blocks(self._load, dtype=values.dtype, meta=np.zeros((0,) * 4, values.dtype))

    def _load(self, block: np.ndarray, block_info=None) -> np.ndarray:
        piece = block.copy()
        weakref.finalize(piece, self._gone)
        self.read[tuple(block_info[0]["chunk-location"])] += 1
        self.there += 1
        self.most = max(self.most, self.there)
        return piece

    def _gone(self) -> None:
        self.there -= 1


@pytest.fixture(scope="module")
def weather():
    """Two years with gaps, cells that are never measured, and cells that always are."""
    series = samples.series(760, 0, gaps=0.1, cells=(5, 6))
    values = series.values.copy()
    values[:, 0, :3] = np.nan
    values[:, 3:] = np.where(np.isfinite(values[:, 3:]), values[:, 3:], np.float32(280.0))
    return series.replaced(values=values)


def fitted(series):
    parts = windows([Record(key="here", data=series)], 30, 10, 7)
    return fitting.fit([part.data for part in parts], 30, 10)


@pytest.mark.parametrize("chunks", [(50, -1, -1, 1), (400, 3, -1, -1)])
def test_a_series_on_disk_is_fitted_piece_by_piece_as_if_it_were_in_memory(weather, chunks, monkeypatch):
    monkeypatch.setattr(fitting, "LINES", 12)
    disk = Disk(weather.values, chunks)
    here, there = fitted(weather), fitted(weather.replaced(values=disk.array))
    assert_allclose(there.normals, here.normals, rtol=1e-9, atol=1e-9)
    assert_allclose(there.spreads, here.spreads, rtol=1e-9)
    for one, other in zip(there.memories, here.memories, strict=True):
        assert_allclose(one.covariance, other.covariance, atol=1e-9)
        assert (one.nugget, one.reach) == (pytest.approx(other.nugget), other.reach)
    assert max(disk.read.values()) == 2  # for the normals, and for some lines
    assert disk.most <= 2 < disk.array.npartitions


def test_sums_of_pieces_in_any_order_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    time, cycles = np.arange(900.0), Cycles(2, 0)
    values = 1e5 + 300 * rng.normal(size=(900, 6)) + 500 * np.cos(2 * np.pi * time / 365.2425)[:, None]
    values[rng.random(values.shape) < 0.2] = np.nan
    values[:, 4], values[:, 5] = np.nan, 7.0
    sums = Sums(cycles, 6)
    for start in (600, 0, 300):
        for lines in (np.array([4, 0]), np.array([5, 1, 3, 2])):
            sums.add(time[start : start + 300], values[start : start + 300, lines], lines)
    for piecewise, whole in zip(sums.solved(), fit(cycles, time, values), strict=True):
        assert_allclose(piecewise, whole, rtol=1e-9, atol=1e-6)
    x, seen = cycles.design(time), np.isfinite(values[:, 0])
    ridge = 1e-3 * seen.sum() * np.diag([0.0, 1, 1, 1, 1])
    level = values[seen, 0].mean()
    expected = np.linalg.solve(x[seen].T @ x[seen] + ridge, x[seen].T @ (values[seen, 0] - level))
    assert_allclose(fit(cycles, time, values)[0][0], expected + level * np.eye(5)[0], rtol=1e-6, atol=1e-6)


def test_of_many_stations_as_many_lines_are_held_as_of_a_grid(monkeypatch):
    monkeypatch.setattr(fitting, "LINES", 3)
    held = []
    fit_memory = fitting.memory.fit

    def counted(lines, *sizes):
        held.append(len(lines))
        return fit_memory(lines, *sizes)

    monkeypatch.setattr(fitting.memory, "fit", counted)
    places = [samples.series(80, i, place=f"p{i}") for i in range(7)]
    fitting.fit(places, 20, 5)
    assert held == [3, 3]
