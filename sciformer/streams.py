"""Streams of records without answers: what each reads, and what is learned from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from sciformer.adapter import DomainAdapter, Record
from sciformer.data.batching import BatchConfig
from sciformer.data.dataset import DataConfig, Dataset
from sciformer.data.splits import SplitConfig, make_splits

if TYPE_CHECKING:
    from sciformer.data.examples import Examples
    from sciformer.recipe import Say

Objective = Literal["masked", "descriptors", "forecast"]


HELD_OUT = SplitConfig(fractions=(0.98, 0.02, 0.0, 0.0), calibration_share=0.0)
"""A fiftieth of the records is not learned from, to see how well they are known all the same."""


@dataclass(frozen=True)
class Stream:
    """Records of one source, and what is learned from them.

    Attributes:
        objective: "masked" hides some tokens and asks for their content; "descriptors" asks for numbers about the whole
            record, which the domain computes; "forecast" hides the end of a series, or gaps, and asks for what was
            measured there, each measurement weighed by its error.
        weight: How many of the batches are its own, relative to the other streams.
        share: Of the tokens, that is hidden by "masked".
        batch: How its records are put together.
    """

    data: DataConfig
    split: SplitConfig = field(default_factory=lambda: HELD_OUT)
    objective: Objective = "masked"
    weight: float | int = 1.0
    share: float = 0.15
    batch: BatchConfig = field(default_factory=BatchConfig)


@dataclass(frozen=True)
class Source:
    """The records of a stream after the split, as its domain reads them."""

    dataset: Dataset
    parts: Mapping[str, Sequence[Record]]

    @property
    def adapter(self) -> DomainAdapter:
        return self.dataset.adapter


def sources_of(streams: Mapping[str, Stream], say: "Say") -> dict[str, Source]:
    """What each stream reads. Streams of the same data and split share it; those of one domain go by one schema."""
    reads = {name: (stream.data, stream.split) for name, stream in streams.items()}
    first = {name: next(other for other in reads if reads[other] == reads[name]) for name in reads}
    datasets = {
        name: streams[name].data.load(streams[name].split.column).unlabelled() for name in dict.fromkeys(first.values())
    }
    sources: dict[str, Source] = {}
    for name, dataset in datasets.items():
        alike = [other.adapter for other in datasets.values() if other.adapter.name == dataset.adapter.name]
        joined = replace(dataset, adapter=dataset.adapter.alongside(alike))
        source = sources[name] = _source(joined, streams[name].split)
        counts = {part: len(records) for part, records in source.parts.items() if records}
        told = ", ".join(f"{count} {part}" for part, count in counts.items())
        say(f"{dataset.source}: {len(dataset.records)} records, {told}")
        for note in dataset.notes:
            say(f"Note: {note}")
    return {name: sources[same] for name, same in first.items()}


def _source(dataset: Dataset, split: SplitConfig) -> Source:
    records = [record for record in dataset.records if record.ok]
    if not records:
        problem = dataset.records[0].problem if dataset.records else "it is empty"
        raise ValueError(f"nothing in {dataset.source} can be read: {problem}")
    adapter = dataset.adapter
    splits = make_splits(records, split, adapter.groupings(records), dataset.labels, adapter.orders())
    by_key = {record.key: record for record in records}
    parts = {part: [by_key[key] for key in keys] for part, keys in splits.parts.items()}
    return Source(replace(dataset, adapter=adapter.fitted(parts["train"])), parts)


@dataclass(frozen=True)
class Read:
    """The examples of a source, which all its streams share."""

    train: "Examples"
    validation: "Examples"
    names: tuple[str, ...]
    """The numbers that its records are described by, where a stream asks for them."""


def read_sources(streams: Mapping[str, Stream], sources: Mapping[str, Source], say: "Say") -> dict[str, Read]:
    """By stream; the tokens and descriptors of a source are made once."""
    from sciformer.data.examples import Examples

    found: dict[int, Read] = {}
    for source in sources.values():
        if id(source) in found:
            continue
        objectives = [streams[name].objective for name, same in sources.items() if same is source]
        parts, names = source.parts, ()
        if "descriptors" in objectives:
            say(f"Computing the descriptors of {sum(map(len, parts.values()))} records")
            parts, names = _described(source)
        train, validation = (Examples.of_records(source.adapter, parts[part]) for part in ("train", "validation"))
        found[id(source)] = Read(train, validation, names)
    return {name: found[id(source)] for name, source in sources.items()}


LEAST_KNOWN = 0.5
"""Share of the training records of which a descriptor is known, for it to be learned."""


def _described(source: Source) -> tuple[dict[str, list[Record]], tuple[str, ...]]:
    """The records with their descriptors as targets, and which those are: known of most and not always the same."""
    tables = {part: source.adapter.described(records) for part, records in source.parts.items()}
    train = tables["train"]
    if train is None:
        raise ValueError(f"records of the domain {source.adapter.name!r} have no descriptors: choose another objective")
    varies = train.std() > 1e-6 * train.abs().max()
    names = tuple(train.columns[varies & (train.notna().mean() >= LEAST_KNOWN)])
    return {part: answered(records, tables[part][list(names)]) for part, records in source.parts.items()}, names


def answered(records: Sequence[Record], table: Any) -> list[Record]:
    """The records with the numbers in the rows of a ``pandas.DataFrame`` as targets, those that are known."""
    rows = [{name: x for name, x in row.items() if x == x} for row in table.to_dict("records")]
    return [replace(record, targets=row) for record, row in zip(records, rows, strict=True)]
