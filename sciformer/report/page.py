"""The report page: what a run directory says, in the order a scientist reads it."""

# The stubs of pandas and matplotlib know less than the tests, which check these types as they run.
# pyright: reportReturnType=false

import shlex
from collections import Counter
from pathlib import Path
from typing import Any

from sciformer.data.splits import PARTS
from sciformer.evaluation import MODEL
from sciformer.report.audit import audit_section
from sciformer.report.cards import MAX_EXAMPLES, cards
from sciformer.report.drawings import drawings
from sciformer.report.files import RunFiles
from sciformer.report.frame import frame, learning, patience, section
from sciformer.report.html import written
from sciformer.report.start import SHORT, started
from sciformer.report.targets import target_report
from sciformer.report.verdict import FEW, verdict
from sciformer.report.words import number

POINTS, POINTS_OF_MANY = 1500, 300
MAX_REASONS = 8
PREDICT = """\
table = model.predict(records)  # a table or a list of records
table.head()  # prediction, lower and upper per target, and a status: no row is dropped"""
RESIDUES = """\
table = model.residues(records)  # a row per residue; or model.predict(records), a row per sequence
table.head()  # prediction, intervals or probabilities per target, and a status: no record is dropped"""
FORECAST = """\
table = model.forecast(records)  # the time that follows; or model.forecast(records, times=[...], bands=[...])
table.head()  # a row per record and place: mean, lower, upper, quantiles, and a status"""
FORECAST_NEXT = """\
table = model.forecast({file!r}, horizon={horizon})  # what comes next; or at times=[...]
table.head()  # a row per record, time and place: mean, lower, upper, quantiles, and a status"""
FORECAST_GRID = """\
answer = model.forecast(xr.open_dataset({file!r}), horizon={horizon})  # what comes next; or at times=[...]
answer  # an xarray.Dataset with the coordinates of the source, and quantiles"""
TABLES = (".csv", ".tsv", ".txt", ".gz", ".parquet", ".pq")
"""Endings of sources that are answered with a table."""


def render(run: Path) -> Path:
    """Write ``report.html`` of the run directory ``run``, from its files alone, and return its path.

    The page needs no other file and makes no request. It is written beside its place and moved there,
    so a reader never meets half a page. Optional files that are missing or broken are named on the page.

    Raises ``FileNotFoundError`` without ``run.json``, ``ValueError`` when that is not a JSON object, and
    ``OSError`` when the page cannot be written.
    """
    files = RunFiles.read(run)
    return written("report.html.j2", _context(files), run / "report.html")


def _context(files: RunFiles) -> dict[str, Any]:
    run = files.run
    declared = [target for target in run.get("targets") or () if isinstance(target, dict)]
    limit = POINTS if len(declared) <= FEW else POINTS_OF_MANY
    targets = [target_report(files, target, i, limit) for i, target in enumerate(declared, 1)]
    audit, forecasts = audit_section(files.audit), any(t.kind == "forecast" for t in targets)
    windows, parts = forecasts and len(files.table("leads")) > 0, any(t.shown.records is not None for t in targets)
    use = FORECAST if forecasts else RESIDUES if parts else PREDICT
    return {
        **frame(files, audit.warnings),
        "own": MODEL,
        "part_names": PARTS,
        "written": bool(len(files.table("scores"))),
        "verdict": verdict(targets),
        "stops_early": patience(files) > 0,
        "parts": _parts(files),
        "unreadable": _unreadable(files),
        "audit": audit,
        "started": started(run, SHORT),
        "learning": learning(files, next((t.counted for t in targets if t.shown.records is not None), "record")),
        "targets": targets,
        "few": len(targets) <= FEW,
        "has_classes": any(t.has_classes for t in targets),
        "baselines": list(dict.fromkeys(m for t in targets for m in t.models[1:])),
        "other_scores": _other_scores(files),
        "examples": cards(files, targets),
        "drawings": drawings(files),
        "parts_answered": parts,
        "omitted": max(0, len(files.examples) - MAX_EXAMPLES),
        "snippet": _snippet_of_series(files) if windows else _snippet(files, use),
        "forecasts": forecasts,
        "windows": windows,
        "split": _split(files),
    }


def _split(files: RunFiles) -> list[str]:
    """How the parts were drawn: an order only where groups were placed in one."""
    kind = files.splits.get("kind")
    names = ("kind", "seed") if kind in ("random", "time", "column", "file") else ("kind", "seed", "order")
    return [f"{k} {v}" for k, v in files.splits.items() if k in names and v not in (None, "")]


def _parts(files: RunFiles) -> list[tuple[str, int]]:
    """Records of each part, and of none."""
    rows = files.table("rows", status="ok")
    counts = Counter(rows["part"])
    named = [(part, counts.pop(part, 0)) for part in PARTS] if len(rows) else []
    return [*named, *(("in no part", n) for n in [sum(counts.values())] if n)]


def _unreadable(files: RunFiles) -> dict[str, Any]:
    bad = files.table("rows", status="unreadable")
    return {
        "n": len(bad),
        "unlabelled": len(files.table("rows", status="unlabelled")),
        "first": list(zip(bad["key"][:MAX_REASONS], bad["problem"][:MAX_REASONS], strict=True)),
        "more": max(0, len(bad) - MAX_REASONS),
    }


def _other_scores(files: RunFiles) -> list[tuple[str, ...]]:
    rows = files.table("scores")
    rows = rows[rows["part"] != "test"]
    return [
        (
            r.part,
            r.model,
            r.target,
            r.metric,
            number(r.value),
            f"{number(r.lower)} to {number(r.upper)}",
            f"{r.n:.0f}",
        )
        for r in rows.itertuples()
    ]


def _snippet(files: RunFiles, use: str, more: str = "", input: str = "input.csv", out: str = "") -> dict[str, Any]:
    """How to answer with the checkpoint; ``more`` is imported besides."""
    checkpoint = str(files.run.get("checkpoint") or "checkpoint")
    command = {PREDICT: "predict", RESIDUES: "residues"}.get(use, "forecast")
    out = out or {"predict": "predicted.csv"}.get(command, f"{command}.csv")
    return {
        "complete": (files.path / checkpoint / "manifest.json").is_file(),
        "checkpoint": checkpoint,
        "python": f"import sciformer\n{more}\nmodel = sciformer.load({checkpoint!r})\n{use}",
        "shell": f"sciformer {command} {shlex.quote(checkpoint)} {shlex.quote(input)} -o {out}",
    }


def _snippet_of_series(files: RunFiles) -> dict[str, Any]:
    """Answers to a table are a table; to anything else of a climate they are a Dataset, in a file of its kind."""
    data = files.run.get("data")
    source = str(data.get("source") or "") if isinstance(data, dict) else ""
    horizon = section(files, "data").get("horizon")
    asked = horizon if isinstance(horizon, int) and horizon > 0 else 3
    tabular = Path(source).suffix in TABLES
    file = Path(source).name if Path(source).suffix else "FILE.nc"
    use = (FORECAST_NEXT if tabular else FORECAST_GRID).format(file=file, horizon=asked)
    return _snippet(files, use, "" if tabular else "import xarray as xr\n", file, "" if tabular else "later.nc")
