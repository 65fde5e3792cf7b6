"""Simulated molecules with simulated properties, for demonstrations and tests without a download.

Nothing here was measured. Structures are put together from the fragments below; the properties follow
two published regression equations plus noise of known size, so the best reachable error is known too.
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from rdkit import Chem, rdBase
from rdkit.Chem import Crippen, Descriptors, rdMolDescriptors

from sciformer.tokens import Target

TARGETS = (
    Target("logS_mol_per_L", unit="log10(mol/L)"),
    Target("crosses_membrane", kind="binary", classes=("0", "1")),
)
"""The property columns of ``simulate``."""

MISSING = 0.15
"""Fraction of the ``crosses_membrane`` labels that is left empty."""

# Fragments are SMILES that begin with their attachment atom (heads end with it). {c} and {n} are places for a
# substituent on carbon and on nitrogen. Digits are ring closures only: 1-2 here, shifted for each further
# ring (by _grow), 7 in substituents.
CORES = (
    *("c1ccc({c})cc1", "c1cc({c})ccc1{c}", "c1cc({c})cc({c})c1", "c1c({c})cc({c})c({c})c1"),
    *("c1ccc({c})c({c})c1", "c1ccc({c})nc1", "c1cnc({c})c({c})c1", "c1cc({c})ncn1", "c1nc({c})cc({c})n1"),
    *("c1cc({c})[n+](C)cc1", "c1cc({c})sc1", "c1sc({c})nc1{c}", "c1oc({c})cc1", "c1cn({n})nc1{c}"),
    *("c1nc({c})n({n})c1", "c1noc({c})c1{c}", "c1ccc2c(c1)c({c})cn2{n}", "c1ccc2nc({c})ccc2c1"),
    *("c1cc2ccc({c})cc2cc1{c}", "c1nc2ccc({c})cc2n1{n}", "c1sc2ccc({c})cc2n1", "c1cc2c(cc1{c})OCO2"),
    *("c1ccc2c(c1)CC({c})N2{n}", "c1nc({c})c2c(n1)n({n})cn2", "C1CCC({c})CC1", "C1CC({c})C1"),
    *("[C@H]1CC[C@H]({c})CC1", "[C@H]1CC[C@@H]({c})CC1", "C1CCC(=O)C1{c}", "C1CCN({n})CC1"),
    *("[C@@H]1CCN({n})C1", "[C@H]1CCCN({n})C1", "C1CN({n})CCO1", "C1CSC({c})N1{n}", "C1COC({c})O1"),
    *("[C@H]1O[C@@H]({c})[C@H](O)[C@H]1O", "C1CC(=O)N({n})C1=O", "C1C2CC({c})C1CC2"),
    *("C1=CC(=O)C({c})=CC1=O", "CC({c})C", "[C@@H](N)C{c}", "[C@H](C)C(=O)N({n})C", "CC({c})(C)C{c}"),
    *("CCCC({c})C", "[C@H](O)[C@@H](O)C{c}"),
)
HEADS = (
    *("[H]", "[H]", "[H]", "C", "CC", "O", "CO", "N", "CN", "F", "Cl", "Br", "N#C", "CC(=O)N"),
    *("COC(=O)", "CC(C)"),
)
LINKS = (
    *("", "C", "CC", "O", "S", "N", "OC", "CO", "NC", "C(=O)N", "NC(=O)", "C(=O)", "C(=O)O", "S(=O)(=O)N"),
    *("NC(=O)N", "/C=C/", "/C=C\\", "C#C", "[C@H](C)", "[C@@H](O)C", "C[C@H](N)C", "CN(C)C"),
    *("/C=N/N", "SC"),
)
LINKS_ON_NITROGEN = ("C", "CC", "C(=O)", "S(=O)(=O)", "CC(=O)N", "[C@@H](C)", "C/C=C/", "C/C=C\\")
SUBSTITUENTS = (
    *("C", "CC", "C(C)C", "C(C)(C)C", "CCCC", "C7CC7", "C=C", "C#C", "/C=C/C", "/C=C\\C", "F", "Cl", "Br"),
    *("I", "C(F)(F)F", "OC(F)F", "O", "OC", "OCC", "S", "SC", "N", "NC", "N(C)C", "N7CCOCC7"),
    *("N7CCN(C)CC7", "C#N", "C=O", "C(C)=O", "C(=O)O", "C(=O)OC", "C(=O)N", "NC(C)=O", "S(C)(=O)=O"),
    *("S(N)(=O)=O", "B(O)O", "[Si](C)(C)C", "[N+](=O)[O-]", "C(=O)[O-]", "C[NH3+]", "C[N+](C)(C)C"),
    *("S(=O)(=O)[O-]", "OP(=O)(O)O", "[C@H](C)O", "[C@@H](C)O", "[C@H](N)C(=O)O", "CCO", "CCN"),
    *("c7ccccc7", "c7ccncc7"),
)
SUBSTITUENTS_ON_NITROGEN = (*("C", "CC", "C(C)C", "C7CC7", "CCO", "CC#N", "C(C)=O", "S(C)(=O)=O", "Cc7ccccc7", "CC=C"),)
ANIONS, CATIONS = ("[Cl-]", "[Br-]", "[I-]"), ("[Na+]", "[K+]")

_PLACE = re.compile(r"\{([cn])\}")


def simulate(n: int, seed: int) -> pd.DataFrame:
    """A table of ``n`` distinct simulated molecules with simulated properties.

    Columns: ``smiles`` (canonical, with stereo); ``logS_mol_per_L``, a solubility-like quantity in
    log10(mol/L); ``crosses_membrane``, 0 or 1, 15 % of them NaN. The same ``(n, seed)`` gives the same table,
    and a smaller ``n`` gives its first rows. Raises ``ValueError`` for ``n`` below 1.

    logS follows Delaney's ESOL equation (J. Chem. Inf. Comput. Sci. 2004, 44, 1000),
    0.16 - 0.63 logP - 0.0062 MW + 0.066 RB - 0.74 AP, with Crippen's logP, molecular weight, rotatable bonds
    and the aromatic fraction of the heavy atoms; then -0.5 per E and +0.5 per Z double bond, as the straight
    isomer packs better (two-dimensional descriptors cannot see it); then Gaussian noise with ``noise_sd``.

    ``crosses_membrane`` is drawn with probability sigmoid((logBB + 0.5) / 0.2), where Clark's equation
    (J. Pharm. Sci. 1999, 88, 815) says logBB = 0.139 + 0.152 logP - 0.0148 TPSA.
    """
    if n < 1:
        raise ValueError(f"the number of simulated molecules must be at least 1, got {n}")
    # Separate streams, each drawn in row order: the first rows do not depend on how many follow.
    structure, noise, label, missing = np.random.default_rng(seed).spawn(4)
    mols = _distinct(structure)
    rows = pd.DataFrame([_properties(*next(mols)) for _ in range(n)])
    crosses = (label.random(n) < rows.pop("p")).astype(float)
    rows["logS_mol_per_L"] += noise_sd(rows["logS_mol_per_L"].to_numpy()) * noise.standard_normal(n)
    rows["crosses_membrane"] = pd.Series(crosses).mask(missing.random(n) < MISSING)
    return rows.round({"logS_mol_per_L": 3})


def noise_sd(log_s: np.ndarray) -> np.ndarray:
    """Standard deviation of the noise on logS: 0.2, growing below logS -3 up to 0.6.

    Solubility is harder to measure where there is less of it.
    """
    return np.clip(0.2 + 0.1 * (-3.0 - log_s), 0.2, 0.6)


def _properties(smiles: str, mol: Chem.Mol) -> dict[str, str | float]:
    log_p = Crippen.MolLogP(mol)  # pyright: ignore[reportAttributeAccessIssue]
    aromatic = sum(atom.GetIsAromatic() for atom in mol.GetAtoms()) / mol.GetNumHeavyAtoms()
    log_s = (
        0.16
        - 0.63 * log_p
        - 0.0062 * Descriptors.MolWt(mol)  # pyright: ignore[reportAttributeAccessIssue]
        + 0.066 * rdMolDescriptors.CalcNumRotatableBonds(mol)
        - 0.74 * aromatic
    )
    stereo = [bond.GetStereo() for bond in mol.GetBonds()]
    log_s += 0.5 * (stereo.count(Chem.BondStereo.STEREOZ) - stereo.count(Chem.BondStereo.STEREOE))
    log_bb = 0.139 + 0.152 * log_p - 0.0148 * rdMolDescriptors.CalcTPSA(mol)
    return {"smiles": smiles, "logS_mol_per_L": log_s, "p": 1 / (1 + np.exp(-(log_bb + 0.5) / 0.2))}


def _distinct(rng: np.random.Generator) -> Iterator[tuple[str, Chem.Mol]]:
    """Endless valid molecules of 5 to 45 heavy atoms, no two alike."""
    seen = set()
    while True:
        more = int(rng.choice(3, p=(0.35, 0.45, 0.2)))
        with rdBase.BlockLogs():
            mol = Chem.MolFromSmiles(_pick(rng, HEADS) + _grow(rng, more))
        assert mol is not None  # every combination of the fragments is valid
        mol = _with_counter_ions(mol, rng)
        smiles = Chem.MolToSmiles(mol)
        if smiles not in seen and 5 <= mol.GetNumHeavyAtoms() <= 45:
            seen.add(smiles)
            yield smiles, Chem.MolFromSmiles(smiles)


def _grow(rng: np.random.Generator, more: int, closures: str = "123456") -> str:
    """SMILES of a core whose first place carries a chain of ``more`` cores, the other places substituents."""
    core = _pick(rng, CORES).translate(str.maketrans("12", closures[:2]))
    chain_at = 0 if more else -1
    places = iter(range(core.count("{")))

    def fill(match: re.Match) -> str:
        on_nitrogen = match[1] == "n"
        if next(places) == chain_at:
            link = _pick(rng, LINKS_ON_NITROGEN if on_nitrogen else LINKS)
            return link + _grow(rng, more - 1, closures[2:])
        if rng.random() < 0.45:
            return "[H]"
        return _pick(rng, SUBSTITUENTS_ON_NITROGEN if on_nitrogen else SUBSTITUENTS)

    return _PLACE.sub(fill, core)


def _with_counter_ions(mol: Chem.Mol, rng: np.random.Generator) -> Chem.Mol:
    """Half of the ions as salts: neutralised by separate counter-ions."""
    charge = Chem.GetFormalCharge(mol)
    if charge == 0 or rng.random() < 0.5:
        return mol
    ion = _pick(rng, ANIONS if charge > 0 else CATIONS)
    return Chem.MolFromSmiles(".".join([Chem.MolToSmiles(mol), *[ion] * abs(charge)]))


def _pick(rng: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[rng.integers(len(choices))]  # pyright: ignore[reportArgumentType, reportCallIssue]
