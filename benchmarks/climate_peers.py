"""PatchTST, DLinear and NHITS of neuralforecast on the windows of ``etth1.py``, gaps filled in straight lines before.

    pip install -e '.[peers]'
    SCIFORMER_MIRROR=... python benchmarks/climate_peers.py --lost 0 0.3 0.6 --stride 13

A model per horizon, as in their papers (look-back 336, settings of the papers where neuralforecast has them), stopped
early on the validation part, on the same standardised values. They know no gaps: the look-back is filled. Every result
is appended to ``benchmarks/climate_peers.csv``.
"""

import argparse
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from etth1 import BORDERS, HORIZONS, Protocol, cases
from gappy import filled, losses
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MAE, MSE
from neuralforecast.models import NHITS, DLinear, PatchTST

CONTEXT = 336
STEPS = {"PatchTST": 800, "DLinear": 800, "NHITS": 300}
"""Most steps of training, for one core; all stop early."""
RESULTS = Path(__file__).with_suffix(".csv")
Array = np.ndarray


def models(horizon: int, names: Sequence[str]) -> list[Any]:
    common: dict[str, Any] = {
        "h": horizon,
        "input_size": CONTEXT,
        "loss": MSE(),
        "valid_loss": MAE(),
        "scaler_type": None,
        "early_stop_patience_steps": 2,
        "val_check_steps": 200,
        "random_seed": 0,
        "enable_progress_bar": False,
        "logger": False,
    }
    patch = {"hidden_size": 16, "linear_hidden_size": 128, "n_heads": 4, "encoder_layers": 3, "dropout": 0.3}
    own = {
        "PatchTST": lambda: PatchTST(
            **common,
            **patch,
            patch_len=16,
            stride=8,
            learning_rate=1e-3,
            windows_batch_size=128,
            max_steps=STEPS["PatchTST"],
        ),
        "DLinear": lambda: DLinear(**common, learning_rate=1e-3, windows_batch_size=128, max_steps=STEPS["DLinear"]),
        "NHITS": lambda: NHITS(**common, learning_rate=1e-3, windows_batch_size=128, max_steps=STEPS["NHITS"]),
    }
    return [own[name]() for name in names]


def long(values: Array, start: int = 0) -> pd.DataFrame:
    """[series, steps] to the table that neuralforecast reads."""
    count, steps = values.shape
    hours = pd.Timestamp("2016-07-01") + pd.to_timedelta(np.arange(start, start + steps), unit="h")
    return pd.DataFrame(
        {"unique_id": np.repeat(np.arange(count), steps), "ds": np.tile(hours, count), "y": values.ravel()}
    )


def standardised() -> tuple[Array, Array, Array]:
    values = Protocol(source="etth1").series().values.reshape(-1, 7)
    mean, std = values[:8640].mean(0), values[:8640].std(0)
    return (values - mean) / std, mean, std


def lookbacks(part: str, stride: int, share: float, kind: str) -> tuple[Array, Array]:
    """Standardised look-backs, filled, and what came after (NaN beyond the part): [windows, 7, steps]."""
    _, mean, std = standardised()
    asked = cases(Protocol(source="etth1").series(), part, CONTEXT, stride, share, kind or "random")
    seen = np.stack([filled((np.asarray(record.data.values).reshape(-1, 7) - mean) / std) for record, _ in asked])
    later = np.full((len(asked), max(HORIZONS), 7), np.nan)
    for i, (_, data) in enumerate(asked):
        later[i, : len(data)] = (np.asarray(data.values).reshape(-1, 7) - mean) / std
    return seen.transpose(0, 2, 1), later.transpose(0, 2, 1)


def measure(
    names: Sequence[str], horizons: Sequence[int], part: str, stride: int, lost: Sequence[float]
) -> pd.DataFrame:
    values, rows = standardised()[0], []
    last = BORDERS["validation"][1]
    for horizon in horizons:
        forecast = NeuralForecast(models=models(horizon, names), freq="h")
        start = time.monotonic()
        forecast.fit(long(values[:last].T.astype(np.float32)), val_size=last - BORDERS["train"][1])
        seconds = time.monotonic() - start
        for share, kind in losses(lost):
            seen, later = lookbacks(part, stride, share, kind)
            whole = np.isfinite(later[:, 0, horizon - 1])
            told = forecast.predict(long(seen[whole].reshape(-1, CONTEXT).astype(np.float32)))
            for name in names:
                answer = told[name].to_numpy().reshape(-1, 7, horizon)
                wrong = answer - later[whole][:, :, :horizon]
                scores = {"MSE": (wrong**2).mean(), "MAE": np.abs(wrong).mean()}
                rows.append({"model": name, "horizon": horizon, **scores, "lost": share, "kind": kind})
                rows[-1] |= {"windows": int(whole.sum()), "seconds": round(seconds)}
                print(rows[-1], flush=True)
    return pd.DataFrame(rows).assign(part=part, stride=stride, context=CONTEXT)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["validation", "test"], default="test")
    parser.add_argument("--models", nargs="*", choices=list(STEPS), default=list(STEPS))
    parser.add_argument("--horizons", type=int, nargs="*", choices=HORIZONS, default=list(HORIZONS))
    parser.add_argument("--stride", type=int, default=1, help="hours from one window to the next")
    parser.add_argument("--lost", type=float, nargs="*", default=[0.0])
    args = parser.parse_args()
    told = measure(args.models, args.horizons, args.part, args.stride, args.lost)
    told = told.assign(date=date.today().isoformat(), threads=torch.get_num_threads())
    told.to_csv(RESULTS, mode="a", index=False, header=not RESULTS.exists())
