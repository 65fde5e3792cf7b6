"""The page of a pretraining run: what a backbone learned from, how well, and how to start from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sciformer.report import curves
from sciformer.report.canvas import Plot
from sciformer.report.files import RunFiles
from sciformer.report.frame import frame, learning
from sciformer.report.html import written
from sciformer.report.shown import mapping
from sciformer.report.words import number

ASKED = {
    "masked": "the content of hidden tokens",
    "descriptors": "numbers about the whole record, in spreads: a loss of 1 is that of their mean",
    "forecast": "what was measured in gaps and at the end",
}
"""What an objective asks for."""


@dataclass(frozen=True)
class Told:
    """A stream as texts."""

    name: str
    source: str
    records: str
    objective: str
    asked: str
    weight: str
    scores: list[tuple[str, str]]


def render(run: Path) -> Path:
    """Write ``report.html`` of a pretraining run, from its files alone, and return its path. Raises what
    ``report.render`` does."""
    files = RunFiles.read(run)
    streams = {str(name): mapping(known) for name, known in mapping(files.run.get("streams")).items()}
    context = {
        **frame(files),
        "written": bool(streams),
        "started": "",
        "learning": learning(files),
        "streams": [_told(name, known) for name, known in streams.items()],
        "curves": _curves(files.table("metrics"), list(streams)),
        "snippet": _snippet(files),
    }
    return written("pretraining.html.j2", context, run / "report.html")


def python(checkpoint: str, domains: Sequence[str]) -> str:
    """How a backbone is used as it is, in code."""
    which = f', domain="{min(domains)}"' if len(domains) > 1 else ""
    return (
        f'import sciformer\n\nbackbone = sciformer.load("{checkpoint}"{which})\n'
        'vectors = backbone.embed("my_records.csv")'
    )


def _told(name: str, known: Mapping[str, Any]) -> Told:
    objective = str(known.get("objective"))
    return Told(
        name=name,
        source=str(known.get("source")),
        records=number(known.get("records")),
        objective=objective,
        asked=ASKED.get(objective, ""),
        weight=f"{known.get('weight'):g}" if isinstance(known.get("weight"), int | float) else number(None),
        scores=[(str(metric), number(value)) for metric, value in mapping(known.get("validation")).items()],
    )


def _curves(metrics: pd.DataFrame, streams: Sequence[str]) -> list[Plot]:
    """Every validation score of every stream by step, and its training loss."""
    plots, metrics = [], metrics[np.isfinite(metrics["step"])]
    for i, stream in enumerate(streams):
        held = f"validation_{stream}."
        for j, column in enumerate(column for column in metrics if str(column).startswith(held)):
            score = str(column).removeprefix(held)
            known = {"training": f"train_{stream}.{score}", "validation": str(column)}
            lines = {part: _numbers(metrics, name) for part, name in known.items() if name in metrics}
            if np.isfinite(lines["validation"]).any():
                plots.append(curves.by_step(f"stream-{i}-{j}", stream, score, _numbers(metrics, "step"), lines))
    return plots


def _numbers(table: pd.DataFrame, column: str) -> np.ndarray:
    return pd.to_numeric(table[column], errors="coerce").to_numpy(float)


def _snippet(files: RunFiles) -> dict[str, Any]:
    checkpoint = str(files.run.get("checkpoint") or "checkpoint")
    domains = str(files.run.get("domain") or "").split(", ")
    return {
        "complete": (files.path / checkpoint / "manifest.json").is_file(),
        "checkpoint": checkpoint,
        "python": python(checkpoint, domains),
        "shell": "\n".join(
            f"sciformer {command} RECIPE --start.checkpoint {checkpoint}  # {what}"
            for command, what in {"train": "fine-tunes it", "compare": "says whether that helps"}.items()
        ),
    }
