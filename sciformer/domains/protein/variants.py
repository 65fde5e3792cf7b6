"""Variants in the notation of mutational scans: ``A23G`` is glycine in the place of the alanine with number 23."""

import dataclasses
import re
from bisect import bisect
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from Bio.SeqUtils import seq1

from sciformer.adapter import Record
from sciformer.domains.protein.alphabet import LETTERS, STANDARD
from sciformer.domains.protein.chains import Chains, changes

WILD_TYPE = frozenset({"", "=", "wt", "_wt", "p.=", "wild type", "wild-type", "wildtype"})
"""What the wild type itself is called, in lower case."""

_SEPARATORS = re.compile(r"[,:;/+\s]+")
_ONE = re.compile(r"([A-Z*])(-?\d+)([A-Z*=])", re.IGNORECASE)
_THREE = re.compile(r"([A-Z]{3})(-?\d+)([A-Z]{3}|[*=])", re.IGNORECASE)

Substitution = tuple[str, int, str]
"""Letter of the wild type, number of the residue, letter of the variant."""


def is_variant(text: str) -> bool:
    """Whether a text is a variant rather than a sequence, which has no digits."""
    return any(letter.isdigit() for letter in text) or text.strip().lower() in WILD_TYPE - {""}


def mutated(text: str, wild_type: str, first: int = 1) -> str:
    """The residues of a variant: substitutions joined by ``, : ; / +`` or white space, in one letter (``A23G``,
    ``K45*``) or three (``p.Ala23Gly``), numbered from ``first``; or a word of ``WILD_TYPE``.

    Raises ``ValueError`` naming the mutation that cannot be read, lies outside the wild type, contradicts it, or stands
    at the site of another.
    """
    residues = list(wild_type)
    mutations = substitutions(text)
    seen: dict[int, Substitution] = {}
    for mutation in mutations:
        old, number, new = mutation
        place = number - first
        if not 0 <= place < len(wild_type):
            last = first + len(wild_type) - 1
            raise ValueError(f"{_told(mutation)} lies outside the wild type, which has the residues {first} to {last}")
        if wild_type[place] != old:
            raise ValueError(
                f"wild type has {wild_type[place]} at {number}, the variant says {_told(mutation)}; "
                + _remedy(mutations, wild_type, first)
            )
        if number in seen:
            raise ValueError(f"{_told(seen[number])} and {_told(mutation)} are at one site; keep one of them")
        seen[number] = mutation
        residues[place] = new
    return "".join(residues)


def substitutions(text: str) -> list[Substitution]:
    """The substitutions of a variant as they are written; none of the wild type.

    Raises ``ValueError`` for what is no substitution.
    """
    text = text.strip()
    if text.lower() in WILD_TYPE:
        return []
    text = re.sub(r"p\.|[()\[\]]", "", text)  # marks of the HGVS notation
    return [_substitution(token) for token in _SEPARATORS.split(text) if token]


def _substitution(token: str) -> Substitution:
    if match := _ONE.fullmatch(token):
        old, new = match[1].upper(), match[3].upper()
    elif match := _THREE.fullmatch(token):
        old, new = (seq1(code, undef_code="?") if len(code) == 3 else code for code in (match[1], match[3]))
    else:
        raise ValueError(
            f"{token!r:.40} is no substitution such as A23G; of deletions and insertions give the full sequence"
        )
    new = old if new == "=" else new
    if odd := next((letter for letter in (old, new) if letter not in LETTERS), None):
        raise ValueError(f"{token!r:.40} has {odd!r}, which is no amino acid; letters are {LETTERS}")
    return old, int(match[2]), new


def notation(residues: str, wild_type: str, first: int = 1) -> str:
    """A sequence of the length of the wild type by its substitutions, in rising order: ``A23G,K45*``."""
    found = [f"{wild_type[i]}{i + first}{residues[i]}" for i in changes(residues, wild_type)]
    return ",".join(found) or "wild type"


def _told(mutation: Substitution) -> str:
    return "{}{}{}".format(*mutation)


def _remedy(mutations: list[Substitution], wild_type: str, first: int) -> str:
    """Another usual number of the first residue, if all the variant fits it."""
    for other in (0, 1):
        places = [number - other for _, number, _ in mutations]
        fits = all(
            0 <= place < len(wild_type) and wild_type[place] == old
            for place, (old, _, _) in zip(places, mutations, strict=True)
        )
        if other != first and fits:
            return f"it fits if the first residue is numbered {other}: --data.first {other} (train) or first= (Python)"
    return f"is the first residue numbered {first} (--data.first), and is it this wild type (--data.wild_type)?"


def singles(record: Record) -> tuple[pd.DataFrame, Callable[[int], Record]]:
    """Every residue replaced by each of the other standard amino acids, one at a time: a row per substitution
    (``variant``, ``site``, ``to``), and what makes the record of a row."""
    chains = record.data
    rows = [
        (f"{site}{letter}", site, letter, i)
        for i, (here, site) in enumerate(zip(chains.residues, sites(chains), strict=True))
        for letter in STANDARD
        if letter != here
    ]

    def variant(row: int) -> Record:
        key, _, letter, i = rows[row]
        residues = f"{chains.residues[:i]}{letter}{chains.residues[i + 1 :]}"
        return Record(key=key, data=dataclasses.replace(chains, residues=residues))

    return pd.DataFrame([row[:3] for row in rows], columns=["variant", "site", "to"]), variant


def changing(records: Sequence[Record], wild_type: str) -> tuple[int, ...]:
    """The places where any variant differs from the wild type, the most variable first."""
    counts = np.zeros(len(wild_type), dtype=np.int64)
    for record in records:
        if len(record.data) == len(wild_type):
            counts[changes(record.data.residues, wild_type)] += 1
    return tuple(int(i) for i in np.argsort(-counts, kind="stable") if counts[i])


def sites(chains: Chains) -> list[str]:
    """What sites are called: ``M1``, of several chains with the one that is meant (``A:M1``)."""
    several = len(chains.starts) > 1
    chain = [f"{chains.names[bisect(chains.starts, i) - 1]}:" if several else "" for i in range(len(chains))]
    return [f"{a}{letter}{b}" for a, letter, b in zip(chain, chains.residues, chains.called, strict=True)]
