"""Hashes of what a model can read, by which a resumed run knows its data again and a checkpoint its records."""

import hashlib
from collections.abc import Iterable, Sequence

from sciformer.tokens import Example, Tokens


def fingerprint(examples: Iterable[Example], *facts: object) -> str:
    """Hash of every token and answer of ``examples``, in their order, and of ``facts`` as they are printed."""
    digest = hashlib.sha256(f"{facts!r}\n".encode())
    for example in examples:
        digest.update(f"{example.key!r} {sorted(example.targets.items())!r}\n".encode())
        for name, tokens in example.tokens.items():
            for column in ("ids", "values", "observed", "coords", "sample", "pair"):
                data = getattr(tokens, column)
                if data is not None:
                    digest.update(f"{name} {column} {data.dtype} {tuple(data.shape)}\n".encode())
                    digest.update(data.contiguous().numpy().tobytes())
    return digest.hexdigest()


def mark(tokens: Tokens, measured: Sequence[int]) -> str:
    """Twelve digits that equal records share: of categories, places and the value columns ``measured``, whatever the
    key. What is derived from these is left out, for another machine rounds it otherwise."""
    digest = hashlib.sha256()
    for data in (tokens.ids, tokens.coords, tokens.values[..., list(measured)], tokens.observed[..., list(measured)]):
        digest.update(data.contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]
