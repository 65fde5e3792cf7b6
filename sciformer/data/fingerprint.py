"""Hashes of what a model can read, by which a resumed run knows its data again and a checkpoint its records."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sciformer.tokens import Example, Tokens


@dataclass(frozen=True)
class Trace:
    """What is remembered of an example when its tokens are gone."""

    size: int
    """Number of tokens."""
    content: bytes
    """Hash of every token and answer."""
    mark: str
    """See ``mark``."""


def trace(example: Example, measured: Sequence[int]) -> Trace:
    content = hashlib.sha256()
    for piece in _pieces(example):
        content.update(piece)
    marks = [mark(tokens, measured) for tokens in example.tokens.values()]
    return Trace(example.size, content.digest(), "".join(marks))


def fingerprint(examples: Iterable[Example], *facts: object) -> str:
    """Hash of every token and answer of ``examples``, in their order, and of ``facts`` as they are printed."""
    digest = hashlib.sha256(f"{facts!r}\n".encode())
    for example in examples:
        for piece in _pieces(example):
            digest.update(piece)
    return digest.hexdigest()


def _pieces(example: Example) -> Iterator[bytes]:
    """Everything that a model can read of an example, and what it shall answer."""
    yield f"{example.key!r} {sorted(example.targets.items())!r}\n".encode()
    for name, tokens in example.tokens.items():
        for column in ("ids", "values", "observed", "coords", "sample", "pair"):
            data = getattr(tokens, column)
            if data is not None:
                yield f"{name} {column} {data.dtype} {tuple(data.shape)}\n".encode()
                yield data.contiguous().numpy().tobytes()


def mark(tokens: Tokens, measured: Sequence[int]) -> str:
    """Twelve digits that equal records share: of categories, places and the value columns ``measured``, whatever the
    key. What is derived from these is left out, for another machine rounds it otherwise."""
    digest = hashlib.sha256()
    for data in (tokens.ids, tokens.coords, tokens.values[..., list(measured)], tokens.observed[..., list(measured)]):
        digest.update(data.contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
