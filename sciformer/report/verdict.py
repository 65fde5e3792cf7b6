"""The verdict of a run in plain sentences: how large its errors are, what it covers, whom it beats."""

import math
from collections import Counter
from typing import Any

import numpy as np

from sciformer.evaluation import IN_UNITS, MODEL, RELATIVE
from sciformer.report.coverage import ABOVE, BELOW, IN_LINE, OUTSIDE, UNJUDGED, UNPROMISED
from sciformer.report.coverage import FEW as FEW_RECORDS
from sciformer.report.targets import TargetReport
from sciformer.report.words import number

FEW = 3
"""The errors of up to so many targets are told one by one."""


def verdict(targets: list[TargetReport]) -> dict[str, Any]:
    """Plain sentences on error, coverage and baselines; ``won``: every baseline beaten on every target;
    ``lost``: some compared target on which that is not so."""
    scored = [t for t in targets if t.main]
    if not scored:
        return {
            "error": "No test scores were written, so there is no verdict.",
            "coverage": "",
            "contest": "",
            "each": [],
            "won": False,
            "lost": False,
        }
    error = " ".join(map(_error_sentence, scored)) if len(targets) <= FEW else _error_summary(scored)
    return {
        "error": error,
        "coverage": _coverage_sentence(targets),
        "contest": _contest_sentence(targets),
        "each": _each(targets),
        "won": all(t.beats_all for t in targets),
        "lost": any(t.contest and not t.beats_all for t in targets),
    }


def _error_sentence(t: TargetReport) -> str:
    assert t.main is not None  # the caller's filter
    unit = f" {t.unit}" if t.unit and not t.has_classes and t.main.metric in IN_UNITS else ""
    interval = ""
    if math.isfinite(t.main.lower) and math.isfinite(t.main.upper):
        interval = f" (95 % interval {number(t.main.lower)} to {number(t.main.upper)})"
    parts = f" of {t.evidence} records" if t.shown.records is not None else ""
    few = "" if t.evidence >= FEW_RECORDS else " (too few to judge by)"
    what = f"forecasts of {t.name}" if t.kind == "forecast" else t.name
    told = (
        f"On {t.n} test {t.counted}s{parts}{few}, {t.main.metric} for {what} is {number(t.main.value)}{unit}{interval}."
    )
    relative = next((scores[MODEL] for metric, _, scores in t.scores if metric == RELATIVE and MODEL in scores), None)
    if relative is None:
        return told
    return f"{told} That is {number(relative.value)} of the spread of what was seen, as a mean over {t.counted}s."


def _error_summary(scored: list[TargetReport]) -> str:
    if relative := _relative_summary(scored):
        return relative
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


def _relative_summary(scored: list[TargetReport]) -> str:
    """Errors of things of different units, where all are known in spreads of what was seen."""
    every = [(scores[MODEL].value, t) for t in scored for metric, _, scores in t.scores if metric == RELATIVE]
    if len({t.unit for t in scored}) < 2 or len(every) < len(scored):
        return ""
    (low, first), (high, last) = (pick(every, key=lambda pair: pair[0]) for pick in (min, max))
    middle = number(float(np.median([value for value, _ in every])))
    n = f"{scored[0].n} test {scored[0].counted}s"
    return (
        f"Over {len(every)} variables and {n}, the median {RELATIVE} (CRPS over the spread of what was seen) is "
        f"{middle}: from {number(low)} for {first.name} to {number(high)} for {last.name}."
    )


def _each(targets: list[TargetReport]) -> list[tuple[str, str]]:
    """Of forecasts of several variables, whom the transformer beats on which; alike ones share a line."""
    judged = [t for t in targets if t.contest and t.kind == "forecast"]
    alike: dict[str, list[str]] = {}
    for t in judged if len(judged) > 1 else ():
        alike.setdefault(t.contest_words, []).append(t.name)
    return [(", ".join(names), words) for words, names in alike.items()]


def _coverage_sentence(targets: list[TargetReport]) -> str:
    covered = [(t, t.coverage) for t in targets if t.coverage]
    if not covered:
        return "No prediction intervals or sets were written, so coverage was not measured."
    level = f"{covered[0][1].level:.0%}".replace("%", " %")
    if len(covered) == 1:
        t, coverage = covered[0]
        share, low, high = coverage.bounds
        what = "prediction sets" if t.has_classes else "intervals"
        held = f"a {t.counted}'s held-out values on average over {t.counted}s"
        values = held if t.kind == "forecast" else "the true values"
        return (
            f"Its {level} {what} hold {share} % of {values} (95 % interval {low} to {high} %): "
            f"{coverage.told}.{coverage.why(t.unit_of_evidence)}{_classes_sentence(targets)}"
        )
    told = []
    phrases = {
        IN_LINE: "in line with it on",
        BELOW: "BELOW it on",
        ABOVE: "above it on",
        UNJUDGED: "too few test records to judge on",
        UNPROMISED: "not calibrated on",
        OUTSIDE: "promised by nothing, the test part being beyond what was calibrated, on",
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
        for label, coverage in t.shown.by_class
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
