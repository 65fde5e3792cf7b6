"""The leakage audit: how much of the test part training has in effect seen, in numbers and plain words."""

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from sciformer.adapter import DomainAdapter, Record
from sciformer.data import overlaps
from sciformer.data.splits import PARTS, Splits
from sciformer.files import write_text
from sciformer.tokens import Target

FIRST = 5
"""How many findings of a kind are listed by their keys; all are counted."""
CLOSE = 0.9
"""Similarity above which a test record asks for little that its neighbour in training has not answered."""
TOLERANCE = 0.1
"""Measurements of one thing contradict each other if they differ by more than this share of the target's
standard deviation; classes if they differ at all."""
DOMINANT = 1 / 4
"""Share of the records in one group from which a split by that grouping means little."""
FEW = 30
"""Test records below which a score is mostly noise."""
MOST = 500
"""Records of a part whose nearest neighbours are looked for: of more, so many drawn at random."""
BEYOND = (
    "The test part lies beyond what the model learned and was calibrated on: its intervals are those of the inner "
    "range, and nothing promises that they hold the truth as often here."
)
EDGES = np.linspace(0, 1, 21)


@dataclass(frozen=True, kw_only=True)
class Audit:
    """Findings of ``audit`` as plain JSON values, and the warnings that follow from them."""

    parts: Mapping[str, Any]
    """Size of each part and, per target, number known and mean, spread or class counts."""
    similarity: Mapping[str, Any]
    """Similarity of held-out records to the nearest in another part; empty where a domain has no measure."""
    duplicates: Mapping[str, Any]
    contradictions: Mapping[str, Any]
    groupings: Mapping[str, Any]
    """Per grouping: number of groups, share of the largest, share of test records whose group is in train."""
    windows: Mapping[str, int]
    """Of windows of series, how many share times with those of another part; empty of other records."""
    warnings: tuple[str, ...]
    remarks: tuple[str, ...]
    """What was looked for and not found, or is allowed."""

    def to_json(self) -> dict[str, Any]:
        return {
            "warnings": list(self.warnings),
            "remarks": list(self.remarks),
            "windows": dict(self.windows),
            "parts": dict(self.parts),
            "similarity": dict(self.similarity),
            "duplicates": dict(self.duplicates),
            "contradictions": dict(self.contradictions),
            "groupings": dict(self.groupings),
        }

    def save(self, path: str | Path) -> None:
        """Write ``audit.json``: whole or not at all."""
        write_text(Path(path), json.dumps(self.to_json(), indent=1, allow_nan=False) + "\n")


def audit(
    records: Sequence[Record],
    splits: Splits,
    adapter: DomainAdapter,
    targets: Sequence[Target] = (),
    groupings: Mapping[str, Callable[[Record], str]] | None = None,
) -> Audit:
    """Look for leaks between the parts of ``splits``; records in no part are left out.

    ``targets`` tell classes from numbers; a target not named there counts as a number. ``groupings`` are those of the
    adapter, where they were made before.
    Raises ``ValueError`` if the splits belong to other records.
    """
    splits.verify(records)
    known = {record.key: record for record in records}
    parts = {name: [known[key] for key in splits.parts[name]] for name in PARTS}
    classes = {target.name: target.classes for target in targets if target.classes}
    similarity = _similarity(parts, adapter)
    duplicates = _duplicates(parts)
    contradictions = _contradictions(parts, classes)
    ways = adapter.groupings(records) if groupings is None else groupings
    found = _groupings(parts, ways)
    windows = overlaps.overlaps(parts, ways.get("station", lambda record: ""))
    summary = {name: _summary(rows, classes) for name, rows in parts.items()}
    return Audit(
        parts=summary,
        similarity=similarity,
        duplicates=duplicates,
        contradictions=contradictions,
        groupings=found,
        windows=windows,
        warnings=(
            *_warn_parts(summary, classes, "windows" if windows else "records"),
            *_warn_leaks(similarity, duplicates, contradictions),
            *overlaps.warnings(windows),
            *_warn_split(splits.kind, found, "windows" if windows else "records"),
            *([BEYOND] if splits.beyond else []),
        ),
        remarks=(
            *([f"Split by {splits.kind}: {splits.method}."] if splits.method else []),
            *overlaps.remarks(windows),
            *(_about_places(splits.kind, found) if windows else ()),
        ),
    )


def _summary(rows: Sequence[Record], classes: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    summary: dict[str, Any] = {"records": len(rows)}
    for name in dict.fromkeys(target for row in rows for target in row.targets):
        values = np.array([row.targets[name] for row in rows if name in row.targets], dtype=np.float64)
        if name in classes:
            counts = Counter(values.astype(int).tolist())
            summary[name] = {
                "known": len(values),
                **{label: counts[i] for i, label in enumerate(classes[name])},
            }
        else:
            summary[name] = {
                "known": len(values),
                "mean": float(values.mean()),
                "standard deviation": float(values.std()),
            }
    return summary


def _similarity(parts: Mapping[str, list[Record]], adapter: DomainAdapter) -> dict[str, Any]:
    pairs = {
        "test to train": (parts["test"], parts["train"]),
        "test to validation and calibration": (parts["test"], parts["validation"] + parts["calibration"]),
        "validation and calibration to train": (parts["validation"] + parts["calibration"], parts["train"]),
    }
    found = {}
    for name, (queries, references) in pairs.items():
        drawn = random.Random(0).sample(queries, MOST) if len(queries) > MOST else queries
        if queries and references and (nearest := adapter.nearest(drawn, references)) is not None:
            values = np.asarray(nearest[0], dtype=np.float64)
            copies = {row.group for row in references if row.group}
            twins = sum(x >= 1 - 1e-9 and row.group not in copies for x, row in zip(values, drawn, strict=True))
            looked = {"looked at": len(drawn), "of": len(queries)}
            found[name] = looked | _distribution(values) | {"equal but no copies": int(twins)}
    return found


def _distribution(values: Float[np.ndarray, " n"]) -> dict[str, Any]:
    counts, edges = np.histogram(values, bins=EDGES)
    return {
        "nearest": {"counts": counts.tolist(), "edges": np.round(edges, 6).tolist()},
        **{f"quantile {q:g}": float(np.quantile(values, q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95)},
        f"share above {CLOSE:g}": float((values > CLOSE).mean()),
        "share equal 1": float((values >= 1 - 1e-9).mean()),
    }


def _grouped(parts: Mapping[str, list[Record]]) -> list[list[tuple[str, Record]]]:
    """Groups of more than one record, each with its part."""
    groups: dict[str, list[tuple[str, Record]]] = {}
    for part, rows in parts.items():
        for row in rows:
            if row.group:
                groups.setdefault(row.group, []).append((part, row))
    return [members for members in groups.values() if len(members) > 1]


def _duplicates(parts: Mapping[str, list[Record]]) -> dict[str, Any]:
    """Records of one group in more than one part."""
    torn = [members for members in _grouped(parts) if len({part for part, _ in members}) > 1]
    torn.sort(key=lambda members: not {"train", "test"} <= {part for part, _ in members})  # the worst first
    seen = sum(part == "test" for members in torn if any(p == "train" for p, _ in members) for part, _ in members)
    return {
        "groups in several parts": len(torn),
        "test records also in train": seen,
        "first": [
            {"group": members[0][1].group, **{f"row {row.key}": part for part, row in members}}
            for members in torn[:FIRST]
        ],
    }


def _contradictions(parts: Mapping[str, list[Record]], classes: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Records of one group with different answers: a bound on what any model can reach."""
    rows = [row for part in parts.values() for row in part]
    names = list(dict.fromkeys(name for row in rows for name in row.targets))
    found = []
    groups = _grouped(parts)
    for name in names:
        spread = float(np.std([row.targets[name] for row in rows if name in row.targets]))
        tolerance = 0.0 if name in classes else TOLERANCE * spread
        for members in groups:
            values = {row.key: row.targets[name] for _, row in members if name in row.targets}
            if values and max(values.values()) - min(values.values()) > tolerance:
                labels = classes.get(name)
                shown = {f"row {key}": labels[int(x)] if labels else float(x) for key, x in values.items()}
                found.append({"target": name, "group": members[0][1].group, **shown})
    groups_found = {item["group"] for item in found}
    return {"repeated groups": len(groups), "groups": len(groups_found), "first": found[:FIRST]}


def _groupings(parts: Mapping[str, list[Record]], groupings: Mapping[str, Callable[[Record], str]]) -> dict[str, Any]:
    found = {}
    for name, grouping in groupings.items():
        groups = {part: [grouping(row) for row in rows] for part, rows in parts.items()}
        counts = Counter(group for part in groups.values() for group in part)
        if not counts:
            continue
        train = set(groups["train"])
        found[name] = {
            "groups": len(counts),
            "share of largest": max(counts.values()) / sum(counts.values()),
            "share of test seen in train": (
                sum(group in train for group in groups["test"]) / len(groups["test"]) if groups["test"] else 0.0
            ),
        }
    return found


def _warn_parts(summary: Mapping[str, Any], classes: Mapping[str, tuple[str, ...]], counted: str) -> list[str]:
    warnings = []
    n = summary["test"]["records"]
    if n < FEW:
        warnings.append(f"The test part has {n} {counted}: with fewer than {FEW}, scores are mostly noise.")
    for part in PARTS[1:]:
        for name, labels in classes.items():
            known = summary[part].get(name)
            if known and (absent := [label for label in labels if not known[label]]):
                warnings.append(
                    f"The {part} part has no record of class {', '.join(absent)} of {name}: "
                    "scores and calibration of this class mean nothing there."
                )
    return warnings


def _warn_leaks(
    similarity: Mapping[str, Any], duplicates: Mapping[str, Any], contradictions: Mapping[str, Any]
) -> list[str]:
    warnings = []
    named = _named(duplicates["first"])
    if seen := duplicates["test records also in train"]:
        warnings.append(
            f"LEAK: {seen} test records are also in train under another row: the test error is too low{named}."
        )
    elif torn := duplicates["groups in several parts"]:
        warnings.append(f"{torn} things lie in several parts as copies: the parts are not independent{named}.")
    if facts := similarity.get("test to train"):
        among = f"of {facts['looked at']} drawn at random " if facts["looked at"] < facts["of"] else ""
        if twins := facts["equal but no copies"]:
            warnings.append(
                f"The measure of similarity sees no difference between {twins} test records {among}and one in train, "
                "though they are no copies (stereoisomers or fragments, for instance): part of the test is easier than "
                "it looks."
            )
        if (close := facts[f"share above {CLOSE:g}"]) >= 0.1:
            warnings.append(
                f"{close:.0%} of the test records {among}have a neighbour in train of similarity above {CLOSE:g}: "
                "the test error says little about new kinds of records."
            )
    if n := contradictions["groups"]:
        warnings.append(
            f"{n} of {contradictions['repeated groups']} things measured more than once contradict "
            "themselves: no model can be right about both values; correct or average them."
        )
    return warnings


def _named(groups: Sequence[Mapping[str, str]]) -> str:
    """The first copies by key and part, as `` (row 4 in test = row 2 in train; ...)``."""
    texts = [
        " = ".join(f"{row} in {part}" for row, part in list(group.items())[1:][:FIRST]) for group in groups[:FIRST]
    ]
    return f" ({'; '.join(texts)})" if texts else ""


def _warn_split(kind: str, groupings: Mapping[str, Any], counted: str) -> list[str]:
    warnings = []
    for name, facts in groupings.items():
        seen, largest = facts["share of test seen in train"], facts["share of largest"]
        if kind != name and seen > 0.5 and counted != "windows":  # later times of the same places are no leak
            warnings.append(
                f"{seen:.0%} of the test {counted} share their {name} with some in train: this {kind} split says "
                f"nothing about a new {name}; also try split.kind {name}."
            )
        if kind == name and largest > DOMINANT:
            warnings.append(
                f"One {name} holds {largest:.0%} of all {counted} and cannot be divided: "
                f"the {name} split compares unlike parts; read it with care."
            )
    return warnings


def _about_places(kind: str, groupings: Mapping[str, Any]) -> list[str]:
    """Of windows, what a split in time alone does not tell."""
    some = [name for name, facts in groupings.items() if facts["groups"] > 1 and facts["share of test seen in train"]]
    if kind in groupings or not some:
        return []
    return [f"The test part is about later times at the same places; for new ones see split.kind {' or '.join(some)}."]
