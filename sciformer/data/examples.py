"""Examples that are made when they are asked for, so that the tokens of long series need not fit into memory."""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from torch import Tensor

from sciformer.adapter import DomainAdapter, Record
from sciformer.data.fingerprint import Trace, trace
from sciformer.tokens import Example

ROOM = 2**30
"""Bytes of tokens that a run keeps."""


class Examples(Sequence[Example]):
    """So many examples, each made by ``make`` from its place.

    The first ones are kept, up to ``room`` bytes: an epoch asks for each of them once, so none is worth more than
    another, and most data fit in whole. Of the others only the traces stay.
    """

    def __init__(
        self, make: Callable[[int], Example], count: int, *, measured: Sequence[int] = (), room: float | int = math.inf
    ):
        """``measured``: the value columns by which a record is known again (see ``mark``)."""
        self._make, self._count, self._measured, self._left = make, count, tuple(measured), room
        self._kept: dict[int, Example] = {}
        self._traces: dict[int, Trace] = {}

    @classmethod
    def of(cls, examples: Sequence[Example]) -> "Examples":
        """Those that are there already."""
        return examples if isinstance(examples, Examples) else cls(examples.__getitem__, len(examples), room=0)

    @classmethod
    def of_records(cls, adapter: DomainAdapter, records: Sequence[Record], room: float | int = ROOM) -> "Examples":
        """Readable records, tokenised."""
        make = functools.partial(_made, adapter, records)
        return cls(make, len(records), measured=adapter.schema.measured, room=room)

    @classmethod
    def joined(cls, parts: Iterable[Sequence[Example]]) -> "Examples":
        """Those of several parts, one part after the other; none is kept a second time."""
        places = [(part, place) for part in parts for place in range(len(part))]
        return cls(lambda place: places[place][0][places[place][1]], len(places), room=0)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Example]:
        """Not by asking until an ``IndexError`` comes: one of the maker's own would look like the end."""
        return (self._at(place) for place in range(self._count))

    def __getitem__(self, place: Any) -> Any:
        places = range(self._count)[place]
        return self._at(places) if isinstance(places, int) else [self._at(i) for i in places]

    def _at(self, place: int) -> Example:
        if place in self._kept:
            return self._kept[place]
        example = self._make(place)
        if place not in self._traces:
            self._traces[place] = trace(example, self._measured)
        if (size := memory(example)) <= self._left:
            self._kept[place] = example
            self._left -= size
        return example

    @property
    def traces(self) -> list[Trace]:
        """What is remembered of every example; those that nobody asked for yet are made for it, one by one."""
        for place in range(self._count):
            if place not in self._traces:
                self._at(place)
        return [self._traces[place] for place in range(self._count)]


def memory(example: Example) -> int:
    """Bytes of its tokens."""
    return sum(x.nbytes for tokens in example.tokens.values() for x in vars(tokens).values() if isinstance(x, Tensor))


def shares(examples: Iterable[Example], room: int) -> Iterator[list[Example]]:
    """Examples in their order, as many at a time as ``room`` bytes hold, but at least one."""
    held: list[Example] = []
    size = 0
    for example in examples:
        if held and size + memory(example) > room:
            yield held
            held, size = [], 0
        held.append(example)
        size += memory(example)
    if held:
        yield held


def _made(adapter: DomainAdapter, records: Sequence[Record], place: int) -> Example:
    return example_of(adapter, records[place])


def example_of(adapter: DomainAdapter, record: Record) -> Example:
    """A readable record, tokenised and with what is known of its answers."""
    return Example(key=record.key, tokens={adapter.name: adapter.tokenize(record)}, targets=record.targets)
