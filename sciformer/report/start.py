"""What a fine-tuned model started from, in the words that its page and its model card share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sciformer.report.shown import mapping
from sciformer.report.words import number

SHORT = 12
"""Digits of a hash by which a reader knows it again."""


def called(checkpoint: str) -> str:
    """A name or an address as it is, of a path its end."""
    return checkpoint if "://" in checkpoint else "/".join(Path(checkpoint).parts[-2:])


def started(run: Mapping[str, Any], digits: int | None = None) -> str:
    """From which checkpoint and with how many of its weights, by ``run.json``; "" of a model that started at random.

    The hash has so many ``digits``, by default all.
    """
    start = mapping(run.get("start"))
    if "loaded" not in start:  # the shape of a checkpoint alone, or none at all
        return ""
    loaded, fresh, unused = (f"{_total(start.get(kind)):,}" for kind in ("loaded", "fresh", "unused"))
    learning = number(start.get("learning"))
    name, sha256 = called(str(start.get("checkpoint"))), str(start.get("sha256"))[:digits]
    return (
        f"Started from {name} (sha256 {sha256}) in mode {start.get('mode')}: {loaded} weights are from the checkpoint, "
        f"{fresh} started at random, {unused} of the checkpoint are not used; {learning} were "
        "free to learn."
    )


def _total(parts: Any) -> int:
    """Of numbers by part of the model; what is none counts nothing."""
    return sum(n for n in mapping(parts).values() if isinstance(n, int))
