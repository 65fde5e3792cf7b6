"""The leakage audit (``audit.json``, see ``sciformer.data.audit``) as the report shows it.

Read tolerantly: an entry that is missing or of another form is left out, never an error.
"""

# The stubs of pandas and matplotlib know less than the tests, which check these types as they run.
# pyright: reportArgumentType=false, reportReturnType=false

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sciformer.data.splits import PARTS
from sciformer.report import figures
from sciformer.report.canvas import Plot
from sciformer.report.words import number


@dataclass(frozen=True)
class AuditSection:
    """``present`` is False when there was no audit."""

    present: bool
    warnings: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    plots: list[Plot] = field(default_factory=list)
    findings: list[tuple[str, int, list[str]]] = field(default_factory=list)
    """What was looked for, how often it was found, and the first finds."""
    groupings: list[tuple[str, str, str, str]] = field(default_factory=list)
    """Grouping, number of groups, share of the largest, share of test records whose group is in train."""
    known: list[tuple[str, list[str]]] = field(default_factory=list)
    """Per target, what is known of it in each of ``PARTS``."""


def audit_section(audit: Mapping[str, Any]) -> AuditSection:
    """``audit`` is the content of audit.json; ``{}`` when there is none."""
    duplicates, contradictions = _mapping(audit.get("duplicates")), _mapping(audit.get("contradictions"))
    return AuditSection(
        present=bool(audit),
        warnings=[str(warning) for warning in _list(audit.get("warnings"))],
        remarks=[str(remark) for remark in _list(audit.get("remarks"))],
        plots=_similarities(_mapping(audit.get("similarity"))),
        findings=[
            *_finding("Test records whose copy is in train", duplicates, "test records also in train"),
            *_finding("Things with copies in several parts", duplicates, "groups in several parts", "first"),
            *_finding("Repeated things that contradict themselves", contradictions, "groups", "first"),
        ],
        groupings=_groupings(_mapping(audit.get("groupings"))),
        known=_known(_mapping(audit.get("parts"))),
    )


def _similarities(similarity: Mapping[str, Any]) -> list[Plot]:
    plots = []
    for name, facts in similarity.items():
        facts = _mapping(facts)
        nearest = _mapping(facts.get("nearest"))
        counts, edges = _list(nearest.get("counts")), _list(nearest.get("edges"))
        if not counts or len(edges) != len(counts) + 1 or not all(map(_is_number, [*counts, *edges])):
            continue
        n, of = sum(counts), facts.get("of")
        who = f"{n} records drawn at random of {of}" if _is_number(of) and of != n else "each record"
        told = [f"Similarity of {who} to its nearest."]
        if _is_number(median := facts.get("quantile 0.5")):
            told.append(f"Median {number(median)}.")
        shares = [(key.removeprefix("share "), share) for key, share in facts.items() if key.startswith("share ")]
        told += [f"{key.capitalize()}: {_share_of(share, n)}." for key, share in shares]
        if _is_number(twins := facts.get("equal but no copies")) and twins:
            told.append(f"Of these {twins} are no copies: 1 means that the measure sees no difference.")
        caption = " ".join(told)
        title = f"Nearest neighbours, {name}"
        place = f"audit-{len(plots)}"
        plots.append(figures.binned(place, title, counts, edges, "similarity to the nearest record", caption))
    return plots


def _finding(title: str, facts: Mapping[str, Any], count: str, first: str = "") -> list[tuple[str, int, list[str]]]:
    n = facts.get(count)
    return [(title, int(n), [_words(item) for item in _list(facts.get(first))])] if _is_number(n) else []


def _groupings(groupings: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    shares = ("share of largest", "share of test seen in train")
    return [
        (name, number(facts.get("groups")), *(_percent(facts.get(share)) for share in shares))
        for name, facts in groupings.items()
        if isinstance(facts, dict)
    ]


def _known(parts: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    summaries = [_mapping(parts.get(part)) for part in PARTS]
    names = dict.fromkeys(name for summary in summaries for name in summary if isinstance(summary[name], dict))
    return [(name, [_summary(_mapping(summary.get(name))) for summary in summaries]) for name in names]


def _summary(facts: Mapping[str, Any]) -> str:
    if not facts:
        return "none"
    if _is_number(facts.get("mean")) and _is_number(facts.get("standard deviation")):
        return f"{facts.get('known')}: {number(facts['mean'])} ± {number(facts['standard deviation'])}"
    return ", ".join(f"{label}: {n}" for label, n in facts.items() if label != "known")


def _percent(share: Any) -> str:
    """What is there is not rounded away, and what is not whole not rounded up."""
    if not _is_number(share):
        return number(None)
    if 0 < share < 0.005:
        return "<1 %"
    return ">99 %" if 0.995 <= share < 1 else f"{100 * share:.0f} %"


def _share_of(share: Any, n: float | int) -> str:
    """``3 of 801 (<1 %)``"""
    return f"{round(share * n)} of {n} ({_percent(share)})" if _is_number(share) else number(None)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and bool(np.isfinite(value))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _words(item: Any) -> str:
    return ", ".join(f"{key}: {value}" for key, value in item.items()) if isinstance(item, dict) else str(item)
