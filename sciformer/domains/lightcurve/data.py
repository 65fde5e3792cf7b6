"""The ``data`` options of a light-curve recipe: files, a data card, or the simulated sky."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sciformer.adapter import Record
from sciformer.data import cards
from sciformer.data.dataset import DataConfig, Dataset
from sciformer.data.targets import column_names, column_of, infer_targets
from sciformer.domains.lightcurve import reader, simulate
from sciformer.domains.lightcurve.adapter import LightCurve
from sciformer.domains.lightcurve.augment import Augmentation
from sciformer.domains.lightcurve.curve import META, Curve
from sciformer.domains.lightcurve.notes import reading
from sciformer.domains.lightcurve.objects import KEY, check_labels, metadata
from sciformer.tokens import Target, Tokens

SIMULATED = "simulated"
REST = "rest"
"""What every other class is called where one is told from the rest."""


@dataclass(frozen=True)
class LightCurveData(DataConfig):
    """Where the light curves come from.

    Attributes:
        source: A file or folder of light curves, the name of a data card (see ``sciformer data list``), or
            "simulated" for a sky made up on the spot.
        objects: Table with one row per object: labels and what else is known (redshift, extinction).
        targets: Columns of the objects table to predict, separated by commas; none for a forecast.
        against: By target column the one class to be told from all others.
        kinds: Kind of a target (regression, binary, multiclass) where it is not the one inferred.
        columns: Which column is what, where names do not say (object, time, band, value, error) and how to read it
            (quantity, unit, zero_point, scale, sep).
        fewest: Classes of fewer objects are left out of a target.
        augmentation: Variants of the training curves.
        rows: How many objects to simulate.
        fold: Give the model the period that it finds, and every observation its phase: for stars that pulsate, rotate
            or eclipse each other.
        fourier: The same, and start forecasts from a Fourier series at that period.
        level: Give the model the mean of the values too. Where instruments see objects of unlike brightness, it betrays
            the instrument.
        scramble: Up to this many days are added to all times of an object, drawn for each by itself. Answers that stay
            the same prove that no epoch betrays where or when an object was observed.
    """

    source: str = SIMULATED
    objects: str | None = None
    targets: list[str] | str = ""
    against: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    fewest: int = 0
    augmentation: Augmentation = field(default_factory=Augmentation)
    rows: int = 1000
    fold: bool = False
    fourier: bool = False
    level: bool = False
    scramble: float = 0.0

    def __post_init__(self):
        if not 0 <= self.scramble < np.inf:
            raise ValueError(f"data.scramble must be 0 (off) or a number of days, got {self.scramble}")

    def load(self, split_column: str | None = None) -> Dataset:
        source, objects, known, options, notes = self._tables()
        names = column_names(self.targets) or list(known)
        classes = [*names, *([split_column] if split_column else [])]
        columns = {**options, **self.columns}
        survey = reader.load(source, objects=objects, classes=classes, withheld=names, **columns)
        check_labels(survey.objects, names, objects is not None)
        table = self._labelled(survey.objects, names)
        targets = self._targets(table, names, known)
        records = self._records(survey, table, targets)
        curves = [record.data for record in records if record.ok]
        adapter = LightCurve(
            bands=bands(curves),
            unit=unit_of(curves),
            fold=self.fold,
            fourier=self.fourier,
            level=self.level,
            meta=known_of(curves),
            withheld=tuple(names),
        )
        return Dataset(
            adapter=adapter,
            records=records,
            targets=targets,
            source=self.source,
            simulated=self.source == SIMULATED,
            labels=None if split_column is None else _cells(table, split_column),
            notes=(*notes, *_metadata_notes(table, records, targets), *reading(curves)),
            augment=self._variants(adapter),
            truncated=self.augmentation.truncates,
        )

    def _variants(self, adapter: LightCurve) -> Callable[[Tokens, np.random.Generator], Tokens]:
        """Of a curve that ends early, the period too is that of what is left."""
        vary = self.augmentation.in_bands(adapter.bands)
        if not self.augmentation.truncates:
            return vary
        return lambda tokens, rng: adapter.derive(vary(tokens, rng))

    def _tables(self) -> tuple[Any, Any, dict[str, Target], dict[str, Any], tuple[str, ...]]:
        """Observations, objects, the targets they are known to have, reader options, what is known to be wrong."""
        if self.source == SIMULATED:
            note = "This sky is simulated: it demonstrates the program, not astronomy."
            return *simulate.simulate(self.rows, seed=0), {t.name: t for t in simulate.TARGETS}, {}, (note,)
        if card := cards.meant(self.source, LightCurve.name, "light curves"):
            known = {target.name: target for target in card.targets()}
            source, options = cards.source(card.name)
            return source, options.pop("objects", self.objects), known, options, card.traps
        if not Path(self.source).exists():
            raise FileNotFoundError(
                f"there is no file, folder or data card {self.source!r}; `sciformer data list` names the cards"
            )
        return Path(self.source), self.objects, {}, {}, ()

    def _labelled(self, table: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
        """The objects table with rare classes unknown and, where asked for, one class against the rest."""
        for name in names:
            column = column_of(table, name, "target")
            if name in self.against:
                one = self.against[name]
                if one not in set(column.dropna().astype(str)):
                    raise ValueError(f"no object is of class {one!r} in column {name!r}; check data.against")
                column = column.astype("string").where(column.isna() | (column.astype("string") == one), REST)
            counts = column.value_counts()
            rare = counts.index[counts < self.fewest]
            table = table.assign(**{name: column.where(~column.isin(rare))})
        return table

    def _targets(self, table: pd.DataFrame, names: list[str], known: Mapping[str, Target]) -> tuple[Target, ...]:
        as_known = not self.kinds and not self.against and not self.fewest and all(name in known for name in names)
        if as_known:
            return tuple(known[name] for name in names)
        targets = infer_targets(table, names, self.kinds, {n: known[n].unit for n in names if n in known})
        return tuple(_one_last(target, self.against.get(target.name)) for target in targets)

    def _records(self, survey: reader.Survey, table: pd.DataFrame, targets: Sequence[Target]) -> list[Record]:
        records = list(reader.records(survey, table, targets))
        return scrambled(records, self.scramble) if self.scramble else records


def scrambled(records: Sequence[Record], days: float, seed: int = 0) -> list[Record]:
    """The same objects, each with an origin of time of its own, which nobody knows any more."""
    rng = np.random.default_rng(seed)

    def moved(curve: Curve) -> Curve:
        return dataclasses.replace(curve, time=curve.time + rng.uniform(0, days), scale="", origin=float("nan"))

    return [dataclasses.replace(r, data=moved(r.data)) if r.ok else r for r in records]


def bands(curves: Sequence[Curve]) -> tuple[str, ...]:
    """All bands of the curves, sorted."""
    return tuple(sorted({str(name) for curve in curves for name in np.unique(curve.band)}))


def unit_of(curves: Sequence[Curve]) -> str:
    """The unit that all curves of a survey share; "" for fluxes without one."""
    first = next(iter(curves), None)
    return "" if first is None else first.unit or ("mag" if first.quantity == "mag" else "")


def known_of(curves: Sequence[Curve]) -> dict[str, float]:
    """What is known of any object beside its light, and of which share of them."""
    counts = {name: sum(name in curve.meta for curve in curves) for name in META}
    return {name: count / len(curves) for name, count in counts.items() if count}


def _metadata_notes(table: pd.DataFrame, records: Sequence[Record], targets: Sequence[Target]) -> list[str]:
    """Targets that would have been metadata, and metadata that give a target away."""
    notes = []
    for target in targets:
        if metadata(table) != metadata(table, [target.name]):
            notes.append(f"{target.name} is a target, so it is withheld from the metadata: the model does not read it")
        known = [record for record in records if record.ok and target.name in record.targets and not target.classes]
        for name in META:
            pairs = {(r.data.meta[name], r.targets[target.name]) for r in known if name in r.data.meta}
            if len(pairs) > 1 and all(math.isclose(*pair, rel_tol=1e-6) for pair in pairs):
                notes.append(
                    f"LEAK: the metadata give away {target.name}: another column is read as {name} and is equal to it "
                    "wherever both are known; delete that column from the table of objects"
                )
    return notes


def _one_last(target: Target, one: str | None) -> Target:
    """The class that is told from the rest is the positive one."""
    return target if one is None else Target(target.name, target.kind, target.unit, (REST, one))


def _cells(table: pd.DataFrame, name: str) -> dict[str, str]:
    column = column_of(table, name, "split").fillna("").astype(str).str.strip()
    return dict(zip(table[KEY].astype(str), column, strict=True))
