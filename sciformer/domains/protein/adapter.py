"""The protein domain as the rest of the package sees it."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from torch import nn

from sciformer.adapter import Baseline, DomainAdapter, Record, TokenBaseline
from sciformer.domains.protein import reader, tokenizer, variants
from sciformer.domains.protein.alphabet import encode
from sciformer.domains.protein.chains import changes
from sciformer.domains.protein.tokenizer import Layout
from sciformer.nn.embed import ColumnEmbedder
from sciformer.tokens import Schema, Target, Tokens


@dataclass(frozen=True)
class Protein(DomainAdapter):
    """Proteins: ``Record.data`` is a ``Chains``; residues are tokens, or the substitutions of a variant are.

    Raises ``ValueError`` for a wild type with other letters than amino acids, or for ``substitutions`` without one.
    """

    name: ClassVar[str] = "protein"
    symmetries: ClassVar[tuple[str, ...]] = ("translation", "shift")

    part_noun: ClassVar[str] = "residue"

    wild_type: str = ""
    """The sequence that variants are compared with: every token then says what stood at its site."""
    first: int = 1
    """Number of the first residue of the wild type in the notation of variants (``A23G``)."""
    substitutions: bool = False
    """Read the substitutions of a variant alone, which is much faster: the rest of the sequence is the same for all."""
    aligned: bool = False
    """Places on the order axis are columns of an alignment, gaps counted."""
    coordinates: bool = False
    """C-alpha positions are read too, where a record has them."""
    features: tuple[str, ...] = ()
    """Numbers per residue that every record brings along."""
    descriptors: tuple[str, ...] = ()
    """Numbers about the whole sequence, said by ``<start>``; chosen by ``fitted``."""
    describe: bool = False
    """Whether ``fitted`` chooses all descriptors that vary."""
    identity: float | int = 0.3
    """Share of identical residues from which two sequences stay together in a split of kind ``identity``."""
    changing: tuple[int, ...] = ()
    """Places, from 0, where variants of the training part differ from the wild type, the most variable first; found by
    ``fitted``."""
    labels: dict[str, list[str]] = field(default_factory=dict)
    """Answers per residue: the classes by name, none for a number."""
    periods: tuple[float, ...] = ()
    """Of the order axis, in residues, where published weights bring their own (``sciformer.esm``)."""
    dropped: float | int = 0.0
    """Share of the residues that was hidden while published weights were trained; see ``ColumnEmbedder``."""

    def __post_init__(self):
        if self.wild_type:
            encode(self.wild_type)
        elif self.substitutions:
            raise ValueError(
                "the substitutions of a variant are only known with its wild type: give --data.wild_type SEQUENCE "
                "(train) or wild_type= (Python)"
            )
        if not 0 < self.identity <= 1:
            raise ValueError(f"identity must lie above 0 and be at most 1, got {self.identity}")
        if not 0 <= self.dropped < 1:
            raise ValueError(f"the share of hidden residues must lie in [0, 1), got {self.dropped}")
        if not all(period > 0 for period in self.periods):
            raise ValueError(f"periods of the order axis must be positive, got {min(self.periods)}")

    @property
    def extensive(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The effect of a variant is, at first, the sum of those of its substitutions."""
        return bool(self.wild_type)

    @functools.cached_property
    def layout(self) -> Layout:
        return Layout(
            self.wild_type,
            self.substitutions,
            self.coordinates,
            self.features,
            self.descriptors,
            self.token_targets,
            self.periods,
        )

    @property
    def schema(self) -> Schema:
        return self.layout.schema

    @property
    def token_targets(self) -> tuple[Target, ...]:
        return tuple(
            Target(name, "multiclass" if len(classes) > 2 else "binary", classes=tuple(classes))
            if classes
            else Target(name)
            for name, classes in self.labels.items()
        )

    def read(self, source: Any, **columns: Any) -> Iterator[Record]:
        """Records of sequences, variants or structures; see ``reader.read`` for the options."""
        return reader.read(
            source,
            **{"wild_type": self.wild_type, "first": self.first, "aligned": self.aligned, **columns},
            features=self.features,
            labels=self.token_targets,
        )

    def table(self, source: Any, **columns: Any) -> Any:
        return reader.table(source, **columns)

    def remarks(self, records: Sequence[Record]) -> list[str]:
        return reader.remarks(records)

    def facts(self) -> list[str]:
        if not self.wild_type:
            return []
        told = f"Variants of {self.wild_type} ({len(self.wild_type)} residues, the first numbered {self.first})"
        numbers = ", ".join(str(i + self.first) for i in sorted(self.changing))
        return [f"{told}; sites that varied in training: {numbers or 'unknown'}"]

    def continuing(self, saved: DomainAdapter) -> DomainAdapter:
        assert isinstance(saved, Protein)
        if saved.wild_type and saved.wild_type != self.wild_type:
            raise ValueError(
                f"the checkpoint was trained on variants of {saved.wild_type}: its sites are not those of other "
                "proteins; give the same data.wild_type or start from another checkpoint"
            )
        return dataclasses.replace(self, periods=saved.periods, dropped=saved.dropped)

    def fitted(self, records: Sequence[Record]) -> DomainAdapter:
        if self.wild_type:
            return dataclasses.replace(self, changing=variants.changing(records, self.wild_type))
        if not self.describe:
            return self
        from sciformer.domains.protein.descriptors import varying

        return dataclasses.replace(self, descriptors=varying([record.data.residues for record in records]))

    def tokenize(self, record: Record) -> Tokens:
        if not record.ok:
            raise ValueError(f"record {record.key!r} cannot be tokenised: {record.problem}")
        return tokenizer.tokenize(record.data, self.layout, self.name)

    def embedder(self, width: int) -> nn.Module:
        return ColumnEmbedder(self.schema, width, self.dropped)

    def augment(self, tokens: Tokens, rng: np.random.Generator) -> Tokens:
        """Turned at random in space where there are coordinates."""
        return tokenizer.turned(tokens, rng) if self.coordinates else tokens

    def token_names(self, record: Record) -> list[str]:
        return tokenizer.names(record.data, self.layout)

    def labelled(self, record: Record) -> bool:
        return any(not np.isnan(values).all() for values in record.data.labels.values())

    def parts(self, record: Record) -> pd.DataFrame:
        return tokenizer.residues(record.data, self.layout)

    def origin(self) -> Record | None:
        return next(iter(self.read(["WT"])), None) if self.wild_type else None

    def changed(self, record: Record) -> tuple[pd.DataFrame, Callable[[int], Record]]:
        """Every residue replaced by each of the other standard amino acids, one at a time."""
        return variants.singles(record)

    def varied(self, record: Record) -> list[str]:
        """Variants teach of the sites that they change; of proteins that are not variants of one, every site counts."""
        sites = variants.sites(record.data)
        return [sites[i] for i in self.changing] if self.wild_type else sites

    def groupings(self, records: Sequence[Record]) -> Mapping[str, Callable[[Record], str]]:
        """Clusters of related sequences; variants of one wild type are all of one."""
        from sciformer.domains.protein import clusters

        return {} if self.wild_type else {"identity": clusters.grouping(records, self.identity)}

    def orders(self) -> Mapping[str, Callable[[Record], float]]:
        """The number of substitutions of variants, the length of other sequences."""
        if self.wild_type:
            return {"mutations": lambda record: float(len(changes(record.data.residues, self.wild_type)))}
        return {"length": lambda record: float(len(record.data))}

    def nearest(self, queries: Sequence[Record], references: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
        from sciformer.domains.protein import similarity

        return similarity.nearest(queries, references, self.wild_type)

    def baselines(self) -> Sequence[Baseline]:
        from sciformer.domains.protein import baseline

        return baseline.baselines(self.wild_type)

    def token_baselines(self) -> Mapping[str, TokenBaseline]:
        from sciformer.domains.protein import baseline

        return baseline.token_baselines() if self.labels else {}

    def depict(self, record: Record, weights: Sequence[float] | None = None) -> str | None:
        from sciformer.domains.protein.depict import depict

        return depict(record, self.layout, weights)

    def depict_changes(self, effects: Any) -> str | None:
        from sciformer.domains.protein.depict import depict_changes

        return depict_changes(effects)

    def depict_parts(self, record: Record, target: Target, answers: Any) -> str | None:
        from sciformer.domains.protein.depict import depict_parts

        return depict_parts(record, target, answers)

    def depict_contacts(self, record: Record, ask: Callable[[Record], Any]) -> str | None:
        """Of whole sequences of moderate length."""
        from sciformer.domains.protein.depict import LONGEST, SHORTEST, depict_contacts

        if self.substitutions or not SHORTEST <= len(record.data) <= LONGEST:
            return None
        contacts = ask(record)
        return None if contacts is None else depict_contacts(contacts)
