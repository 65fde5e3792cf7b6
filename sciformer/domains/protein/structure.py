"""Structures from PDB and mmCIF files (Bio.PDB): the residues that were seen, and where their C-alpha atoms are.

==================  =========================================================================================
several models      the first, unless another is named
chains              all that have amino acids, in the order of the file, unless some are named
modified residues   the letter of their parent (selenomethionine is M); ``X`` where none is known
waters, ligands     left out, nucleic acids too
alternative places  the one of highest occupancy, the first of several
missing residues    leave a gap on the order axis as wide as the author's numbering says, unless the C-alpha atoms
                    on both sides are as near as bonded residues are
faults of a file    the second of two equal atoms and whatever else cannot be is passed over, and told in a note
==================  =========================================================================================
"""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from Bio.Data.IUPACData import protein_letters_3to1_extended as IUPAC
from Bio.Data.PDBData import protein_letters_3to1 as STANDARD
from Bio.Data.PDBData import protein_letters_3to1_extended as MODIFIED
from Bio.PDB.Chain import Chain
from Bio.PDB.MMCIFParser import MMCIFParser
from Bio.PDB.Model import Model
from Bio.PDB.PDBExceptions import PDBConstructionException, PDBConstructionWarning
from Bio.PDB.PDBParser import PDBParser
from Bio.PDB.Residue import DisorderedResidue, Residue
from Bio.PDB.Structure import Structure

from sciformer.data.content import known_suffix, read_bytes
from sciformer.data.delimited import decoded
from sciformer.domains.protein.chains import BREAK, Chains
from sciformer.domains.protein.table import STRUCTURES

BONDED = 4.2
"""Å; C-alpha atoms of bonded residues are 3.8 apart (2.9 where the bond is cis)."""

_LETTERS = {name.upper(): letter for name, letter in IUPAC.items()}
_LETTERS |= {name.strip(): letter for name, letter in MODIFIED.items()}
_BACKBONE = ("N", "CA", "C")


def read_structure(path: Path, chains: Sequence[str] = (), model: int | None = None) -> Chains:
    """The amino acids of a file, C-alpha positions in Å.

    Raises ``OSError`` or ``ValueError`` in one line that names the file: it is missing, damaged or no structure, has no
    amino acids, or not the ``chains`` or the ``model`` (its number in the file) that are asked for.
    """
    suffix = known_suffix(path, STRUCTURES, "structures")
    text = decoded(path, read_bytes(path, "a structure"), STRUCTURES, fallback="latin-1")
    structure, notes = _parsed(path, text, PDBParser if suffix in (".pdb", ".ent") else MMCIFParser)
    chosen, told = _model(path, structure, model)
    parts = [(chain, found) for chain in _chains(path, chosen, chains) if (found := _amino_acids(chain))]
    if not parts:
        raise ValueError(f"{path} has no amino acids in {', '.join(f'chain {name}' for name in chains) or 'any chain'}")
    return _joined(parts, [*notes, *told])


def _parsed(path: Path, text: str, parser: type[PDBParser] | type[MMCIFParser]) -> tuple[Structure, list[str]]:
    """Strictly first; what had to be passed over to read the file is told."""
    kind = "PDB" if parser is PDBParser else "mmCIF"
    try:
        try:
            return _built(path, text, parser(PERMISSIVE=False, QUIET=True)), []
        except PDBConstructionException as fault:
            structure = _built(path, text, parser(PERMISSIVE=True, QUIET=True))
            reason = " ".join(str(fault).split()).rstrip(".")
            return structure, [f"faults of the file were passed over, the first of equal atoms kept ({reason})"]
    except KeyError as missing:
        raise ValueError(f"{path} is no structure in the format {kind}: it has no {missing.args[0]}") from None
    except (PDBConstructionException, ValueError, IndexError, TypeError, AttributeError) as error:
        torn = isinstance(error, IndexError)
        reason = "a row is cut short" if torn else " ".join(str(error).split()).rstrip(".")
        raise ValueError(f"{path} cannot be read as {kind} ({reason}); download it again, or mend it") from None


def _built(path: Path, text: str, parser: PDBParser | MMCIFParser) -> Structure:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PDBConstructionWarning)
        structure = parser.get_structure(path.name, io.StringIO(text))
    assert structure is not None  # the parsers raise instead
    return structure


def _model(path: Path, structure: Structure, number: int | None) -> tuple[Model, list[str]]:
    models = list(structure)
    if not models:
        raise ValueError(f"{path} is no structure: it has no atoms")
    if number is None:
        note = f"the first of {len(models)} models was read; --columns.model 2 (model=2 in Python) reads the next"
        return models[0], [note] if len(models) > 1 else []
    for model in models:
        if model.serial_num == number or (len(models) == number == 1):  # a single one often has no number
            return model, []
    raise ValueError(f"{path} has no model {number}; models: {', '.join(str(model.serial_num) for model in models)}")


def _chains(path: Path, model: Model, names: Sequence[str]) -> list[Chain]:
    known = {chain.id.strip(): chain for chain in model}
    if lost := [name for name in names if name not in known]:
        raise ValueError(f"{path} has no chain {lost[0]!r}; chains: {', '.join(known)}")
    return [known[name] for name in names or known]


def _amino_acids(chain: Chain) -> list[Residue]:
    return [found for residue in chain if _is_amino_acid(found := _likeliest(residue))]


def _likeliest(residue: Residue | DisorderedResidue) -> Residue:
    """Of the residues that share a place (a point mutation), the one of highest occupancy."""
    if not isinstance(residue, DisorderedResidue):
        return residue
    return max(residue.disordered_get_list(), key=_occupancy)


def _occupancy(residue: Residue) -> float | int:
    return (residue["CA"].get_occupancy() or 0.0) if "CA" in residue else -1.0


def _is_amino_acid(residue: Residue) -> bool:
    """A residue of the chain. Standard amino acids among the hetero atoms are ligands."""
    name, hetero = residue.get_resname().strip(), residue.id[0] != " "
    if hetero:
        return name not in STANDARD and ((name in _LETTERS and "CA" in residue) or all(a in residue for a in _BACKBONE))
    return name in _LETTERS or "CA" in residue


def _joined(parts: Sequence[tuple[Chain, list[Residue]]], notes: list[str]) -> Chains:
    residues = [residue for _, found in parts for residue in found]
    sizes = [len(found) for _, found in parts]
    starts = tuple(int(start) for start in np.cumsum([0, *sizes[:-1]]))
    xyz = np.array([_alpha(residue) for residue in residues], dtype=np.float64).reshape(len(residues), 3)
    steps = _steps(np.array([residue.id[1] for residue in residues]), xyz)
    for start in starts[1:]:
        steps[start] = BREAK
    inner = np.delete(steps, starts)
    return Chains(
        residues="".join(_LETTERS.get(residue.get_resname().strip(), "X") for residue in residues),
        positions=np.cumsum(steps),
        numbers=tuple(f"{residue.id[1]}{residue.id[2].strip()}" for residue in residues),
        starts=starts,
        names=tuple(chain.id.strip() for chain, _ in parts),
        xyz=xyz,
        notes=(*notes, *_counted(residues, xyz, int((inner > 1).sum()))),
    )


def _alpha(residue: Residue) -> np.ndarray:
    """Position in Å; NaN where it is missing or not finite. Bio.PDB chooses the atom of highest occupancy."""
    position = residue["CA"].get_coord() if "CA" in residue else np.full(3, np.nan)
    return position if np.isfinite(position).all() else np.full(3, np.nan)


def _steps(numbers: np.ndarray, xyz: np.ndarray) -> np.ndarray:
    """From each residue to the next on the order axis; the first is 0."""
    rise = np.diff(numbers, prepend=numbers[0] - 1)
    bonded = np.linalg.norm(np.diff(xyz, axis=0, prepend=np.nan), axis=1) < BONDED
    steps = np.where(bonded, 1.0, np.clip(rise, 1.0, BREAK))
    steps[0] = 0.0
    return steps


def _counted(residues: Sequence[Residue], xyz: np.ndarray, gaps: int) -> list[str]:
    lost = int(np.isnan(xyz).any(1).sum())
    several = sum("CA" in residue and residue["CA"].is_disordered() == 2 for residue in residues)
    counts = (
        (lost, "residues have no C-alpha position"),
        (several, "residues have alternative places; the one of highest occupancy was read"),
        (gaps, "gaps of missing residues"),
    )
    return [f"{n} {what}" for n, what in counts if n]
