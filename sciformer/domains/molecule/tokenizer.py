"""From an RDKit molecule to tokens: one token per atom, one pair per two atoms.

Every category depends on the molecule alone, never on the order of its atoms or on how it was written.
Id 0 stays free for unknown or hidden in every column.
"""

import numpy as np
import torch
from rdkit import Chem
from scipy.spatial.transform import Rotation

from sciformer.domains.molecule.stereo import ATOM_STEREO, BOND_STEREO, labels
from sciformer.tokens import AXES, Axis, Category, Schema, Tokens

_X = AXES.index("x")
_PERIODIC = Chem.GetPeriodicTable()
_DUMMY = 119  # id of "*", whose atomic number 0 would collide with unknown
_COMMON_MASS = np.array([0, *(_PERIODIC.GetMostCommonIsotope(z) for z in range(1, 119))])


def _column(name: str, *labels: str) -> Category:
    return Category(name, len(labels) + 1, labels)


ATOM_COLUMNS = (
    _column("element", *(_PERIODIC.GetElementSymbol(z) for z in range(1, 119)), "*"),
    _column("degree", *"0123456", "7+"),
    _column("charge", "-4-", "-3", "-2", "-1", "0", "+1", "+2", "+3", "+4+"),
    _column("hydrogens", *"0123", "4+"),
    _column("hybridisation", "none", "s", "sp", "sp2", "sp3", "sp2d", "sp3d", "sp3d2", "other"),
    _column("aromaticity", "aliphatic", "aromatic"),
    _column("ring", "no ring", *"345678", "9+"),
    _column("chirality", *ATOM_STEREO),
    _column("isotope", "natural", "-3-", "-2", "-1", "+0", "+1", "+2", "+3+"),
    _column("radical", *"01", "2+"),
)
"""What an atom token says of itself, with a readable label per id 1, 2, ..."""

BOND_KINDS = ("single", "double", "triple", "aromatic", "dative", "other", *BOND_STEREO)
BONDS = ("not bonded", "self", *(f"{kind} {place}" for place in ("chain", "ring") for kind in BOND_KINDS))
_NOT_BONDED, _SELF, _FIRST_BOND = 1, 2, 3

_KINDS = {
    Chem.BondType.SINGLE: "single",
    Chem.BondType.DOUBLE: "double",
    Chem.BondType.TRIPLE: "triple",
    Chem.BondType.AROMATIC: "aromatic",
    Chem.BondType.DATIVE: "dative",
    Chem.BondType.DATIVEONE: "dative",
    Chem.BondType.DATIVEL: "dative",
    Chem.BondType.DATIVER: "dative",
}
_OTHER = BOND_KINDS.index("other")
_KIND_IDS = {kind: BOND_KINDS.index(name) for kind, name in _KINDS.items()}
_STEREO_IDS = {label: i + len(BOND_KINDS) - len(BOND_STEREO) for i, label in enumerate(BOND_STEREO)}


def schema(max_hops: int) -> Schema:
    """Atom columns, the two pair columns ``bond`` and ``hops``, and x, y, z in ångström."""
    hops = (*(str(h) for h in range(max_hops + 1)), "far", "other fragment")
    return Schema(
        ids=ATOM_COLUMNS,
        pairs=(_column("bond", *BONDS), _column("hops", *hops)),
        axes=tuple(Axis(name, "Å", shortest=1.0, longest=40.0) for name in ("x", "y", "z")),
    )


def tokenize(mol: Chem.Mol, modality: str, max_hops: int) -> Tokens:
    """Unbatched tokens of a sanitised molecule: ids (n, 10) int64, pair (n, n, 2) uint8, x, y, z in ångström.

    uint8 because the pair columns are the only quadratic ones; 256 ids are ample for both.
    """
    atoms = [mol.GetAtomWithIdx(i) for i in range(mol.GetNumAtoms())]  # GetAtoms() takes ten times as long
    bonds = [mol.GetBondWithIdx(i) for i in range(mol.GetNumBonds())]
    atom_stereo, bond_stereo = labels(mol, atoms, bonds)
    ids = atom_ids(mol, atoms, atom_stereo)
    pair = np.stack([bond_ids(mol, bonds, bond_stereo), hop_ids(mol, max_hops)], axis=-1)
    return Tokens.of(modality, ids=torch.from_numpy(ids), pair=torch.from_numpy(pair), coords=coordinates(mol))


def atom_ids(mol: Chem.Mol, atoms: list[Chem.Atom], stereo: list[int]) -> np.ndarray:
    """Ids of ``ATOM_COLUMNS``, (n, 10) int64; ``stereo`` holds those of the chirality column."""
    rings = mol.GetRingInfo()
    raw = np.array(
        [
            (
                atom.GetAtomicNum(),
                atom.GetDegree(),
                atom.GetFormalCharge(),
                atom.GetTotalNumHs(),
                int(atom.GetHybridization()),
                atom.GetIsAromatic(),
                rings.MinAtomRingSize(i),
                atom.GetIsotope(),
                atom.GetNumRadicalElectrons(),
            )
            for i, atom in enumerate(atoms)
        ],
        dtype=np.int64,
    ).reshape(-1, 9)
    element, degree, charge, hydrogens, hybridisation, aromatic, ring, mass, radical = raw.T
    return np.stack(
        [
            np.where(element == 0, _DUMMY, element),
            1 + np.minimum(degree, 7),
            5 + np.clip(charge, -4, 4),
            1 + np.minimum(hydrogens, 4),
            1 + np.minimum(hybridisation, 8),
            1 + aromatic,
            np.where(ring == 0, 1, np.minimum(ring, 9) - 1),
            np.asarray(stereo, dtype=np.int64),
            np.where(mass == 0, 1, 5 + np.clip(mass - _COMMON_MASS[element], -3, 3)),
            1 + np.minimum(radical, 2),
        ],
        axis=-1,
    )


def bond_ids(mol: Chem.Mol, bonds: list[Chem.Bond], stereo: dict[int, str]) -> np.ndarray:
    """Ids of the ``bond`` pair column, (n, n) uint8, symmetric; ``stereo`` holds ``BOND_STEREO`` by bond."""
    n = mol.GetNumAtoms()
    ids = np.full((n, n), _NOT_BONDED, dtype=np.uint8)
    np.fill_diagonal(ids, _SELF)
    rings = mol.GetRingInfo()
    for i, bond in enumerate(bonds):
        kind = _STEREO_IDS[stereo[i]] if i in stereo else _KIND_IDS.get(bond.GetBondType(), _OTHER)
        in_ring = rings.NumBondRings(i) > 0
        a, b = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        ids[a, b] = ids[b, a] = _FIRST_BOND + kind + in_ring * len(BOND_KINDS)
    return ids


def hop_ids(mol: Chem.Mol, max_hops: int) -> np.ndarray:
    """Ids of the ``hops`` pair column, (n, n) uint8: number of bonds on the shortest path, clipped."""
    hops = Chem.GetDistanceMatrix(mol)  # 1e8 between fragments
    n = mol.GetNumAtoms()
    ids = np.where(hops > max_hops, max_hops + 2, hops + 1)
    return np.where(hops > n, max_hops + 3, ids).astype(np.uint8)


def coordinates(mol: Chem.Mol) -> torch.Tensor:
    """(n, 5) float32: x, y, z in ångström around their mean where the conformer is 3D, else 0.

    A 2D depiction says nothing of the molecule's shape; its wedges were read as stereochemistry already.
    """
    coords = torch.zeros(mol.GetNumAtoms(), len(AXES))
    if mol.GetNumConformers() and mol.GetConformer().Is3D():
        xyz = mol.GetConformer().GetPositions()
        coords[:, _X:] = torch.from_numpy(xyz - xyz.mean(axis=0)).float()
    return coords


def rotate(tokens: Tokens, rng: np.random.Generator) -> Tokens:
    """Tokens turned in space by a random proper rotation (a mirror image would be another molecule)."""
    xyz = tokens.coords[..., _X:]
    if not xyz.any():
        return tokens
    rotation = torch.from_numpy(Rotation.random(rng=rng).as_matrix()).to(xyz)
    return tokens.replace(coords=torch.cat([tokens.coords[..., :_X], xyz @ rotation.T], dim=-1))
