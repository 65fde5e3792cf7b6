"""The molecule domain as the rest of the package sees it."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from sciformer.adapter import Baseline, DomainAdapter, Record
from sciformer.domains.molecule import reader, tokenizer
from sciformer.tokens import Schema, Tokens


@dataclass(frozen=True)
class Molecule(DomainAdapter):
    """Small molecules: ``Record.data`` is an ``rdkit.Chem.Mol``, atoms are tokens.

    Raises ``ValueError`` when a field is out of range.
    """

    name: ClassVar[str] = "molecule"
    symmetries: ClassVar[tuple[str, ...]] = ("permutation", "translation")
    extensive: ClassVar[bool] = True
    noun: ClassVar[str] = "molecule"

    max_atoms: int = 512
    """Larger molecules are refused: memory grows with the square of the number of atoms."""
    max_hops: int = 10
    """Topological distances above this share one category."""

    def __post_init__(self):
        if self.max_atoms < 1:
            raise ValueError(f"max_atoms must be at least 1, got {self.max_atoms}")
        if not 1 <= self.max_hops <= 250:
            raise ValueError(f"max_hops must lie in 1..250, got {self.max_hops}")

    @functools.cached_property
    def schema(self) -> Schema:
        return tokenizer.schema(self.max_hops)

    def read(self, source: Any, **columns: Any) -> Iterator[Record]:
        """Records of a table, file, SMILES or molecules; see ``reader.read`` for the options."""
        return reader.read(source, max_atoms=self.max_atoms, **columns)

    def table(
        self, source: Any, *, smiles: str | None = None, id: str | None = None, targets: Any = (), **file_options: Any
    ) -> Any:
        """Columns of a file row by row, cells of a text file as they stand there, molecules as SMILES;
        a table as it is; None for other sources. Options that choose columns change nothing here."""
        from rdkit import Chem

        from sciformer.domains.molecule.table import Unreadable, load_table

        if isinstance(source, pd.DataFrame):
            return source
        if not isinstance(source, Path):
            return None
        table = load_table(source, text=None, **file_options)
        if "mol" in table and table["mol"].map(lambda cell: isinstance(cell, Chem.Mol | Unreadable)).all():
            table["mol"] = [None if isinstance(m, Unreadable) else Chem.MolToSmiles(m) for m in table["mol"]]
            table = table.rename(columns={} if "smiles" in table else {"mol": "smiles"})
        return table

    def tokenize(self, record: Record) -> Tokens:
        if not record.ok:
            raise ValueError(f"record {record.key!r} cannot be tokenised: {record.problem}")
        return tokenizer.tokenize(record.data, self.name, self.max_hops)

    def augment(self, tokens: Tokens, rng: np.random.Generator) -> Tokens:
        """Turned at random in space where the molecule has 3D coordinates."""
        return tokenizer.rotate(tokens, rng)

    def continuing(self, saved: DomainAdapter) -> DomainAdapter:
        assert isinstance(saved, Molecule)
        return dataclasses.replace(self, max_hops=saved.max_hops)

    def described(self, records: Sequence[Record]) -> pd.DataFrame:
        """All descriptors of RDKit."""
        from sciformer.domains.molecule import baseline

        return baseline.descriptor_table(records)

    def token_names(self, record: Record) -> list[str]:
        return [f"{atom.GetSymbol()}{atom.GetIdx()}" for atom in record.data.GetAtoms()]

    def groupings(self, records: Sequence[Record]) -> Mapping[str, Callable[[Record], str]]:
        from sciformer.domains.molecule import scaffold

        return {"scaffold": scaffold.bemis_murcko, "structure": scaffold.structure}

    def nearest(self, queries: Sequence[Record], references: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
        from sciformer.domains.molecule import similarity

        return similarity.nearest(queries, references)

    def baselines(self) -> Sequence[Baseline]:
        from sciformer.domains.molecule import baseline

        return baseline.baselines()

    def depict(self, record: Record, weights: Sequence[float] | None = None) -> str | None:
        from sciformer.domains.molecule import depict

        return depict.depict(record, weights)
