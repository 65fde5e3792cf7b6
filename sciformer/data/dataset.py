"""What a recipe is told to read, and what comes of it."""

import abc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sciformer.adapter import DomainAdapter, Record
from sciformer.tokens import Target, Tokens


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Records of one source, unreadable ones included, with what is to be predicted."""

    adapter: DomainAdapter
    records: Sequence[Record]
    targets: tuple[Target, ...]
    source: str
    simulated: bool = False
    labels: Mapping[str, str] | None = None
    """Key to the text of the split column, where one was asked for."""
    notes: tuple[str, ...] = ()
    """What a reader of the results must know of these data."""
    augment: Callable[[Tokens, np.random.Generator], Tokens] | None = None
    """Variants for training, where they are chosen with the data; else those of the adapter."""
    truncated: bool = False
    """Whether these variants may end early, so that the model learns to answer before a record is complete."""

    @property
    def by_token(self) -> bool:
        """Whether the targets are those of every token, which the tokens bring along, and not of the records."""
        return bool(self.adapter.token_targets)

    def usable(self, record: Record) -> bool:
        """Whether a record is readable and labelled, if there is something to be labelled."""
        return record.ok and (
            self.adapter.labelled(record) if self.by_token else bool(record.targets) or not self.targets
        )

    def unlabelled(self) -> "Dataset":
        """The same records without answers."""
        return replace(self, targets=(), records=[replace(record, targets={}) for record in self.records])


class DataConfig(abc.ABC):
    """The ``data`` part of a recipe. Implementations are frozen dataclasses, whose fields become options."""

    @abc.abstractmethod
    def load(self, split_column: str | None = None) -> Dataset:
        """Read everything.

        Raises ``ValueError`` or ``OSError`` with one clear line where the source or a target is unusable.
        """
