"""Variants are the wild type with substitutions, or a line that says which one cannot be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciformer.domains.protein.alphabet import STANDARD
from sciformer.domains.protein.variants import is_variant, mutated, notation

WILD = "MKVLAAGIC"


@pytest.mark.parametrize("text", ["WT", "wt", "_wt", "", " ", "=", "p.=", "wild type", "M1M"])
def test_the_wild_type_has_many_names(text: str):
    assert mutated(text, WILD) == WILD


@pytest.mark.parametrize(
    "text",
    [
        *("K2R,L4*", "K2R:L4*", "K2R;L4*", "K2R/L4*", "K2R+L4*", "K2R L4*", " K2R , L4* ", "k2r,l4*"),
        *("p.Lys2Arg;p.Leu4Ter", "p.[Lys2Arg;Leu4*]", "p.(Lys2Arg),Leu4*", "LYS2ARG,LEU4TER", "L4*,K2R", "K2R,M1=,L4*"),
    ],
)
def test_notations_agree(text: str):
    assert mutated(text, WILD) == "MRV*AAGIC"


@pytest.mark.parametrize("first", [0, 1, 40, -3])
def test_numbers_begin_where_they_are_said_to(first: int):
    assert mutated(f"K{first + 1}R", WILD, first) == "MRVLAAGIC"


@given(st.text(STANDARD, min_size=1, max_size=40), st.data(), st.integers(-50, 500))
def test_the_notation_of_a_variant_is_read_back(wild_type: str, data: st.DataObject, first: int):
    letters = st.text(STANDARD + "*", min_size=len(wild_type), max_size=len(wild_type))
    residues = data.draw(letters)
    told = notation(residues, wild_type, first)
    assert mutated(told, wild_type, first) == residues
    assert is_variant(told)


@pytest.mark.parametrize(
    ("text", "first", "problem"),
    [
        (
            "K3R",
            1,
            "wild type has V at 3, the variant says K3R; is the first residue numbered 1 (--data.first)",
        ),
        (
            "K1R,V2L",
            1,
            "wild type has M at 1, the variant says K1R; it fits if the first residue is numbered 0: --data.first 0",
        ),
        (
            "K2R",
            0,
            "wild type has V at 2, the variant says K2R; it fits if the first residue is numbered 1: --data.first 1",
        ),
        ("K2R,C10A", 1, "C10A lies outside the wild type, which has the residues 1 to 9"),
        ("M0A", 1, "M0A lies outside the wild type, which has the residues 1 to 9"),
        ("K2R,K2L", 1, "K2R and K2L are at one site; keep one of them"),
        ("K2del", 1, "'K2del' is no substitution such as A23G; of deletions and insertions give the full sequence"),
        ("K2", 1, "'K2' is no substitution"),
        ("2", 1, "'2' is no substitution"),
        ("A2Ж", 1, "is no substitution"),
        ("Foo2Arg", 1, "'Foo2Arg' has '?', which is no amino acid"),
    ],
)
def test_what_cannot_be_is_named(text: str, first: int, problem: str):
    with pytest.raises(ValueError, match=r".") as error:
        mutated(text, WILD, first)
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_sequences_are_no_variants():
    assert [is_variant(text) for text in ("MKVLA", "mk-v*", "A23G", "WT", "")] == [False, False, True, True, False]
