"""What every trained model is, whatever it answers: an ensemble that reads the records of one domain.

Nothing global is touched: no seed, no logging, no thread count.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd
import torch
from torch import nn

from sciformer import hub
from sciformer.adapter import DomainAdapter, Record
from sciformer.calibration import LEVELS, Calibration, records_needed
from sciformer.data.batching import BatchConfig, length_pooled_batches
from sciformer.data.examples import shares
from sciformer.data.targets import label
from sciformer.model import Sciformer
from sciformer.tasks.base import Task
from sciformer.tokens import Batch, Example, Target, collate

MINIMUM = BatchConfig(records=256, tokens=16384, pairs=2**21)
"""Memory budget of a batch when nothing has to be kept for a gradient."""
HELD = 2**28
"""Bytes of tokens that are held at once while records are answered."""

T = TypeVar("T", bound=Task)


class Member(nn.Module, Generic[T]):
    """One model of an ensemble with its task: what the checkpoint calls ``members.<i>``."""

    def __init__(self, model: Sciformer, task: T):
        super().__init__()
        self.model = model
        self.task: T = task


@dataclass(frozen=True)
class Ensemble(Generic[T]):
    """Trained models with one task. All answers are in the units of the training data.

    Answers do not depend on batch size or on the order of the rows (beyond float32 rounding).
    """

    adapter: DomainAdapter
    members: Sequence[Member[T]]
    calibrations: Mapping[str, Calibration]
    """By the name of what is answered; what has none is answered with the model's own intervals."""
    level: float = 0.9
    path: Path | None = field(default=None, init=False, repr=False, compare=False)
    """The checkpoint that it was loaded from; of what was made in memory, or changed since, there is none."""

    def remember(self, path: Path) -> None:
        """Note the checkpoint that it was loaded from."""
        object.__setattr__(self, "path", path)  # not by the constructor, so that ``replace`` does not hand it on

    def push_to_hub(self, repository: str, *, licence: str = "", private: bool = False) -> str:
        """Publish the checkpoint that it was loaded from in the repository ``owner/name`` of the Hugging Face hub, and
        return its address, as ``sciformer.load`` reads it; see ``hub.push``.

        Raises ``ValueError`` where it is not as in any checkpoint.
        """
        if self.path is None:
            raise ValueError(
                "this model was made or changed in memory, and what is published are the files of a checkpoint: save "
                "it, load it from there and push that"
            )
        return hub.push(self.path, repository, licence=licence, private=private)

    @property
    def task(self) -> T:
        return self.members[0].task

    @property
    def answers(self) -> tuple[Target, ...]:
        """What is answered."""
        return self.task.answers

    @property
    def device(self) -> torch.device:
        return next(self.members[0].parameters()).device

    def read(self, source: Any, **columns: Any) -> list[Record]:
        """The records of a source; one that is not of the kind that the models learned cannot be answered."""
        records = self.adapter.read(source, **columns)
        return [replace(r, data=None, problem=why) if r.ok and (why := self.adapter.unlike(r)) else r for r in records]

    def notes(self, records: Sequence[Record], level: float) -> list[str]:
        """In words, what must be known of answers to these records at this level."""
        return [*self.adapter.remarks(records), *self.uncalibrated(level)]

    def uncalibrated(self, level: float) -> list[str]:
        """In words, the targets whose intervals or sets the calibration part cannot vouch for at this level."""
        lines = []
        for target in self.answers:
            known = self.calibrations.get(target.name)
            if known is None or not known.promises(level):
                n, what = (0, "record") if known is None else (known.n, known.counted)
                lines.append(
                    f"{target.name}: {n} calibration {what}s are too few to promise "
                    f"{level:.0%} coverage ({records_needed(level)} needed): not calibrated at this level"
                )
        return lines

    def embed(self, source: Any, **columns: Any) -> pd.DataFrame:
        """One vector per record: the mean of the backbone's token vectors (of the first model of an ensemble).

        Columns are ``0 .. width-1`` and the index is that of ``predict``. All are numbers, so that they can be
        computed with: an unreadable row is NaN, and ``predict`` says why.
        """
        records = self.read(source, **columns)
        return pd.DataFrame(self.vectors(records), index=index_of(self.adapter, source, records))

    def embed_parts(self, source: Any, **columns: Any) -> pd.DataFrame:
        """One vector per part of every readable record (residue, atom; of the first model of an ensemble), a row each:
        ``record``, what the domain calls the part, and ``0 .. width-1``."""
        records = self.read(source, **columns)
        labels = index_of(self.adapter, source, records)
        readable = [(label, record) for label, record in zip(labels, records, strict=True) if record.ok]
        model, tables = self.members[0].model, {}
        for rows, batch in self.batches(self.example(record) for _, record in readable):
            states = model(batch.tokens).states.double().cpu().numpy()
            for row, own in zip(rows, states, strict=True):
                part = self.adapter.parts(readable[row][1])
                vectors = pd.DataFrame(own[part.pop("token")], columns=[str(i) for i in range(own.shape[-1])])
                part.insert(0, "record", [readable[row][0]] * len(part))
                tables[row] = pd.concat([part.reset_index(drop=True), vectors], axis=1)
        return pd.concat([tables[row] for row in range(len(readable))], ignore_index=True) if tables else pd.DataFrame()

    def contacts(self, source: Any, **columns: Any) -> pd.DataFrame:
        """How much the parts of one record look at each other, both ways, beyond what each of them does anyway.

        The attention of all blocks, heads and models, averaged, made symmetric and corrected for the average of row and
        column (APC, Dunn et al. 2008, Bioinformatics 24, 333), as Rao et al. 2021 (ICLR) read contacts off protein
        language models. It is no probability, and of a model that was not trained on many sequences no evidence.

        Raises ``ValueError`` for several records, for one that is longer than the model reads at once, and for a
        backbone without attention.
        """
        return self.contacts_of(self.alone(source, **columns))

    def contacts_of(self, record: Record) -> pd.DataFrame:
        """``contacts`` of a readable record."""
        batch = collate([self.example(record)]).to(self.device)
        with torch.inference_mode():
            seen = torch.stack([member.model.attention(batch.tokens).mean((0, 2))[0] for member in self.members])
        places = self.adapter.parts(record)["token"].to_numpy()
        weights = seen.mean(0).double().cpu().numpy()[np.ix_(places, places)]
        weights = weights + weights.T
        expected = weights.sum(0, keepdims=True) * weights.sum(1, keepdims=True) / weights.sum()
        names = np.array(self.adapter.token_names(record), dtype=object)[places]
        return pd.DataFrame(weights - expected, index=names, columns=names)

    def alone(self, source: Any, **columns: Any) -> Record:
        """The one record of a source; where that is None, the one that all others are variants of.

        Raises ``ValueError`` where there is none, or none that is readable.
        """
        if source is None:
            if (record := self.adapter.origin()) is None:
                raise ValueError("this model was not trained on variants of one record: name a source of one record")
            return record
        records = self.read(source, **columns)
        if len(records) != 1:
            raise ValueError(f"one record is asked for, got {len(records)}")
        if not records[0].ok:
            raise ValueError(f"record {records[0].key!r} cannot be read: {records[0].problem}")
        return records[0]

    def vectors(self, records: Sequence[Record]) -> np.ndarray:
        """The rows of ``embed``."""
        readable = np.flatnonzero([record.ok for record in records])
        model = self.members[0].model
        out = np.full((len(records), model.config.width), np.nan)
        for rows, batch in self.batches(self.example(record) for record in records if record.ok):
            encoded = model(batch.tokens)
            exists = (encoded.sample >= 0).unsqueeze(-1).to(encoded.states.dtype)
            out[readable[rows]] = ((encoded.states * exists).sum(1) / exists.sum(1)).double().cpu().numpy()
        return out

    def example(self, record: Record) -> Example:
        """A readable record, tokenised and with what is known of its answers."""
        tokens = {self.adapter.name: self.adapter.whole(record)}
        return Example(key=record.key, tokens=tokens, targets=record.targets)

    def batches(self, examples: Iterable[Example]) -> Iterator[tuple[list[int], Batch]]:
        """Batches of similar length under the memory budget, with the rows they hold. No gradients inside."""
        start = 0
        for held in shares(examples, HELD):
            plan = length_pooled_batches(
                [example.size for example in held],
                range(len(held)),
                tokens=MINIMUM.tokens,
                records=MINIMUM.records,
                pairs=MINIMUM.pairs,
                pool=len(held),
            )
            with torch.inference_mode():
                for rows in plan:
                    yield [start + i for i in rows], collate([held[i] for i in rows]).to(self.device)
            start += len(held)


def status(record: Record) -> str:
    return record.problem or "ok"


def known_level(level: float | int) -> float:
    if level not in LEVELS:
        known = ", ".join(f"{x:g}" for x in LEVELS)
        raise ValueError(f"level must be one of {known}, got {level:g}")
    return float(level)


def index_of(adapter: DomainAdapter, source: Any, records: Sequence[Record]) -> pd.Index:
    """The labels of the records in tables of answers: those of the rows of a table if a row is a record, 0, 1, ...
    for a list, else the keys of the records, which are numbers where the ids of a table are."""
    if isinstance(source, pd.DataFrame | pd.Series) and not adapter.long:
        return source.index
    if isinstance(source, str | Path | Mapping) or (adapter.long and not isinstance(source, list | tuple)):
        keys = pd.Index([record.key for record in records], name="record")
        kind = _type_of_ids(source, records) if isinstance(source, pd.DataFrame) else None
        return keys if kind is None else keys.astype(kind)
    return pd.RangeIndex(len(records))


def _type_of_ids(table: pd.DataFrame, records: Sequence[Record]) -> Any:
    """That of the column of numbers whose cells are the keys of the records, if there is one."""
    keys, read = {record.key for record in records}, {record.key for record in records if record.ok}
    columns = table.reset_index().select_dtypes("number")
    for name in columns:
        cells = columns[name].dropna().unique()
        if len(cells) <= len(keys) and read <= {label(cell) for cell in cells} <= keys and all(map(str.isdigit, keys)):
            return columns[name].dtype
    return None
