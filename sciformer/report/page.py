"""The report page: what a run directory says, in the order a scientist reads it."""

# The stubs of pandas and matplotlib know less than the tests, which check these types as they run.
# pyright: reportReturnType=false

import base64
import math
import re
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sciformer.data.splits import PARTS
from sciformer.evaluation import IN_UNITS, MODEL, overshoot
from sciformer.files import write_text
from sciformer.report import figures
from sciformer.report.audit import audit_section
from sciformer.report.files import RunFiles
from sciformer.report.targets import ABOVE, BELOW, IN_LINE, UNJUDGED, UNPROMISED, TargetReport, target_report
from sciformer.report.targets import FEW as FEW_RECORDS
from sciformer.report.words import MISSING, number

FEW = 3
"""Up to so many targets are shown unfolded, with all their points."""
POINTS, POINTS_OF_MANY = 1500, 300
MAX_EXAMPLES = 24
MAX_REASONS = 8
LARGE = 30
"""Drawings of records with more tokens get twice the width."""


def render(run: Path) -> Path:
    """Write ``report.html`` of the run directory ``run``, from its files alone, and return its path.

    The page needs no other file and makes no request. It is written beside its place and moved there,
    so a reader never meets half a page. Optional files that are missing or broken are named on the page.

    Raises ``FileNotFoundError`` without ``run.json``, ``ValueError`` when that is not a JSON object, and
    ``OSError`` when the page cannot be written.
    """
    files = RunFiles.read(run)
    here = Path(__file__).parent
    templates = Environment(
        loader=FileSystemLoader(here),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["number"] = number
    html = _unbroken(templates.get_template("report.html.j2").render(_context(files)))
    page = run / "report.html"
    write_text(page, html, errors="replace")  # a lone surrogate in a label must not cost the page
    return page


def _unbroken(html: str) -> str:
    """No line ends between a number and its percent sign. What is there to be copied stays as it is."""
    texts = re.split(r"(<pre\b.*?</pre>)", html, flags=re.DOTALL)
    return "".join(text if i % 2 else re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text) for i, text in enumerate(texts))


def _context(files: RunFiles) -> dict[str, Any]:
    run = files.run
    declared = [target for target in run.get("targets") or () if isinstance(target, dict)]
    limit = POINTS if len(declared) <= FEW else POINTS_OF_MANY
    targets = [target_report(files, target, i, limit) for i, target in enumerate(declared, 1)]
    audit = audit_section(files.audit)
    return {
        "run": run,
        "own": MODEL,
        "part_names": PARTS,
        "title": _title(run),
        "facts": _facts(files),
        "state": str(run.get("state") or "unknown"),
        "written": bool(len(files.table("scores"))),
        "verdict": _verdict(files, targets),
        "warnings": [
            re.sub(r"(?<=\d)%", " %", warning)
            for warning in (*files.problems, *map(str, run.get("notes") or ()), *audit.warnings, *_overfitted(files))
        ],
        "stops_early": _patience(files) > 0,
        "parts": _parts(files),
        "unreadable": _unreadable(files),
        "audit": audit,
        "learning": _learning(files),
        "targets": targets,
        "few": len(targets) <= FEW,
        "has_classes": any(t.kind != "regression" for t in targets),
        "baselines": list(dict.fromkeys(m for t in targets for m in t.models[1:])),
        "other_scores": _other_scores(files),
        "examples": _examples(files, targets),
        "omitted": max(0, len(files.examples) - MAX_EXAMPLES),
        "snippet": _snippet(files),
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
    names = ("kind", "seed") if kind in ("random", "column", "file") else ("kind", "seed", "order")
    return [f"{k} {v}" for k, v in files.splits.items() if k in names and v not in (None, "")]


def _patience(files: RunFiles) -> int:
    try:
        config = yaml.safe_load(files.config)
    except yaml.YAMLError:
        return 0
    optim = config.get("optim") if isinstance(config, dict) else None
    patience = optim.get("patience") if isinstance(optim, dict) else None
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


def _verdict(files: RunFiles, targets: list[TargetReport]) -> dict[str, Any]:
    """Plain sentences on error, coverage and baselines; ``won``: every baseline beaten on every target;
    ``lost``: some compared target on which that is not so."""
    scored = [t for t in targets if t.main]
    if not scored:
        return {
            "error": "No test scores were written, so there is no verdict.",
            "coverage": "",
            "contest": "",
            "won": False,
            "lost": False,
        }
    error = " ".join(map(_error_sentence, scored)) if len(targets) <= FEW else _error_summary(scored)
    return {
        "error": error,
        "coverage": _coverage_sentence(targets),
        "contest": _contest_sentence(targets),
        "won": all(t.beats_all for t in targets),
        "lost": any(t.contest and not t.beats_all for t in targets),
    }


def _error_sentence(t: TargetReport) -> str:
    assert t.main is not None  # the caller's filter
    unit = f" {t.unit}" if t.unit and t.kind == "regression" and t.main.metric in IN_UNITS else ""
    interval = ""
    if math.isfinite(t.main.lower) and math.isfinite(t.main.upper):
        interval = f" (95 % interval {number(t.main.lower)} to {number(t.main.upper)})"
    few = "" if t.n >= FEW_RECORDS else " (too few to judge by)"
    return f"On {t.n} test records{few}, {t.main.metric} for {t.name} is {number(t.main.value)}{unit}{interval}."


def _error_summary(scored: list[TargetReport]) -> str:
    told = []
    for metric, n in Counter(t.main.metric for t in scored if t.main).items():
        group = sorted((t.main.value, t.name) for t in scored if t.main and t.main.metric == metric)
        middle = number(float(np.median([value for value, _ in group])))
        (low, first), (high, last) = group[0], group[-1]
        told.append(
            f"Over {n} targets, the median test {metric} is {middle}: "
            f"from {number(low)} for {first} to {number(high)} for {last}."
        )
    return " ".join(told)


def _coverage_sentence(targets: list[TargetReport]) -> str:
    covered = [(t, t.coverage) for t in targets if t.coverage]
    if not covered:
        return "No prediction intervals or sets were written, so coverage was not measured."
    level = f"{covered[0][1].level:.0%}".replace("%", " %")
    if len(covered) == 1:
        t, coverage = covered[0]
        share, low, high = coverage.bounds
        what = "intervals" if t.kind == "regression" else "prediction sets"
        return (
            f"Its {level} {what} hold {share} % of the true values (95 % interval {low} to {high} %): "
            f"{coverage.told}.{_classes_sentence(targets)}"
        )
    told = []
    phrases = {
        IN_LINE: "in line with it on",
        BELOW: "BELOW it on",
        ABOVE: "above it on",
        UNJUDGED: "too few test records to judge on",
        UNPROMISED: "not calibrated on",
    }
    for judgement, phrase in phrases.items():
        names = [t.name for t, coverage in covered if coverage.judgement == judgement]
        if names:
            which = "" if judgement == IN_LINE or len(names) > 8 else f" ({', '.join(names)})"
            told.append(f"{phrase} {len(names)} of {len(covered)}{which}")
    return f"Coverage against the stated {level}: {', '.join(told)}.{_classes_sentence(targets)}"


def _classes_sentence(targets: list[TargetReport]) -> str:
    """Right on average may hide a class that is hardly ever covered."""
    many = len(targets) > 1
    low = [
        f"{label}{f' of {t.name}' if many else ''} ({coverage.bounds[0]} %)"
        for t in targets
        for label, coverage in t.by_class
        if coverage.judgement == BELOW
    ]
    return f" It is BELOW the level for class {_few(low)}." if low else ""


def _contest_sentence(targets: list[TargetReport]) -> str:
    judged = [t for t in targets if t.contest]
    if not judged and any(t.differences for t in targets):
        return "The test part is too small to say whether the transformer beats a simple model."
    if not judged:
        return "No baseline was compared, so nothing here says whether the transformer beats a simple model."
    won = [t for t in judged if t.beats_all]
    if len(judged) == 1:
        t = judged[0]
        every = "every baseline" if any(d.verdict == "better" for d in t.contest) else "the baselines"
        does = "beats every baseline" if won else f"does NOT beat {every}"
        return f"The transformer {does}: {t.contest_words} ({t.contest[0].metric}, paired bootstrap)."
    if len(won) == len(judged):
        return f"The transformer beats every baseline on all {len(judged)} targets."
    lost = [t.name for t in judged if t.worse_than]
    worse = f"it is worse than at least one on {len(lost)} ({_few(lost)})" if lost else "it is worse on none"
    if won:
        rest = len(judged) - len(won)
        start = f"beats every baseline on {len(won)} of {len(judged)} targets and does NOT on the other {rest}"
    else:
        start = f"does NOT beat every baseline on any of the {len(judged)} targets"
    return f"The transformer {start}: {worse}."


def _few(names: list[str], limit: int = 6) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


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


def _learning(files: RunFiles) -> figures.Plot | None:
    metrics = files.table("metrics")
    losses = metrics[["train_loss", "validation_loss"]]
    return (
        figures.learning_curves("learning", metrics, _patience(files) > 0)
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


def _examples(files: RunFiles, targets: list[TargetReport]) -> list[dict[str, Any]]:
    """Drawings go in as images: whatever an SVG holds, scripts in an image never run."""
    units = {t.name: t.unit for t in targets}
    shown = []
    for example in files.examples[:MAX_EXAMPLES]:
        svg = example.get("svg")
        source = (
            base64.b64encode(svg.encode("utf-8", errors="replace")).decode() if isinstance(svg, str) and svg else ""
        )
        bounds = [number(example.get(side)) for side in ("lower", "upper")]
        tokens = example.get("tokens")
        shown.append(
            {
                "key": str(example.get("key", "")),
                "target": str(example.get("target", "")),
                "unit": units.get(str(example.get("target", "")), ""),
                "truth": _answer(example, "truth"),
                "prediction": _answer(example, "prediction"),
                "set": str(example.get("set") or "").replace("|", ", "),
                "group": str(example.get("group") or ""),
                "large": isinstance(tokens, int) and tokens > LARGE,
                "interval": "" if MISSING in bounds else f"{bounds[0]} to {bounds[1]}",
                "image": f"data:image/svg+xml;base64,{source}" if source else "",
            }
        )
    return shown


def _answer(example: dict[str, Any], side: str) -> str:
    """The value, and of a class the probability that it was given."""
    p = example.get(f"p_{side}")
    return number(example.get(side)) + (f" (p = {p:.3f})" if isinstance(p, float) else "")


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


def _snippet(files: RunFiles) -> dict[str, Any]:
    checkpoint = str(files.run.get("checkpoint") or "checkpoint")
    return {
        "complete": (files.path / checkpoint / "manifest.json").is_file(),
        "checkpoint": checkpoint,
        "python": (
            f"import sciformer\n\nmodel = sciformer.load({checkpoint!r})\n"
            "table = model.predict(records)  # a table or a list of records\n"
            "table.head()  # prediction, lower and upper per target, and a status: no row is dropped"
        ),
        "shell": f"sciformer predict {shlex.quote(checkpoint)} input.csv -o predicted.csv",
    }
