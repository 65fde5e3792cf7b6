"""Drawings of molecules with their atoms shaded by weight."""

import re
from collections.abc import Sequence

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from sciformer.adapter import Record

WIDTH, HEIGHT = 300, 220

# One hue of growing strength is read alike with and without colour vision. Orange of Okabe & Ito (2008).
FAINT, STRONG = np.array([1.0, 0.95, 0.85]), np.array([0.902, 0.624, 0.0])


def depict(record: Record, weights: Sequence[float] | None = None) -> str | None:
    """An SVG element (300 x 220, transparent, scalable) of a molecule; None for an unreadable record.

    ``weights``, one per atom and not negative, shade the atoms relative to the largest of them; atoms under a
    twentieth of it stay plain. Atoms then are drawn in black, so that colour means weight alone.
    Raises ``ValueError`` when the number of weights is not that of the atoms.
    """
    if record.data is None:
        return None
    shades = np.zeros(record.data.GetNumAtoms()) if weights is None else _relative(record, weights)
    with rdBase.BlockLogs():
        mol = _flat(record.data)
        drawer = rdMolDraw2D.MolDraw2DSVG(WIDTH, HEIGHT)
        options = drawer.drawOptions()
        options.clearBackground = False
        options.prepareMolsBeforeDrawing = False
        options.flagCloseContactsDist = -1  # no red boxes in large molecules
        options.atomHighlightsAreCircles = True  # area must not look like weight
        options.highlightRadius = 0.4
        if weights is not None:
            options.useBWAtomPalette()
        atoms = [int(i) for i in np.flatnonzero(shades >= 0.05)]
        drawer.DrawMolecule(
            mol,
            highlightAtoms=atoms,
            highlightAtomColors={i: _colour(shades[i]) for i in atoms},
            highlightBonds=[],
        )
        drawer.FinishDrawing()
    return _element(drawer.GetDrawingText())


def _relative(record: Record, weights: Sequence[float]) -> np.ndarray:
    """Weights as fractions of the largest, 0..1; anything that is not a positive number counts as 0."""
    atoms = record.data.GetNumAtoms()
    if len(weights) != atoms:
        raise ValueError(f"record {record.key!r} needs a weight for each of its {atoms} atoms, got {len(weights)}")
    shades = np.nan_to_num(np.asarray(weights, np.float64), nan=0.0, posinf=0.0, neginf=0.0).clip(min=0.0)
    return shades / max(shades.max(initial=0.0), np.finfo(np.float64).tiny)


def _flat(mol: Chem.Mol) -> Chem.Mol:
    """A copy ready to be drawn in the plane: coordinates, wedges and, where possible, alternating bonds."""
    mol = Chem.Mol(mol)
    mol.RemoveAllConformers()
    rdDepictor.Compute2DCoords(mol)
    try:
        return rdMolDraw2D.PrepareMolForDrawing(mol, kekulize=True, addChiralHs=False)
    except (ValueError, RuntimeError):  # aromatic systems without a Kekulé form are drawn dashed
        return rdMolDraw2D.PrepareMolForDrawing(mol, kekulize=False, addChiralHs=False)


def _colour(shade: float) -> tuple[float, ...]:
    return tuple((FAINT + shade * (STRONG - FAINT)).tolist())


def _element(svg: str) -> str:
    """The ``<svg>`` element alone: no XML prolog, comments or namespaces that are not used."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\s*|\s*xmlns:(?:rdkit|xlink)='[^']*'", "", svg, flags=re.DOTALL)
    return svg.replace("<svg", "<svg role='img' aria-label='structural formula'", 1).strip()
