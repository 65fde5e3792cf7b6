"""Molecules: atoms are tokens, bonds and topological distances are pair columns."""

from sciformer.domains.molecule.adapter import Molecule

adapter = Molecule

__all__ = ["Molecule", "adapter"]
