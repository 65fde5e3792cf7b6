"""The report page: what a run directory says, in the order a scientist reads it."""

# The stubs of pandas and matplotlib know less than the tests, which check these types as they run.
# pyright: reportReturnType=false

import re
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sciformer.data.splits import PARTS
from sciformer.evaluation import MODEL, overshoot
from sciformer.report import figures
from sciformer.report.audit import audit_section
from sciformer.report.cards import MAX_EXAMPLES, cards
from sciformer.report.drawings import drawings
from sciformer.report.files import RunFiles
from sciformer.report.html import written
from sciformer.report.start import SHORT, started
from sciformer.report.targets import TargetReport, target_report
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
        "run": run,
        "own": MODEL,
        "part_names": PARTS,
        "title": _title(run),
        "facts": _facts(files),
        "state": str(run.get("state") or "unknown"),
        "written": bool(len(files.table("scores"))),
        "verdict": verdict(targets),
        "warnings": [
            re.sub(r"(?<=\d)%", " %", warning)
            for warning in (*files.problems, *map(str, run.get("notes") or ()), *audit.warnings, *_overfitted(files))
        ],
        "stops_early": _patience(files) > 0,
        "parts": _parts(files),
        "unreadable": _unreadable(files),
        "audit": audit,
        "started": started(run, SHORT),
        "learning": _learning(files, targets),
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
        "command": _command(files),
        "config": files.config,
        "environment": _environment(files),
        "split": _split(files),
    }


def _title(run: dict[str, Any]) -> str:
    """What was learned, and from what, unless the title says it."""
    title, data = str(run.get("title") or run.get("recipe") or "Training run"), run.get("data")
    source = Path(str(data.get("source") or "")).name if isinstance(data, dict) else ""
    known = re.sub(r"\W", "", Path(source).stem).lower() in re.sub(r"\W", "", title).lower()
    return title if known else f"{title}: {source}"


def _split(files: RunFiles) -> list[str]:
    """How the parts were drawn: an order only where groups were placed in one."""
    kind = files.splits.get("kind")
    names = ("kind", "seed") if kind in ("random", "time", "column", "file") else ("kind", "seed", "order")
    return [f"{k} {v}" for k, v in files.splits.items() if k in names and v not in (None, "")]


def _section(files: RunFiles, name: str) -> dict[str, Any]:
    """A part of the configuration; empty where there is none."""
    try:
        config = yaml.safe_load(files.config)
    except yaml.YAMLError:
        return {}
    section = config.get(name) if isinstance(config, dict) else None
    return section if isinstance(section, dict) else {}


def _patience(files: RunFiles) -> int:
    patience = _section(files, "optim").get("patience")
    return patience if isinstance(patience, int) else 0


def _overfitted(files: RunFiles) -> list[str]:
    """Where the last weights are used though earlier ones did clearly better on the validation part."""
    told = []
    metrics = files.table("metrics")
    for member, rows in metrics.groupby("member", sort=True) if not _patience(files) else ():
        if rise := overshoot(rows["validation_loss"].tolist()):
            place, low, last = rise
            who = f" of member {member}" if metrics["member"].nunique() > 1 else ""
            told.append(
                f"The validation loss{who} ends at {number(last)}, well above its lowest {number(low)} at epoch "
                f"{rows['epoch'].iloc[place]:.0f}, and the last weights are used: with optim.patience (for instance "
                "5) training stops in time and takes the best."
            )
    return told


def _command(files: RunFiles) -> str:
    command = files.run.get("command") or files.environment.get("command") or ""
    return shlex.join(map(str, command)) if isinstance(command, list) else str(command)


def _facts(files: RunFiles) -> list[tuple[str, str]]:
    """The line under the title."""
    run = files.run
    seconds, parameters, members = run.get("seconds"), run.get("parameters"), run.get("members")
    took = f"{seconds:.0f} s" if seconds and seconds < 120 else f"{(seconds or 0) / 60:.0f} min"
    facts = [
        ("domain", run.get("domain")),
        ("recipe", run.get("recipe") if run.get("recipe") != run.get("title") else None),
        ("started", run.get("started")),
        ("took", took if seconds else None),
        ("seed", run.get("seed")),
        ("model", f"{parameters:,} parameters" if parameters else None),
        ("members", members if members and members > 1 else None),
        ("sciformer", run.get("sciformer")),
    ]
    return [(name, str(value)) for name, value in facts if value not in (None, "")]


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


def _learning(files: RunFiles, targets: list[TargetReport]) -> figures.Plot | None:
    metrics = files.table("metrics")
    losses = metrics[["train_loss", "validation_loss"]]
    counted = next((t.counted for t in targets if t.shown.records is not None), "record")
    return (
        figures.learning_curves("learning", metrics, _patience(files) > 0, counted)
        if np.isfinite(losses.to_numpy(float)).any()
        else None
    )


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


def _environment(files: RunFiles) -> dict[str, str]:
    """Where the run began, and what was different where it went on."""
    first = _flat(files.environment)
    resumed = files.environment.get("resumed")
    for i, place in enumerate(resumed if isinstance(resumed, list) else (), 1):
        here = _flat(place) if isinstance(place, dict) else {}
        changed = [f"{name} {value}" for name, value in here.items() if value != first.get(name)]
        first[f"resumed ({i})"] = ", ".join(changed) or "in the same environment"
    return first


def _flat(environment: dict[str, Any]) -> dict[str, str]:
    facts = {key: value for key, value in environment.items() if key not in ("command", "packages", "resumed")}
    packages = environment.get("packages")
    return {str(k): str(v) for k, v in (facts | (packages if isinstance(packages, dict) else {})).items()}


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
    horizon = _section(files, "data").get("horizon")
    asked = horizon if isinstance(horizon, int) and horizon > 0 else 3
    tabular = Path(source).suffix in TABLES
    file = Path(source).name if Path(source).suffix else "FILE.nc"
    use = (FORECAST_NEXT if tabular else FORECAST_GRID).format(file=file, horizon=asked)
    return _snippet(files, use, "" if tabular else "import xarray as xr\n", file, "" if tabular else "later.nc")
