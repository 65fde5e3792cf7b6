"""The ``data`` options of a protein recipe: a file, a data card, or the simulated proteins."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from sciformer.adapter import Record
from sciformer.data import cards
from sciformer.data.dataset import DataConfig, Dataset
from sciformer.data.targets import column_names, column_of, infer_targets
from sciformer.domains.protein import annotations, reader, simulate
from sciformer.domains.protein.adapter import Protein
from sciformer.domains.protein.table import load_table
from sciformer.tokens import Target

SIMULATED = "simulated"
READER = ("sequence", "variant", "structure", "id", "mask", "chains")
"""Options that are passed on to the reader; the first three say what is read, and one of them is enough."""
_TRUE = ("true", "1", "1.0", "yes", "t", "y")


@dataclass(frozen=True)
class ProteinData(DataConfig):
    """Where the proteins come from.

    Attributes:
        source: A file (FASTA, CSV, TSV, Parquet, PDB, mmCIF; .gz too), the name of a data card (see
            ``sciformer data list``), or "simulated" for proteins made up on the spot.
        part: Part of a data card that has several (see ``sciformer data show``); by default its first.
        sequence: Column of the sequences; found by its name where not given.
        variant: Column of variants (A23G,K45R) of the wild type; found by its name where not given.
        structure: Column of names of PDB and mmCIF files; found by its name where not given.
        id: Column that names the rows, by default the one called id; without it rows are numbered from 1.
        targets: Columns to predict, separated by commas (or a YAML list).
        labels: Columns with an answer for every residue, separated by commas: letters (HHHCCEE) or numbers. They are
            predicted instead of targets.
        kinds: Kind of a target (regression, binary, multiclass) where it is not the one inferred.
        units: Unit of a target, by column.
        sep: Separator of a text table; found where not given.
        wild_type: The sequence that variants are compared with, or a FASTA file that holds it alone.
        first: Number of its first residue in the notation of variants; 1 unless the data card says otherwise.
        substitutions: Read the substitutions of a variant alone, which is much faster.
        mask: Column that says with 0 of which residues the labels do not count.
        features: Columns with a number for every residue that is known beforehand, separated by commas.
        aligned: Sequences are rows of an alignment: residues keep their columns, gaps counted.
        chains: Chains of a structure to read, separated by commas; by default all.
        coordinates: Read C-alpha positions too, where there are any.
        validation: Column that marks with TRUE the validation rows of a split column that names train and test alone.
        rows: How many proteins to simulate.
    """

    source: str = SIMULATED
    part: str = ""
    sequence: str | None = None
    variant: str | None = None
    structure: str | None = None
    id: str | None = None
    targets: list[str] | str = ""
    labels: list[str] | str = ""
    kinds: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    sep: str | None = None
    wild_type: str = ""
    first: int | None = None
    substitutions: bool = False
    mask: str | None = None
    features: list[str] | str = ""
    aligned: bool = False
    chains: str | None = None
    coordinates: bool = False
    validation: str | None = None
    rows: int = 1000

    def __post_init__(self):
        if self.labels and self.targets:
            raise ValueError(
                "data.labels are answers per residue, data.targets per sequence: ask for one of them a run"
            )
        if self.labels and (self.kinds or self.units):
            raise ValueError("data.kinds and data.units are those of data.targets; labels are classes or plain numbers")

    def load(self, split_column: str | None = None) -> Dataset:
        found = self._source(split_column)
        labels = self._labels(found)
        targets = () if labels else self._targets(found)
        adapter = self._adapter(found, labels)
        records = list(adapter.read(found.table, targets=targets, **self._options(found)))
        return Dataset(
            adapter=adapter,
            records=records,
            targets=adapter.token_targets or targets,
            source=self.source,
            simulated=self.source == SIMULATED,
            labels=None if split_column is None else self._split(found, records, split_column),
            notes=(*found.notes, *reader.remarks(records)),
        )

    def _options(self, found: "_Source") -> dict[str, Any]:
        """Of the reader: those of a card, unless something else is asked for."""
        asked = {name: value for name in READER if (value := getattr(self, name)) is not None}
        inputs = READER[:3] if asked.keys() & set(READER[:3]) else ()
        return {name: value for name, value in found.options.items() if name not in inputs} | asked

    def _adapter(self, found: "_Source", labels: dict[str, list[str]]) -> Protein:
        wild_type = _wild_type(self.wild_type) or found.wild_type
        return Protein(
            wild_type=wild_type,
            first=found.first if self.first is None else self.first,
            substitutions=self.substitutions,
            aligned=self.aligned,
            coordinates=self.coordinates,
            features=tuple(column_names(self.features, found.table)),
            describe=not wild_type and not labels,
            labels=labels,
        )

    def _labels(self, found: "_Source") -> dict[str, list[str]]:
        """Labels with their classes, none of numbers; those of a card unless something else is asked for."""
        if self.targets:
            return {}
        names = column_names(self.labels, found.table) or list(found.labels)
        return {
            name: list(found.labels[name])
            if name in found.labels
            else annotations.classes(column_of(found.table, name, "label"), name)
            for name in names
        }

    def _targets(self, found: "_Source") -> tuple[Target, ...]:
        names, known = column_names(self.targets, found.table) or list(found.targets), found.targets
        if known.keys() >= set(names) and not self.kinds and not self.units:
            return tuple(known[name] for name in names)
        units = {name: known[name].unit for name in names if name in known} | self.units
        return infer_targets(found.table, names, self.kinds, units)

    def _source(self, split_column: str | None) -> "_Source":
        if self.source == SIMULATED:
            note = "These proteins and their properties are simulated: they demonstrate the program, not biology."
            known = {target.name: target for target in simulate.TARGETS}
            return _Source(simulate.simulate(self.rows, seed=0), targets=known, options={"id": "id"}, notes=(note,))
        if card := cards.meant(self.source, Protein.name, "proteins"):
            return self._card(card)
        if self.part:
            raise ValueError(f"data.part {self.part!r} is for data cards, and {self.source} is none; leave it out")
        cards.check_file(self.source, SIMULATED)
        if not self.targets and not self.labels:
            raise ValueError(
                "name the columns to predict: --data.targets COLUMN[,COLUMN...], or --data.labels COLUMN for an answer "
                "per residue"
            )
        text = [name for name in (self.sequence, self.variant, self.id, self.mask, split_column) if name]
        texts = [*text, *column_names(self.labels), *column_names(self.features)]
        return _Source(load_table(self.source, sep=self.sep, text=texts))

    def _card(self, card: cards.Card) -> "_Source":
        options = dict(card.read)
        return _Source(
            cards.load(card.name, self.part),
            targets={target.name: target for target in card.targets()},
            labels={column.name: column.classes for column in card.roles("label")},
            wild_type=options.pop("wild_type", ""),
            first=options.pop("first", 1),
            options=options,
            validation=next((column.name for column in card.roles("validation")), None),
            notes=card.traps,
        )

    def _split(self, found: "_Source", records: Sequence[Record], name: str) -> dict[str, str]:
        """Key to the text of the split column; its training rows that are marked as such are validation rows."""
        column = column_of(found.table, name, "split").fillna("").astype(str).str.strip()
        if validation := self.validation or found.validation:
            marks = column_of(found.table, validation, "validation").astype(str).str.strip().str.lower()
            column = column.mask(marks.isin(_TRUE) & (column.str.lower() == "train"), "validation")
        return dict(zip((record.key for record in records), column, strict=True))


@dataclass(frozen=True)
class _Source:
    """A table, and what is known of it."""

    table: pd.DataFrame
    targets: Mapping[str, Target] = field(default_factory=dict)
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    wild_type: str = ""
    first: int = 1
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the reader."""
    validation: str | None = None
    notes: tuple[str, ...] = ()


def _wild_type(text: str) -> str:
    """A sequence, or that of a FASTA file of one record."""
    if "." not in text and "/" not in text:
        return re.sub(r"\s", "", text).upper()
    table = load_table(text)
    if "sequence" not in table or len(table) != 1:
        raise ValueError(f"data.wild_type {text} must hold one sequence in FASTA, got {len(table)} rows")
    return str(table["sequence"].iloc[0]).upper()
