"""One transformer for scientific sequences: records in, calibrated answers in the record's own units out.

The names below are imported when first used, so that ``import sciformer`` is instant and silent.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0.dev0"

if TYPE_CHECKING:
    from sciformer.adapter import DomainAdapter, Record
    from sciformer.forecaster import Forecaster
    from sciformer.model import Sciformer, SciformerConfig
    from sciformer.predictor import Predictor
    from sciformer.pretrained import load
    from sciformer.recipe import Recipe
    from sciformer.tokens import Schema, Target, Tokens

_HOME = {
    "DomainAdapter": "sciformer.adapter",
    "Forecaster": "sciformer.forecaster",
    "Predictor": "sciformer.predictor",
    "Recipe": "sciformer.recipe",
    "Record": "sciformer.adapter",
    "Schema": "sciformer.tokens",
    "Sciformer": "sciformer.model",
    "SciformerConfig": "sciformer.model",
    "Target": "sciformer.tokens",
    "Tokens": "sciformer.tokens",
    "load": "sciformer.pretrained",
}
"""Public name to the module that defines it."""

__all__ = [
    "DomainAdapter",
    "Forecaster",
    "Predictor",
    "Recipe",
    "Record",
    "Schema",
    "Sciformer",
    "SciformerConfig",
    "Target",
    "Tokens",
    "__version__",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'sciformer' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
