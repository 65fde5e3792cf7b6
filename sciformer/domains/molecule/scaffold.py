"""Bemis-Murcko scaffolds (J. Med. Chem. 1996, 39, 2887), the groups of a scaffold split."""

from rdkit import rdBase
from rdkit.Chem.Scaffolds import MurckoScaffold

from sciformer.adapter import Record


def bemis_murcko(record: Record) -> str:
    """Canonical SMILES of the ring systems of a molecule and the chains between them, without stereo.

    Fragments without a ring (counter-ions, solvents) do not count; several ring-bearing fragments are joined
    by dots. All acyclic molecules share the scaffold ``""``, as in the literature; so do unreadable records
    and the rare molecule whose scaffold RDKit cannot build, because a grouping must never stop a run.
    """
    if record.data is None:
        return ""
    try:
        with rdBase.BlockLogs():
            return MurckoScaffold.MurckoScaffoldSmiles(mol=record.data, includeChirality=False)
    except (ValueError, RuntimeError):  # every exception of RDKit's C++ code is one of these
        return ""
