"""Whether pretraining helps on data of one's own: the same recipe from scratch and from a checkpoint, side by side."""

from sciformer.comparison.options import CompareOptions
from sciformer.comparison.run import compare

__all__ = ["CompareOptions", "compare"]
