"""Stereochemistry as categories that do not depend on how a molecule is written.

Descriptors are those of Cahn, Ingold and Prelog by the algorithm of Hanson, Musacchio, Mayfield, Vainio,
Yerin and Redkin (J. Chem. Inf. Model. 2018, 58, 1755), which RDKit implements; lower case marks
pseudo-asymmetric units (meso compounds, cis and trans rings).
"""

import itertools

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdCIPLabeler

ATOM_STEREO = ("none", "R", "S", "r", "s", "clockwise", "counterclockwise", "not tetrahedral")
"""Labels of the chirality column. ``clockwise`` and ``counterclockwise`` are for centres that the CIP rules
cannot tell: seen along canonical atom ranks, which depend on the molecule alone."""

BOND_STEREO = ("double E", "double Z", "single P", "single M")
"""E and Z double bonds, P and M axes of atropisomers."""

_NONE = ATOM_STEREO.index("none") + 1
_ATOM_IDS = {label: i + 1 for i, label in enumerate(ATOM_STEREO)}
_BOND_LABELS = {label[-1]: label for label in BOND_STEREO}
_TETRAHEDRAL = {Chem.ChiralType.CHI_TETRAHEDRAL_CW: 0, Chem.ChiralType.CHI_TETRAHEDRAL_CCW: 1}
_TRANS = {
    Chem.BondStereo.STEREOZ: 0,
    Chem.BondStereo.STEREOCIS: 0,
    Chem.BondStereo.STEREOE: 1,
    Chem.BondStereo.STEREOTRANS: 1,
}
_LIMIT = 200_000
"""Comparisons before the CIP rules are given up (0.2 s; ordinary molecules need fewer than 10,000)."""


def labels(mol: Chem.Mol, atoms: list[Chem.Atom], bonds: list[Chem.Bond]) -> tuple[list[int], dict[int, str]]:
    """Ids of the chirality column for all atoms, and for stereo bonds, by index, their ``BOND_STEREO``."""
    found = [_NONE] * len(atoms)
    centres = [atom for atom in atoms if atom.GetChiralTag()]  # 0: none
    axes = [i for i, bond in enumerate(bonds) if bond.GetStereo() > Chem.BondStereo.STEREOANY]
    if not centres and not axes:
        return found, {}
    cip = _with_cip_codes(mol)
    ranks = list(Chem.CanonicalRankAtoms(mol))
    for atom in centres:
        code = _code(cip.GetAtomWithIdx(atom.GetIdx()))
        found[atom.GetIdx()] = _ATOM_IDS[code or _turn(atom, ranks)]
    sides = {i: _code(cip.GetBondWithIdx(i)).upper() or _side(mol.GetBondWithIdx(i), ranks) for i in axes}
    return found, {i: _BOND_LABELS[side] for i, side in sides.items() if side}


def _with_cip_codes(mol: Chem.Mol) -> Chem.Mol:
    """A copy labelled by the CIP rules, or without any label where they take too long."""
    copy = _without_cip_codes(mol)
    try:
        rdCIPLabeler.AssignCIPLabels(copy, maxRecursiveIterations=_LIMIT)
    except RuntimeError:
        return _without_cip_codes(mol)
    return copy


def _without_cip_codes(mol: Chem.Mol) -> Chem.Mol:
    """A copy without the labels of RDKit's parser, which are of an older, approximate kind."""
    copy = Chem.Mol(mol)
    for unit in (*copy.GetAtoms(), *copy.GetBonds()):
        unit.ClearProp("_CIPCode")
    return copy


def _code(unit: Chem.Atom | Chem.Bond) -> str:
    return unit.GetProp("_CIPCode") if unit.HasProp("_CIPCode") else ""


def _turn(atom: Chem.Atom, ranks: list[int]) -> str:
    """Sense of rotation of a tetrahedral centre's neighbours in the order of their ranks."""
    sense = _TETRAHEDRAL.get(atom.GetChiralTag())
    if sense is None:
        return "not tetrahedral"
    order = [ranks[bond.GetOtherAtomIdx(atom.GetIdx())] for bond in atom.GetBonds()]
    swaps = int(np.sum([a > b for a, b in itertools.combinations(order, 2)]))
    return ATOM_STEREO[_ATOM_IDS["clockwise"] - 1 + (sense + swaps) % 2]


def _side(bond: Chem.Bond, ranks: list[int]) -> str:
    """E or Z by the canonical ranks of the substituents; empty where the bond has none."""
    trans = _TRANS.get(bond.GetStereo())
    chosen = list(bond.GetStereoAtoms())
    if trans is None or len(chosen) != 2:
        return ""
    for end, other, atom in (
        (bond.GetBeginAtom(), bond.GetEndAtomIdx(), chosen[0]),
        (bond.GetEndAtom(), bond.GetBeginAtomIdx(), chosen[1]),
    ):
        highest = max((a.GetIdx() for a in end.GetNeighbors() if a.GetIdx() != other), key=ranks.__getitem__)
        trans += highest != atom
    return "E" if trans % 2 else "Z"
