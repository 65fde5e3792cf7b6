"""Whether pretraining helped, in plain words and by rule: a difference counts where its 95 % interval leaves out 0."""

# The stubs of pandas know less than the tests, which check these types as they run.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from sciformer.evaluation import IN_UNITS
from sciformer.report.start import called
from sciformer.report.targets import LEAST
from sciformer.report.words import number, together

SCRATCH, FULL, ALL = "scratch", "full", "all"

Judgement = Literal["helps", "does not help", "harms", "unjudged"]
_OF: Mapping[str, Judgement] = {"better": "helps", "worse": "harms", "no clear difference": "does not help"}


@dataclass(frozen=True)
class Step:
    """What is said of one size of the training set."""

    size: str
    judgement: Judgement
    words: str
    contest: str
    """Who beats the classical baseline; "" where there is none."""
    won: bool


@dataclass(frozen=True)
class Gain:
    """The verdict on one target."""

    target: str
    headline: str
    judgement: Literal["helps", "does not help", "harms", "mixed", "unjudged"]
    steps: list[Step]
    """From the smallest size to the largest."""


def gains(facts: Mapping[str, Any], scores: pd.DataFrame, differences: pd.DataFrame) -> list[Gain]:
    """A verdict for every target of ``scores.csv`` and ``comparison.csv`` of a comparison, whose run.json is ``facts``.

    Judged is mode "full" against "scratch", or where "full" was not asked for the first mode that was.
    """
    way = judged(facts["ways"])
    targets = {target["name"]: target for target in facts["targets"]}
    found = []
    for name in dict.fromkeys(scores["target"]):
        own, unit = differences[differences["target"] == name], targets[name]["unit"]
        steps = [
            _step(facts, way, unit, rows, scores[(scores["target"] == name) & (scores["size"] == size)])
            for size, rows in own.groupby("size", sort=False)
        ]
        judgements = [step.judgement for step in steps]
        told = f"{name}: " if len(targets) > 1 else ""
        found.append(Gain(name, told + headline(facts, steps), _overall(judgements), steps))
    return found


def judged(ways: Sequence[str]) -> str:
    """The mode whose gain is the verdict."""
    return FULL if FULL in ways else next(way for way in ways if way != SCRATCH)


def started(facts: Mapping[str, Any]) -> str:
    """What the checkpoint is called."""
    return called(str(facts["start"]))


def _subject(facts: Mapping[str, Any]) -> str:
    """What is judged: a mode that leaves most of a checkpoint as it is says less about pretraining than "full"."""
    way = judged(facts["ways"])
    return "pretraining" if way == FULL else f"pretraining with mode {way}"


def counted(facts: Mapping[str, Any], size: str, records: int) -> str:
    """``200 molecules``, ``all 902 molecules``"""
    return f"{'all ' if size == ALL else ''}{records:,} {facts['noun']}s"


def headline(facts: Mapping[str, Any], steps: Sequence[Step]) -> str:
    """One sentence over all sizes."""
    by: dict[str, list[str]] = {}
    for step in steps:
        by.setdefault(step.judgement, []).append(step.size)
    noun, subject = f"{facts['noun']}s", _subject(facts)
    start = subject[0].upper() + subject[1:]
    if len(by) == 1:
        only = steps[0].judgement
        if only == "unjudged":
            return f"The test part is too small to say whether {subject} helps on these data."
        if only == "does not help":
            return f"{start} does not help on these data: it cannot be told from training from scratch."
        return f"{start} {only} on these data{' at every size' if len(steps) > 1 else ''}."
    phrases = {
        "helps": "helps",
        "harms": "harms",
        "does not help": "cannot be told from training from scratch",
        "unjudged": "cannot be judged",
    }
    told = [f"it {phrase} with {_joined(by[kind])} {noun}" for kind, phrase in phrases.items() if kind in by]
    return f"{start}{'; '.join(told).removeprefix('it')}."


def _joined(names: Sequence[str]) -> str:
    if not names:
        return ""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _overall(judgements: Sequence[Judgement]) -> Any:
    known = set(judgements)
    if {"helps", "harms"} <= known:
        return "mixed"
    return next(kind for kind in ("helps", "harms", "does not help", "unjudged") if kind in known)


def _step(facts: Mapping[str, Any], way: str, unit: str, rows: pd.DataFrame, scores: pd.DataFrame) -> Step:
    row = rows[(rows["way"] == way) & (rows["against"] == SCRATCH)].iloc[0]
    size, metric = str(row["size"]), str(row["metric"])
    unit = f" {unit}" if unit and metric in IN_UNITS else ""
    where = f"With {counted(facts, size, int(row['records']))}"
    if row["tested"] < LEAST:
        few = f"{where}: too few to judge, {row['tested']} {facts['noun']}s are tested."
        return Step(size, "unjudged", few, "", False)
    judgement = _OF[row["verdict"]]
    contest, won = _contest(facts, metric, where, rows, scores)
    return Step(size, judgement, _told(facts, way, row, unit, where, judgement), contest, won)


def _told(facts: Mapping[str, Any], way: str, row: pd.Series, unit: str, where: str, judgement: Judgement) -> str:
    """``With 50 molecules, starting from x lowers the RMSE by 0.1 (95 % 0.05 to 0.15): pretraining helps.``"""
    how = "" if way == FULL else f" with mode {way}"
    start, metric = f"starting from {started(facts)}{how}", row["metric"]
    seeds = f"better in {row['better']} of {row['seeds']} seed{'s' if row['seeds'] > 1 else ''}"
    value, lower, upper = (float(row[name]) for name in ("difference", "lower", "upper"))
    if judgement == "does not help":
        value, lower, upper = together(value, lower, upper)
        return (
            f"{where}, {start} cannot be told from training from scratch: the {metric} with it minus that "
            f"without is {value}{unit} "
            f"(95 % {lower} to {upper}; {seeds})."
        )
    least, most = sorted((abs(lower), abs(upper)))
    size, least, most = together(abs(value), least, most)
    return (
        f"{where}, {start} {'lowers' if value < 0 else 'raises'} the {metric} by {size}{unit} (95 % {least} to {most}; "
        f"{seeds}): {_subject(facts)} {judgement}."
    )


def _contest(
    facts: Mapping[str, Any], metric: str, where: str, rows: pd.DataFrame, scores: pd.DataFrame
) -> tuple[str, bool]:
    """Which ways beat the classical baseline that was chosen beforehand, or all of them where none could be."""
    best = rows[rows["best"]]
    if best.empty:
        return "", False
    value = scores.set_index("way")["value"]
    names = [f"{name} ({number(float(value[name]))})" for name in dict.fromkeys(best["against"])]
    it, whom = ("it", "the best classical model") if len(names) == 1 else ("them", "every classical model")
    ways: dict[str, list[str]] = {"won": [], "even": [], "lost": []}
    for way, held in best.groupby("way", sort=False)["verdict"]:
        told = set(held)
        kind = "won" if told == {"better"} else "lost" if "worse" in told else "even"
        ways[kind].append(f"{way} ({number(float(value[way]))})")
    won, even, lost = (_joined(names) for names in ways.values())
    plural = {kind: len(names) > 1 for kind, names in ways.items()}
    rest = [f"{even} cannot be told from {it}"] if even else []
    rest += [f"{lost} {'are' if plural['lost'] else 'is'} worse than {it}"] if lost else []
    start = f"{won} beat{'' if plural['won'] else 's'} {whom}" if won else f"nothing clearly beats {whom}"
    return f"{where}, {start}, {_joined(names)}{'; ' if rest else ''}{'; '.join(rest)} ({metric}).", bool(won)


def costs(facts: Mapping[str, Any], cells: pd.DataFrame) -> str:
    """How long a training with most records took, by way: one sentence; "" without cells."""
    if cells.empty:
        return ""
    size = str(cells["size"].iloc[int(cells["records"].to_numpy().argmax())])
    largest = cells[cells["size"] == size]
    seconds = largest.groupby("way", sort=False)["seconds"].mean()
    told = ", ".join(f"{way} {duration(float(mean))}" for way, mean in seconds.items())
    records = round(float(largest["records"].mean()))
    return f"One training with {counted(facts, size, records)} took, on one core: {told}."


def duration(seconds: float) -> str:
    """``4.2 s``, ``38 s``, ``6.5 min``"""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min"
