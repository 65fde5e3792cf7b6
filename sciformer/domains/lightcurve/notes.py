"""What a user must know of light curves as they were read, and by which option to mend it."""

import re
from collections.abc import Mapping, Sequence

from sciformer.domains.lightcurve.curve import META, Curve

MORE = 0.1
"""Metadata may be known of so much smaller a share of the objects than in training before that is worth a line."""

_USUAL: Mapping[str, str] = dict(zip(META, ("hostz", "hostz_err", "mwebv"), strict=True))
"""A column that each of the metadata is read from, as an example."""


def option(name: str) -> str:
    """How an option of the reader is given: in analysis code, with a checkpoint, and in training."""
    return f"`{name}` (--columns.{name}; in training --data.{'' if name == 'objects' else 'columns.'}{name})"


def reading(curves: Sequence[Curve]) -> list[str]:
    """What the reader left out, converted or guessed. A count that differs between objects is left out; where other
    numbers differ, those of the first object stand for all."""
    kinds: dict[str, list[str]] = {}
    for curve in curves:
        for note in dict.fromkeys(curve.notes):
            kinds.setdefault(re.sub(r"\d[\d.,]*", "\0", note).removesuffix(": \0"), []).append(note)
    return [f"{objects(len(notes))}: {_told(kind, notes)}" for kind, notes in kinds.items()]


def _told(kind: str, notes: Sequence[str]) -> str:
    if len(set(notes)) == 1:
        return notes[0]
    return f"{notes[0]} (the first of them)" if "\0" in kind else kind


def lacking(curves: Sequence[Curve], learned: Mapping[str, float]) -> list[str]:
    """Metadata that far fewer of the objects have than the shares ``learned`` of the training objects."""
    lines: dict[tuple[int, str], list[str]] = {}
    for name, share in learned.items():
        without = sum(name not in curve.meta for curve in curves)
        if without > (1 - share + MORE) * len(curves):
            lines.setdefault((without, f"{share:.0%}"), []).append(f"{name} ({_USUAL[name]} or the like)")
    return [
        f"{n} of {objects(len(curves))} lack {' and '.join(names)}, which {share} of the training objects had: answers "
        f"are worse without; give the table of objects as {option('objects')}"
        for (n, share), names in lines.items()
    ]


def objects(n: int) -> str:
    return f"{n} object" + ("" if n == 1 else "s")
