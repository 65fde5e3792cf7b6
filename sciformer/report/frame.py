"""What stands around the results on the page of any run: how it was made, and what its losses were."""

# The stubs of pandas know less than the tests, which check these types as they run.
# pyright: reportReturnType=false

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sciformer.evaluation import overshoot
from sciformer.report import figures
from sciformer.report.files import RunFiles
from sciformer.report.shown import mapping
from sciformer.report.words import number


def frame(files: RunFiles, warnings: Iterable[str] = ()) -> dict[str, Any]:
    """What every page says of its run; ``warnings`` are those of its kind."""
    run = files.run
    told = (*files.problems, *map(str, run.get("notes") or ()), *warnings, *_overfitted(files))
    return {
        "run": run,
        "title": _title(run),
        "facts": _facts(files),
        "state": str(run.get("state") or "unknown"),
        "warnings": [re.sub(r"(?<=\d)%", " %", warning) for warning in told],
        "command": _command(files),
        "config": files.config,
        "environment": _environment(files),
    }


def learning(files: RunFiles, counted: str = "record") -> figures.Plot | None:
    """The losses of a run; None where none is known."""
    metrics = files.table("metrics")
    losses = metrics[["train_loss", "validation_loss"]]
    return (
        figures.learning_curves("learning", metrics, patience(files) > 0, counted)
        if np.isfinite(losses.to_numpy(float)).any()
        else None
    )


def section(files: RunFiles, name: str) -> Mapping[str, Any]:
    """A part of the configuration; empty where there is none."""
    try:
        config = yaml.safe_load(files.config)
    except yaml.YAMLError:
        return {}
    return mapping(mapping(config).get(name))


def patience(files: RunFiles) -> int:
    """Epochs without a lower validation loss, after which the best weights are taken; 0 where the last ones are."""
    epochs = section(files, "optim").get("patience")
    return epochs if isinstance(epochs, int) else 0


def _overfitted(files: RunFiles) -> list[str]:
    """Where the last weights are used though earlier ones did clearly better on the validation part."""
    told = []
    metrics = files.table("metrics")
    for member, rows in metrics.groupby("member", sort=True) if not patience(files) else ():
        if rise := overshoot(rows["validation_loss"].tolist()):
            place, low, last = rise
            who = f" of member {member}" if metrics["member"].nunique() > 1 else ""
            told.append(
                f"The validation loss{who} ends at {number(last)}, well above its lowest {number(low)} at epoch "
                f"{rows['epoch'].iloc[place]:.0f}, and the last weights are used: with optim.patience (for instance "
                "5) training stops in time and takes the best."
            )
    return told


def _title(run: dict[str, Any]) -> str:
    """What was learned, and from what, unless the title says it."""
    title, data = str(run.get("title") or run.get("recipe") or "Training run"), run.get("data")
    source = Path(str(data.get("source") or "")).name if isinstance(data, dict) else ""
    known = re.sub(r"\W", "", Path(source).stem).lower() in re.sub(r"\W", "", title).lower()
    return title if known else f"{title}: {source}"


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
        ("steps", number(run["steps"]) if "steps" in run else None),
        ("seed", run.get("seed")),
        ("model", f"{parameters:,} parameters" if parameters else None),
        ("members", members if members and members > 1 else None),
        ("sciformer", run.get("sciformer")),
    ]
    return [(name, str(value)) for name, value in facts if value not in (None, "")]


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
