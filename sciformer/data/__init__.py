"""Data sets by name, splits and the leakage audit.

Importing this package is cheap: pandas, pooch and torch are loaded when a function needs them.
"""

from sciformer.data.cards import Card, FetchError, HashError, card, fetch, load, names

__all__ = ["Card", "FetchError", "HashError", "card", "fetch", "load", "names"]
