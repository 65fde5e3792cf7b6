"""FASTA as a table: one row per record.

The key of a record is the first word of its header. What follows is its description, up to the first ``KEY=VALUE``;
keys become columns, as biotrainer and FLIP write them (``>seq1 SET=train TARGET=0.3``) and UniProt does
(``OS=Homo sapiens OX=9606``: a value ends where the next key begins).

Files of three lines per record, as predictors of topology write them (header, sequence, one letter per residue), have
the third in the column ``labels``.
"""

import io
import re
from itertools import pairwise
from pathlib import Path

import pandas as pd

_KEY = re.compile(r"(?:^|(?<=\s))([A-Za-z_]\w*)=")
COLUMNS = ("id", "sequence", "description")
"""Of every FASTA file; a key of one of these names is left out."""


def table(path: Path, text: str) -> pd.DataFrame:
    """``COLUMNS`` and one for every key, as text, None where a header does not have it.

    Raises ``ValueError`` where the text does not begin with a header, or a header has a key twice.
    """
    from Bio.SeqIO.FastaIO import SimpleFastaParser

    line, start = next(((i, line) for i, line in enumerate(text.split("\n"), start=1) if line.strip()), (1, ""))
    if not start.startswith(">"):
        raise ValueError(
            f"{path} begins in line {line} with {start.strip()!r:.40}, no header; FASTA begins with '>' and an id"
        )
    records = _three_lines(path, text) or [
        {"title": title, "sequence": sequence} for title, sequence in SimpleFastaParser(io.StringIO(text))
    ]
    rows = [{**_header(path, i, cells.pop("title")), **cells} for i, cells in enumerate(records, start=1)]
    found = pd.DataFrame(rows, dtype=object)
    return found[[*COLUMNS, *found.columns.difference(list(COLUMNS), sort=False)]]


def _header(path: Path, record: int, title: str) -> dict[str, str]:
    key, *rest = title.split(maxsplit=1)[:2] or [""]
    text = rest[0] if rest else ""
    marks = list(_KEY.finditer(text))
    ends = [after.start() for _, after in pairwise(marks)] + [len(text)]
    cells: dict[str, str] = {}
    for mark, end in zip(marks, ends[: len(marks)], strict=True):
        if mark[1] in cells:
            raise ValueError(f"{path}: record {record} ({key!r}) has {mark[1]}= twice in its header; keep one")
        cells[mark[1]] = text[mark.end() : end].strip()
    description = text[: marks[0].start()] if marks else text
    return {**cells, "id": key, "description": description.strip()}


def _three_lines(path: Path, text: str) -> list[dict[str, str]]:
    """The records of a file that has three lines for each, the last two of one length; none where one has not.

    Sequences that are wrapped after two full lines look the same where all have one length: then the name decides.
    """
    records = []
    for entry in re.split(r"^>", text, flags=re.MULTILINE)[1:]:
        title, *lines = entry.rstrip("\n").split("\n")
        if len(lines) != 2 or len(lines[0]) != len(lines[1]):
            return []
        records.append({"title": title, "sequence": lines[0], "labels": lines[1]})
    sure = ".3line" in path.suffixes or len({len(cells["labels"]) for cells in records}) > 1
    return records if sure else []
