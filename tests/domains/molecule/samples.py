"""Varied molecules for the laws of ``tests/contract.py``."""

from rdkit import Chem
from rdkit.Chem import rdDistGeom

from sciformer.adapter import Record
from sciformer.domains.molecule import Molecule

FLAT = [
    "C",
    "[U]",
    "CC(=O)[O-].[Na+]",
    "C[C@H](N)C(=O)O",
    "C/C=C\\C",
    "[13CH3][N+](C)(C)C",
    "*CCO",
    "O=[N+]([O-])c1ccc(Cl)cc1",
    "[NH3]->[Pt](<-[NH3])(Cl)Cl",
    "CC(=O)Oc1ccccc1C(=O)O",
]
IN_SPACE = ["CCO", "C[C@H]1CC[C@@H](C)CC1", "c1ccc2[nH]ccc2c1"]


def records() -> list[Record]:
    return list(Molecule().read([*FLAT, *map(conformer, IN_SPACE)]))


def conformer(smiles: str) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert rdDistGeom.EmbedMolecule(mol, randomSeed=1) == 0
    return Chem.RemoveHs(mol)
