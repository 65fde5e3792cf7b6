"""Groups of molecules for splits and their audit: one scaffold, one structure."""

from rdkit import Chem, rdBase
from rdkit.Chem.MolStandardize import rdMolStandardize
from rdkit.Chem.Scaffolds import MurckoScaffold

from sciformer.adapter import Record


def structure(record: Record) -> str:
    """Canonical SMILES without stereo and isotopes: stereoisomers, which fingerprints hardly tell apart, are one.

    Unreadable records share ``""``.
    """
    return "" if record.data is None else Chem.MolToSmiles(record.data, isomericSmiles=False)


def uncharged(record: Record) -> str:
    """``structure`` with protons added or taken until the molecule is neutral, where they can be: an acid and its
    anion, as different sets write the same compound, are one.
    """
    if record.data is None:
        return ""
    with rdBase.BlockLogs():
        return Chem.MolToSmiles(rdMolStandardize.Uncharger().uncharge(record.data), isomericSmiles=False)


def bemis_murcko(record: Record) -> str:
    """Canonical SMILES of the ring systems of a molecule and the chains between them, without stereo
    (Bemis and Murcko 1996, J. Med. Chem. 39, 2887).

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
