"""The letters of proteins, and what is done with every other character.

The policy, for every way in:

==================  =========================================================================================
lower case          is made upper case (soft masking says nothing of the protein)
``U O B Z J X``     selenocysteine, pyrrolysine, Asx, Glx, Leu/Ile and unknown: letters of their own
``*``               at the end it is dropped (the stop of a translated gene); elsewhere it is a letter, a stop
``- .``             gaps of an alignment: no residues. They are dropped, and what stood there keeps its place on the
                    order axis where the sequences are read as ``aligned``
white space         dropped (sequences wrapped in blocks of ten)
anything else       makes the record unreadable, with the character and its position
==================  =========================================================================================
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt8

STANDARD = "ACDEFGHIKLMNPQRSTVWY"
UNUSUAL = "UOBZJX"
STOP = "*"
GAPS = "-."
LETTERS = STANDARD + UNUSUAL + STOP
START, END = "<start>", "<end>"
"""Tokens that stand before and behind the residues."""
LABELS = (*LETTERS, START, END)
"""Names of the ids 1, 2, ... of the residue column; id 0 is reserved for a hidden residue."""

_UNKNOWN = 255
_TABLE = np.full(256, _UNKNOWN, dtype=np.uint8)
for _i, _letter in enumerate(LETTERS, start=1):
    _TABLE[ord(_letter)] = _TABLE[ord(_letter.lower())] = _i


_IS_GAP = np.isin(np.arange(256), [ord(gap) for gap in GAPS])


class Cleaned(NamedTuple):
    """Residues, and where they stood."""

    residues: str
    """Upper case letters of ``LETTERS``."""
    places: Int64[np.ndarray, " n"]
    """Of the residues among all characters but white space, from 0: their columns in an alignment."""
    written: int
    """How many characters there were, gaps and the stop at the end included, white space not."""


def clean(text: str) -> Cleaned:
    """A sequence by the policy above.

    Raises ``ValueError`` naming the first character that is no letter and no gap, and its position from 1.
    """
    written = "".join(text.split())
    codes = np.frombuffer(written.encode("latin-1", errors="replace"), dtype=np.uint8)
    gaps = _IS_GAP[codes]
    _check(written, (_TABLE[codes] == _UNKNOWN) & ~gaps)
    places = np.flatnonzero(~gaps)
    letters = written.upper() if len(places) == len(written) else codes[places].tobytes().decode("ascii").upper()
    residues = letters.rstrip(STOP)
    return Cleaned(residues, places[: len(residues)], len(written))


def encode(residues: str) -> UInt8[np.ndarray, " n"]:
    """Ids of letters by one look-up.

    Raises ``ValueError`` naming the first character that is no letter, and its position from 1.
    """
    ids = _TABLE[np.frombuffer(residues.encode("latin-1", errors="replace"), dtype=np.uint8)]
    _check(residues, ids == _UNKNOWN)
    return ids


def _check(text: str, wrong: np.ndarray) -> None:
    if wrong.any():
        place = int(wrong.argmax())
        raise ValueError(f"{text[place]!a} at position {place + 1} is no amino acid; letters are {LETTERS}")
