"""Data sets by name, splits and the leakage audit.

Importing this package is cheap: pandas, pooch and torch are loaded when a function needs them.
"""

from sciformer.data.cards import Card, card, fetch, load, names
from sciformer.data.upstream import FetchError, HashError

__all__ = ["Card", "FetchError", "HashError", "card", "fetch", "load", "names"]
