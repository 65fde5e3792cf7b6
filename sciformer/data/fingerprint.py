"""One hash for all that a model can read of its data, by which a resumed run knows them again."""

import hashlib
from collections.abc import Iterable

from sciformer.tokens import Example


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
