"""Proteins: residues are tokens, or the substitutions of a variant are."""

from sciformer.domains.protein.adapter import Protein

adapter = Protein

__all__ = ["Protein", "adapter"]
