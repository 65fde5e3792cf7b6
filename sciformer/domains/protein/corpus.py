"""Proteins without answers, for pretraining: every sequence once, long ones in pieces."""

import itertools
from dataclasses import dataclass, field

import pandas as pd

from sciformer.data import cards
from sciformer.data.dataset import DataConfig, Dataset
from sciformer.data.targets import column_names, column_of, find_column, listed
from sciformer.domains.protein.adapter import Protein
from sciformer.domains.protein.table import SEQUENCE_NAMES, load_table


@dataclass(frozen=True)
class ProteinCorpus(DataConfig):
    """Where the proteins come from.

    Attributes:
        source: A file (FASTA, CSV, TSV, Parquet; .gz too) or the name of a data card (see ``sciformer data list``).
        sequence: Column of the sequences; found by its name where not given.
        apart: By column the values, separated by commas, whose rows are left out, as in --data.apart.species
            "Escherichia coli": what a fine-tuned model is tested on shall be new to it.
        longest: Longer sequences are cut into pieces of at most so many residues, each read as if it were a whole one.
        shortest: Shorter sequences and pieces are left out.
        rows: At most so many sequences are kept, the first ones; 0 keeps all.
    """

    source: str = "proteomes"
    sequence: str | None = None
    apart: dict[str, str] = field(default_factory=dict)
    longest: int = 384
    shortest: int = 20
    rows: int = 0

    def __post_init__(self):
        if not 1 <= self.shortest <= self.longest:
            raise ValueError(f"shortest must be at least 1 and at most longest, got {self.shortest} and {self.longest}")

    def load(self, split_column: str | None = None) -> Dataset:
        if split_column:
            raise ValueError("proteins of a corpus are split at random, not by a column")
        table = self._table()
        kept = table
        for column, values in self.apart.items():
            names = column_names(values)
            here = column_of(kept, column, "apart").astype(str)
            if absent := [name for name in names if name not in set(here)]:
                raise ValueError(f"no row of {self.source} has {absent[0]!r} in column {column!r}: check data.apart")
            kept = kept[~here.isin(names)]
        sequences = kept[self._column(table)].dropna().astype(str).drop_duplicates()
        chosen = sequences.iloc[: self.rows or None]
        pieces = pd.Series([piece for text in chosen for piece in self._pieces(text)], dtype=object)
        adapter = Protein()
        records = list(adapter.read(pd.DataFrame({"sequence": pieces})))
        lost = {
            f"rows are left out by {', '.join(self.apart)}": len(table) - len(kept),
            "rows repeat the sequence of another: left out": len(kept) - len(sequences),
        }
        notes = tuple(f"{count} {why}" for why, count in lost.items() if count)
        return Dataset(adapter=adapter, records=records, targets=(), source=self.source, notes=notes)

    def _table(self) -> pd.DataFrame:
        if card := cards.meant(self.source, Protein.name, "proteins"):
            return cards.load(card.name)
        cards.check_file(self.source)
        return load_table(self.source)

    def _column(self, table: pd.DataFrame) -> str:
        names = [str(name) for name in table.columns]
        if self.sequence:
            return find_column(names, self.sequence, "sequence")
        found = [name for name in names if name.lower() in SEQUENCE_NAMES]
        if not found:
            raise ValueError(
                f"no column of {self.source} is called like sequences: name it with data.sequence; columns: "
                f"{listed(names)}"
            )
        return found[0]

    def _pieces(self, text: str) -> list[str]:
        """Pieces of like length: a last one of a few residues would say little."""
        count = -(-len(text) // self.longest)
        ends = [round(i * len(text) / count) for i in range(count + 1)]
        return [text[a:b] for a, b in itertools.pairwise(ends) if b - a >= self.shortest]
