"""Molecules without answers, for pretraining: every structure once, those that are tested elsewhere left out."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sciformer.adapter import Record
from sciformer.data import cards
from sciformer.data.dataset import DataConfig, Dataset
from sciformer.domains.molecule.adapter import Molecule
from sciformer.domains.molecule.scaffold import structure, uncharged


@dataclass(frozen=True)
class MoleculeCorpus(DataConfig):
    """Where the molecules come from.

    Attributes:
        source: A file (CSV, TSV, Parquet, .smi, SDF; .gz too) or the name of a data card (see ``sciformer data list``).
        smiles: Column of the SMILES; found by its name where not given.
        apart: Files or data cards, separated by commas, whose molecules are left out, whatever their charge and their
            stereochemistry: what a fine-tuned model is tested on shall be new to it.
        max_atoms: Larger molecules are left out.
        rows: At most so many rows are read; 0 reads all.
    """

    source: str = "zinc_smiles"
    smiles: str | None = None
    apart: str = ""
    max_atoms: int = 128
    rows: int = 0

    def __post_init__(self):
        if self.rows < 0:
            raise ValueError(f"data.rows must be 0 (all) or a number of rows, got {self.rows}")

    def load(self, split_column: str | None = None) -> Dataset:
        if split_column:
            raise ValueError("molecules of a corpus are split at random or by scaffold, not by a column")
        adapter = Molecule(max_atoms=self.max_atoms)
        anything = Molecule()  # what is tested elsewhere may be larger
        tested = {uncharged(r) for name in self._apart for r in _records(anything, name, None) if r.ok}
        records, met, copies, left_out = [], set(), 0, 0
        for record in itertools.islice(_records(adapter, self.source, self.smiles), self.rows or None):
            if record.ok:
                if (same := structure(record)) in met:
                    copies += 1
                    continue
                met.add(same)
                if tested and uncharged(record) in tested:
                    left_out += 1
                    continue
            records.append(record)
        counts = {f"are in {self.apart}": left_out, "are copies of others": copies}
        notes = tuple(f"{count} molecules {why}: left out" for why, count in counts.items() if count)
        return Dataset(adapter=adapter, records=records, targets=(), source=self.source, notes=notes)

    @property
    def _apart(self) -> list[str]:
        return [name.strip() for name in self.apart.split(",") if name.strip()]


def _records(adapter: Molecule, source: str, smiles: str | None) -> Iterator[Record]:
    options = {} if smiles is None else {"smiles": smiles}
    if card := cards.meant(source, Molecule.name, "molecules"):
        return adapter.read(cards.load(card.name), **{**card.read, **options})
    cards.check_file(source)
    return adapter.read(Path(source), **options)
