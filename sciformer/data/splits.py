"""Which record is used for what: splits as values, made by rule or read from a file, saved with every run.

A split has four parts. The model learns from ``train``, training is stopped and chosen by ``validation``,
intervals and probabilities are calibrated on ``calibration``, and ``test`` is looked at once.
"""

import difflib
import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from sciformer.adapter import Grouping, Record
from sciformer.data import blocks, folds, placing, rows
from sciformer.files import write_text

PARTS = ("train", "validation", "calibration", "test")
LABELS = {
    "train": 0,
    "training": 0,
    "val": 1,
    "valid": 1,
    "validation": 1,
    "cal": 2,
    "calibration": 2,
    "test": 3,
}
"""What a split column or file may call the parts, in any case."""

_NEEDED = {"column": ("column", "holdout"), "file": ("file",), "test": ("kfold", "holdout")}  # option: kinds
_RULES = ("random", "column", "file", "kfold", "holdout", "time")
"""Kinds that every domain has; groupings and orders of a domain are others."""


@dataclass(frozen=True)
class SplitConfig:
    """How records are divided.

    Attributes:
        kind: "random"; the name of a grouping of the domain ("scaffold" of molecules, "identity" of proteins), whose
            groups stay whole; "column" for a column of the table that names each row's part; "file" for an earlier
            splits.json or a JSON list of row indices; "kfold" for one of k stratified folds and "holdout" for one
            value of a column (a survey, an instrument) as the test part, the others divided at random; "time" for
            windows of series, the earliest first. A grouping of windows ("station", "region") holds out whole places
            and divides in time besides, since neighbours share their weather. "low_to_high" tests the records with the
            highest answers to the first target, and an order of the domain ("mutations", "length" of proteins) those
            that have most of it; the others are divided at random. Intervals are then calibrated on others than those
            that are tested, and how often they hold the truth there is promised by nothing.
        fractions: Shares of train, validation, calibration and test. Coverage measured with n calibration
            records scatters by sqrt(0.9 * 0.1 / n), 3 % for 100: hence a tenth and not less.
        order: How groups are placed. "balanced": large ones to train, others at random by seed (chemprop's
            scaffold_balanced, Yang et al. 2019, J. Chem. Inf. Model. 59, 3370); "deepchem": by falling size,
            without chance (its ScaffoldSplitter, Wu et al. 2018, Chem. Sci. 9, 513).
        column: Column of a split of kind "column" or "holdout".
        test: Which test part: of kind "kfold" the fold, as 2/5; of kind "holdout" the value of the column; of an order
            the number that it lies above, by default the one that the share of the test part exceeds.
        file: File of a split of kind "file".
        seed: Seed of a split drawn by chance.
        gap: Of parts in time, leave out windows whose context reaches back into an earlier part. Without it training
            answers are seen as the past of later questions, as in some published protocols.
        calibration_share: Where a split has no calibration part, this share of its validation groups becomes
            one. Give 1 where training does not look at the validation part (no early stopping).
    """

    kind: str = "random"
    fractions: tuple[float | int, float | int, float | int, float | int] = (0.7, 0.1, 0.1, 0.1)
    order: Literal["balanced", "deepchem"] = "balanced"
    column: str | None = None
    test: str | None = None
    file: str | None = None
    seed: int = 0
    gap: bool = True
    calibration_share: float | int = 0.5

    def __post_init__(self):
        if min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-6 or not self.fractions[0]:
            raise ValueError(f"split fractions must be 0 or more, with some train, and sum to 1, got {self.fractions}")
        if not 0 <= self.calibration_share <= 1:
            raise ValueError(f"split.calibration_share must lie in [0, 1], got {self.calibration_share}")
        if self.order not in ("balanced", "deepchem"):
            raise ValueError(f"split order must be 'balanced' or 'deepchem', got {self.order!r}")
        if self.seed < 0:
            raise ValueError(f"split.seed must be at least 0, got {self.seed}")
        for name, kinds in _NEEDED.items():
            if self.kind in kinds and not getattr(self, name):
                form = ", as 1/5" if self.kind == "kfold" else ""
                raise ValueError(f"a split of kind {self.kind!r} needs --split.{name}{form}")
            if getattr(self, name) and self.kind not in kinds and (name != "test" or self.kind in _RULES):
                _refuse_option(name, self.kind)


def _refuse_option(name: str, kind: str) -> None:
    fitting = [*map(repr, _NEEDED[name]), *(["an order of the records"] if name == "test" else [])]
    raise ValueError(f"split.{name} is given but split.kind is {kind!r}; set split.kind to {' or '.join(fitting)}")


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Keys of the records of each part, disjoint and without duplicates; a record may be in none."""

    parts: Mapping[str, tuple[str, ...]]
    kind: str = "given"
    seed: int = 0
    order: str = ""
    fractions: tuple[float | int, ...] = ()
    method: str = ""
    """In words, how groups were found or which limit was set, where the kind does not say it."""
    beyond: bool = False
    """Whether the test part lies beyond the others, so that what was learned and calibrated there need not hold."""
    fingerprint: str = ""
    """sha256 over key and group of the records in the parts: tells another table from this one."""
    _part: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        if set(self.parts) != set(PARTS):
            raise ValueError(f"splits need exactly the parts {', '.join(PARTS)}, got {list(self.parts)}")
        part: dict[str, str] = {}
        for name in PARTS:
            for key in self.parts[name]:
                if key in part:
                    raise ValueError(f"record {key!r} is in {part[key]} and again in {name}; name it once")
                part[key] = name
        object.__setattr__(self, "parts", MappingProxyType({name: tuple(self.parts[name]) for name in PARTS}))
        object.__setattr__(self, "_part", part)

    def part_of(self, key: str) -> str | None:
        """The part of a record; None if it is in no part."""
        return self._part.get(key)

    def counts(self) -> dict[str, int]:
        return {name: len(keys) for name, keys in self.parts.items()}

    def verify(self, records: Sequence[Record]) -> None:
        """Raise ``ValueError`` unless ``records`` are those that were split."""
        known = {record.key: record for record in records}
        if missing := [key for key in self._part if key not in known]:
            raise ValueError(
                f"{len(missing)} records of the splits are not in the data (first {missing[0]!r}); "
                "use the table that was split, or split this one anew"
            )
        if self.fingerprint and _fingerprint([known[key] for key in self._part]) != self.fingerprint:
            raise ValueError(
                "the records under the keys of these splits have changed (rows moved or edited, or read by "
                "another version); use the table that was split, or give the parts in a split column"
            )

    def to_json(self) -> dict[str, Any]:
        return {
            "version": 1,
            "kind": self.kind,
            "seed": self.seed,
            "order": self.order,
            "fractions": list(self.fractions),
            "method": self.method,
            "beyond": self.beyond,
            "counts": self.counts(),
            "fingerprint": self.fingerprint,
            "parts": {name: list(keys) for name, keys in self.parts.items()},
        }

    def save(self, path: str | Path) -> None:
        """Write ``splits.json``: whole or not at all."""
        write_text(Path(path), json.dumps(self.to_json(), indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "Splits":
        """Read what ``save`` wrote.

        Raises ``FileNotFoundError``, or ``ValueError`` where the file is no intact ``splits.json``.
        """
        return cls._from_json(_json(Path(path)), Path(path))

    @classmethod
    def _from_json(cls, content: Any, path: Path) -> "Splits":
        if not isinstance(content, dict) or content.get("version") != 1 or not isinstance(content.get("parts"), dict):
            raise ValueError(f"{path} is no splits.json of version 1; give the file that a run has written")
        try:
            parts = {name: tuple(str(key) for key in keys) for name, keys in content["parts"].items()}
            known = {name: content[name] for name in ("kind", "seed", "order", "fingerprint")}
            known |= {name: content[name] for name in ("method", "beyond") if name in content}  # older files have none
            splits = cls(parts=parts, fractions=tuple(content["fractions"]), **known)
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is damaged: {error}; give the file that a run has written") from None
        if splits.counts() != content.get("counts"):
            raise ValueError(f"{path} is damaged: its parts have {splits.counts()} keys, not {content.get('counts')}")
        return splits


def make_splits(
    records: Sequence[Record],
    config: SplitConfig,
    groupings: Mapping[str, Callable[[Record], str]],
    labels: Mapping[str, str] | None = None,
    orders: Mapping[str, Callable[[Record], float]] | None = None,
) -> Splits:
    """Divide ``records``: all rows in their order, unreadable ones included, because files may count rows.

    Unreadable records, and unlabelled ones where others have labels, are in no part. Records of one
    ``Record.group`` (the same thing measured again) are never torn apart by a rule; a given column or file is
    taken as it is. ``groupings`` and ``orders`` are those of the domain's adapter (and ``folds.by_answer``), ``labels``
    the split column by key.

    Raises ``ValueError`` for an unknown kind, a label or row that does not exist, or an empty part.
    """
    usable, orders = _usable(records), orders or {}
    grouping, method = groupings.get(config.kind), ""
    if grouping and config.test:
        _refuse_option("test", config.kind)
    if config.kind == "column":
        part = _from_labels(usable, labels, config)
    elif config.kind == "file":
        part = _from_file(records, usable, Path(str(config.file)), config.seed)
    elif config.kind == "kfold":
        test = folds.fold(usable, [_unit(record) for record in usable], str(config.test), config.seed)
        part = _with_test(usable, test, config)
    elif config.kind == "holdout":
        part = _with_test(usable, folds.held_out(usable, labels, config.column, str(config.test)), config)
    elif config.kind in orders:
        test, method = _beyond(usable, orders[config.kind], config)
        part = _with_test(usable, test, config)
    elif config.kind == "time" or (grouping and any(record.span for record in usable)):
        part = blocks.divided(usable, config.fractions, PARTS, gap=config.gap)
        if grouping:
            part = blocks.apart(usable, part, grouping, config.fractions, PARTS, config.seed)
    else:
        part = _by_rule(usable, config, groupings, orders)
        method = grouping.method if isinstance(grouping, Grouping) else ""
    given = config.kind in ("column", "file")
    if "calibration" not in part.values() if given else not config.fractions[2]:
        _share_validation(usable, part, config)
    keys = {name: tuple(r.key for r in usable if part.get(r.key) == name) for name in PARTS}
    _refuse_empty(keys, config, given)
    return Splits(
        parts=keys,
        kind=config.kind,
        seed=config.seed,
        order="" if given else config.order,
        fractions=() if given else config.fractions,
        method=method,
        beyond=config.kind in orders,
        fingerprint=_fingerprint([r for name in PARTS for r in usable if part.get(r.key) == name]),
    )


def _usable(records: Sequence[Record]) -> list[Record]:
    if repeated := [key for key, n in Counter(record.key for record in records).items() if n > 1]:
        raise ValueError(f"record keys must be unique, {repeated[0]!r} is not; name another id column")
    labelled = any(record.targets for record in records if record.ok)
    return [record for record in records if record.ok and (record.targets or not labelled)]


def _unit(record: Record) -> str:
    """What must not be torn apart; the prefix keeps a key from meeting another record's group."""
    return f"group {record.group}" if record.group else f"key {record.key}"


def _beyond(records: Sequence[Record], order: Callable[[Record], float], config: SplitConfig) -> tuple[set[str], str]:
    """Keys of the test part, and in words what is tested."""
    units = [_unit(record) for record in records]
    test, limit = folds.beyond(records, units, order, config.test, config.fractions[3])
    what = "whose answer lies" if config.kind == folds.LOW_TO_HIGH else f"with {config.kind}"
    return test, f"records {what} above {limit:g} are tested, the others are divided at random"


def _with_test(records: Sequence[Record], test: set[str], config: SplitConfig) -> dict[str, str]:
    """A given test part; what is left is divided at random in the proportions of the other fractions."""
    fractions = (*(share / (1 - config.fractions[3]) for share in config.fractions[:3]), 0.0)
    torn = {_unit(record) for record in records if record.key in test}
    rest = [record for record in records if _unit(record) not in torn]
    return _by_rule(
        rest, replace(config, kind="random", column=None, test=None, fractions=fractions), {}, {}
    ) | dict.fromkeys(test, "test")


def _by_rule(
    records: Sequence[Record],
    config: SplitConfig,
    groupings: Mapping[str, Callable[[Record], str]],
    orders: Mapping[str, Callable[[Record], float]],
) -> dict[str, str]:
    if config.kind == folds.LOW_TO_HIGH:
        raise ValueError("a split of kind 'low_to_high' needs numbers as its first target; name such a target first")
    if config.kind != "random" and config.kind not in groupings:
        known = list(dict.fromkeys(["random", *groupings, *orders, *_RULES]))
        close = difflib.get_close_matches(config.kind, known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ValueError(f"unknown split kind {config.kind!r}; {hint}known: {', '.join(known)}")
    units: dict[str, list[Record]] = {}
    for record in records:
        units.setdefault(_unit(record), []).append(record)
    groups: dict[str, list[Record]] = {}
    if config.kind == "random":
        groups = dict(sorted(units.items()))  # so that the order of the rows does not matter
    else:  # in order of first occurrence, as published splits were made
        for members in units.values():
            groups.setdefault(groupings[config.kind](members[0]), []).extend(members)
    wanted = sum(fraction > 0 for fraction in config.fractions)
    if len(groups) < wanted:
        raise ValueError(
            f"a {config.kind} split into {wanted} parts needs at least {wanted} different groups, "
            f"got {len(groups)} ({len(records)} usable records); give more data or another split kind"
        )
    sizes = [len(members) for members in groups.values()]
    if config.order == "deepchem" and config.kind != "random":
        chosen = placing.deepchem(sizes, config.fractions)
    else:
        chosen = placing.balanced(sizes, config.fractions, config.seed)
    return {r.key: PARTS[p] for members, p in zip(groups.values(), chosen, strict=True) for r in members}


def _from_labels(records: Sequence[Record], labels: Mapping[str, str] | None, config: SplitConfig) -> dict[str, str]:
    if labels is None:
        raise ValueError(f"a split by column needs the cells of column {config.column!r}")
    part = {}
    for record in records:
        label = str(labels.get(record.key, "")).strip().lower()
        if label and label not in LABELS:
            raise ValueError(
                f"split column {config.column!r} of row {record.key!r} must be empty or one of "
                f"{', '.join(LABELS)}, got {labels[record.key]!r}"
            )
        if label:
            part[record.key] = PARTS[LABELS[label]]
    return part


def _from_file(records: Sequence[Record], usable: Sequence[Record], path: Path, seed: int) -> dict[str, str]:
    """``splits.json``, or lists of 0-based rows as in chemprop: ``[{"train": [0, 1], "val": "2-4", ...}]``.

    Of several splits in one file the one numbered ``seed`` is taken; a single one is taken whatever the seed.
    """
    content = _json(path)
    if isinstance(content, dict) and "parts" in content:
        splits = Splits._from_json(content, path)
        splits.verify(records)
        part = {key: name for name, keys in splits.parts.items() for key in keys}
    else:
        names = {label: PARTS[i] for label, i in LABELS.items()}
        part = rows.parts(content, [record.key for record in records], path, seed, names)
    keys = {record.key for record in usable}
    return {key: name for key, name in part.items() if key in keys}


def _share_validation(records: Sequence[Record], part: dict[str, str], config: SplitConfig) -> None:
    """Turn the configured share of the validation units into a calibration part."""
    units: dict[str, list[str]] = {}
    for record in records:
        if part.get(record.key) == "validation":
            units.setdefault(_unit(record), []).append(record.key)
    names = sorted(units)
    random.Random(config.seed).shuffle(names)
    for name in names[: int(len(names) * config.calibration_share)]:
        part.update(dict.fromkeys(units[name], "calibration"))


def _refuse_empty(keys: Mapping[str, Sequence[str]], config: SplitConfig, given: bool) -> None:
    needed = ["train", "validation"] if given else [p for p, f in zip(PARTS, config.fractions, strict=True) if f]
    if config.calibration_share == 1 and "calibration" not in needed:
        needed = ["calibration" if name == "validation" else name for name in needed]
    if empty := [name for name in needed if not keys[name]]:
        counts = ", ".join(f"{name} {len(keys[name])}" for name in PARTS)
        remedy = (
            "name these parts in the column or file, or hold out one value of a column and divide the others at "
            "random (--split.kind holdout --split.column COLUMN --split.test VALUE)"
            if given
            else "the groups are too few or too large: give more data, another seed, fractions or split kind"
        )
        raise ValueError(f"the {config.kind} split leaves {' and '.join(empty)} without records ({counts}); {remedy}")


def _fingerprint(records: Sequence[Record]) -> str:
    lines = sorted(f"{record.key}\t{record.group}" for record in records)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _json(path: Path) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"split file {path} does not exist; check the path")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not JSON, or not text at all
        raise ValueError(f"{path} is not JSON ({error}); give a splits.json or a list of row indices") from None
