"""The ``data`` options of a molecule recipe: a file, a data card, or the simulated molecules."""

from dataclasses import dataclass, field

import pandas as pd

from sciformer.data import cards
from sciformer.data.dataset import DataConfig, Dataset
from sciformer.data.targets import column_names, column_of, infer_targets
from sciformer.domains.molecule import simulate
from sciformer.domains.molecule.adapter import Molecule
from sciformer.domains.molecule.table import load_table
from sciformer.tokens import Target

SIMULATED = "simulated"


@dataclass(frozen=True)
class MoleculeData(DataConfig):
    """Where the molecules come from.

    Attributes:
        source: A file (CSV, TSV, Parquet, .smi, SDF; .gz too), the name of a data card (see
            ``sciformer data list``), or "simulated" for molecules made up on the spot.
        smiles: Column of the SMILES; found by its name where not given.
        id: Column that names the rows; without it rows are numbered from 1.
        targets: Columns to predict, separated by commas (or a YAML list).
        kinds: Kind of a target (regression, binary, multiclass) where it is not the one inferred.
        units: Unit of a target, by column.
        sep: Separator of a text table; found where not given.
        max_atoms: Larger molecules are refused.
        rows: How many molecules to simulate.
    """

    source: str = SIMULATED
    smiles: str | None = None
    id: str | None = None
    targets: list[str] | str = ""
    kinds: dict[str, str] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    sep: str | None = None
    max_atoms: int = 512
    rows: int = 2000

    def load(self, split_column: str | None = None) -> Dataset:
        adapter = Molecule(max_atoms=self.max_atoms)
        table, known, options, notes = self._table(split_column)
        names = column_names(self.targets, table)
        targets = tuple(known[name] for name in names) if names and known.keys() >= set(names) else ()
        if self.kinds or self.units or not targets:
            targets = infer_targets(table, names or list(known), self.kinds, self._units(names, known))
        options |= {key: value for key, value in (("smiles", self.smiles), ("id", self.id)) if value is not None}
        records = list(adapter.read(table, targets=targets, **options))
        labels = None
        if split_column is not None:
            column = column_of(table, split_column, "split").fillna("").astype(str).str.strip()
            labels = dict(zip((record.key for record in records), column, strict=True))
        return Dataset(
            adapter=adapter,
            records=records,
            targets=targets,
            source=self.source,
            simulated=self.source == SIMULATED,
            labels=labels,
            notes=notes,
        )

    def _table(self, split_column: str | None) -> tuple[pd.DataFrame, dict[str, Target], dict, tuple[str, ...]]:
        """The table, the targets it is known to have, options of the reader, and what is known to be wrong."""
        if self.source == SIMULATED:
            note = "These molecules and their properties are simulated: they demonstrate the program, not chemistry."
            return simulate.simulate(self.rows, seed=0), {t.name: t for t in simulate.TARGETS}, {}, (note,)
        if card := cards.meant(self.source, Molecule.name, "molecules"):
            return cards.load(card.name), {t.name: t for t in card.targets()}, dict(card.read), card.traps
        cards.check_file(self.source, SIMULATED)
        if not self.targets:
            raise ValueError("name the columns to predict: --data.targets COLUMN[,COLUMN...]")
        labels = [split_column] if split_column else []
        return load_table(self.source, sep=self.sep, text=[*([self.id] if self.id else []), *labels]), {}, {}, ()

    def _units(self, names: list[str], known: dict[str, Target]) -> dict[str, str]:
        return {name: known[name].unit for name in names or known if name in known} | self.units
