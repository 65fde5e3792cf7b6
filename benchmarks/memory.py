"""A grid on disk that is larger than what training may hold: peak memory and seconds of training and forecasting.

    python benchmarks/memory.py

A century of daily temperatures (a yearly cycle and red noise, 2.3 GB of float32 in netCDF-4) is written piece by
piece; then a process of its own trains the grid recipe on it for one epoch, and another one forecasts. Memory is the
largest resident set of each (``ru_maxrss``), in which the page cache does not count. Beside them stands a process that
only imports what training imports. Figures are appended to ``benchmarks/memory.csv``.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd

ROWS, COLUMNS, PIECE = 90, 160, 365
RESULTS = Path(__file__).with_suffix(".csv")
RECIPE = Path(__file__).resolve().parent.parent / "recipes" / "climate" / "grid.py"

SETTINGS = {
    "data.context": 32,
    "data.horizon": 8,
    "data.patch": 8,
    "data.block": 10,
    "split.fractions": [0.7, 0.1, 0.1, 0.1],
    "optim.epochs": 1,
    "batch.records": 1,
    "forecast.most": 5,
    "model.width": 32,
    "model.heads": 4,
    "model.depth": 2,
    "baselines": "false",
}
TRAIN = """
from sciformer.cli import run_recipe
run_recipe({recipe!r}, {options!r})
"""
FORECAST = """
import sciformer
later = sciformer.load({out!r} + "/checkpoint").forecast({source!r}, horizon=8)
assert later["tas"].chunks
later.to_netcdf({out!r} + "/later.nc")
"""
IMPORTS = "import sciformer.training, sciformer.predictor, xarray, dask.array, netCDF4"


def write(path: Path, steps: int) -> None:
    """A cycle of the year, and noise that remembers, in every cell."""
    rng = np.random.default_rng(0)
    lat = np.linspace(89, -89, ROWS)
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", None), ("lat", ROWS), ("lon", COLUMNS)):
            file.createDimension(name, size)
        for name, units in (("time", "days since 1900-01-01"), ("lat", "degrees_north"), ("lon", "degrees_east")):
            file.createVariable(name, "f8", (name,)).units = units
        file["lat"][:], file["lon"][:] = lat, np.arange(COLUMNS) * 360 / COLUMNS
        tas = file.createVariable("tas", "f4", ("time", "lat", "lon"), chunksizes=(64, ROWS, COLUMNS))
        tas.units = "K"
        noise = rng.normal(size=(ROWS, COLUMNS))
        for start in range(0, steps, PIECE):
            day = np.arange(start, min(start + PIECE, steps))
            values = np.empty((len(day), ROWS, COLUMNS), np.float32)
            for i in range(len(day)):
                noise = 0.9 * noise + np.sqrt(1 - 0.9**2) * rng.normal(size=noise.shape)
                values[i] = noise
            cycle = -20 * np.sin(np.deg2rad(lat))[None] * np.cos(2 * np.pi * day / 365.2425)[:, None]
            tas[day[0] : day[-1] + 1] = 280 + cycle[..., None] + 5 * values
            file["time"][day[0] : day[-1] + 1] = day


def measured(code: str) -> tuple[float, float]:
    """Peak resident memory in GB and seconds of a process of its own.

    Raises ``CalledProcessError`` where it fails.
    """
    start = time.monotonic()
    child = subprocess.Popen([sys.executable, "-c", code])
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise subprocess.CalledProcessError(status, "sciformer")
    return usage.ru_maxrss * 1024 / 1e9, time.monotonic() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=40_000)
    parser.add_argument("--stride", type=int, default=320)
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch) / "century.nc", Path(scratch) / "run"
        write(source, args.steps)
        settings = {**SETTINGS, "data.source": source, "data.stride": args.stride, "out": out}
        options = [text for name, value in settings.items() for text in (f"--{name}", str(value))]
        names = {"recipe": str(RECIPE), "source": str(source), "out": str(out), "options": options}
        for what, code in (("imports alone", IMPORTS), ("training", TRAIN), ("forecast", FORECAST)):
            peak, seconds = measured(code.format(**names))
            rows.append((date.today().isoformat(), what, source.stat().st_size / 1e9, args.stride, peak, seconds))
    table = pd.DataFrame(rows, columns=["date", "what", "file_GB", "stride", "peak_GB", "seconds"]).round(3)
    print(table.to_string(index=False))
    table.to_csv(RESULTS, mode="a", index=False, header=not RESULTS.exists())
