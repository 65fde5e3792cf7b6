"""Drawings of proteins: what must be seen in them, and that nothing is drawn where there is nothing to see."""

import re
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from sciformer.adapter import Record
from sciformer.domains.protein import depict
from sciformer.domains.protein.adapter import Protein
from sciformer.domains.protein.alphabet import STANDARD
from sciformer.domains.protein.chains import Chains
from sciformer.tokens import Target

pytestmark = pytest.mark.usefixtures("painted")

WILD_TYPE = "MKTAYIAKQRQISFVK"
STATE = Target("state", "multiclass", classes=("C", "E", "H"))


def record(residues: str, **options) -> Record:
    return Record(key="a b<1>", data=Chains(residues=residues, **options))


def words(svg: str | None) -> list[str]:
    """The texts of a drawing, which must be sound XML."""
    assert svg
    return [
        "".join(node.itertext()).strip() for node in ElementTree.fromstring(svg).iter() if node.tag.endswith("text")
    ]


def test_every_residue_is_drawn_with_the_number_of_each_line():
    found = words(Protein().depict(record(WILD_TYPE * 3)))
    assert "".join(x for x in found if len(x) == 1 and x.isalpha()) == WILD_TYPE * 3
    assert [x for x in found if x.isdigit()] == ["1", "31"]


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        ([1.0] * 18, "shaded: more than an even share among residues (none: at most 1.0 times)"),
        ([1.0] * 9 + [10.0] + [1.0] * 8, "shaded: more than an even share among residues (up to 6.4 times)"),
        ([17.0] + [0.0] * 17, "<start> has 100%, <end> 0%"),
        ([float("nan")] * 18, None),
    ],
)
def test_what_a_shade_means_is_told(weights, told):
    found = words(Protein().depict(record(WILD_TYPE), weights))
    assert told in found if told else not any("share" in x for x in found)


def test_a_heavier_residue_changes_the_drawing_and_only_its_weight_matters():
    plain, heavy = np.ones(18), np.ones(18)
    heavy[5] = 9
    drawn = [Protein().depict(record(WILD_TYPE), list(weights)) for weights in (plain, heavy, 7 * heavy)]
    assert drawn[0] != drawn[1] == drawn[2]


def test_of_a_long_protein_the_lines_that_are_read_most_are_drawn():
    weights = np.ones(602)
    weights[1 + 310] = 50
    found = words(Protein().depict(record("MA" * 300), weights.tolist()))
    assert "301" in found
    assert len([x for x in found if x.isdigit()]) == depict.LINES
    assert any(x.startswith("10 of 20 lines, those read most") for x in found)


@pytest.mark.parametrize("protein", [Protein(), Protein(wild_type=WILD_TYPE, substitutions=True)])
def test_there_must_be_a_weight_for_every_token(protein):
    with pytest.raises(ValueError, match="needs a weight for each of its"):
        protein.depict(record(WILD_TYPE), [1.0, 2.0])
    assert protein.depict(Record(key="1", problem="bad")) is None


def test_of_a_variant_read_by_its_substitutions_these_are_listed():
    protein = Protein(wild_type=WILD_TYPE, substitutions=True)
    found = words(protein.depict(record("MKTGYIAKQRWISFVK"), [0.2, 0.5, 0.3]))
    assert [x for x in found if x in ("<start>", "A4G", "Q11W")] == ["<start>", "A4G", "Q11W"]
    many = words(protein.depict(record("W" * 16), [0.0, *np.linspace(1, 2, 16)]))
    assert "K16W" in many
    assert "M1W" not in many
    assert "share of the attention; 2 more tokens left out" in many


def effects(sites: int, unit: str = "") -> pd.DataFrame:
    names = [f"{WILD_TYPE[i % 16]}{i + 1}" for i in range(sites)]
    values = np.random.default_rng(0).normal(size=(sites, 20))
    table = pd.DataFrame(values, index=names, columns=list(STANDARD))
    table.attrs = {"target": "fitness", "unit": unit}
    return table


@pytest.mark.parametrize(("sites", "panels"), [(1, 1), (60, 1), (130, 3)])
def test_a_map_of_effects_names_every_site_and_amino_acid(sites, panels):
    table = effects(sites, "kcal/mol")
    found = words(Protein().depict_changes(table))
    assert [x for x in found if x in set(table.index)] == list(table.index)
    assert sum(x == "W" for x in found) == panels
    assert "change of fitness [kcal/mol]" in found


def test_effects_of_several_chains_and_no_effects_at_all_are_drawn():
    table = effects(3).set_axis(["A:M1", "A:X2", "B:K1"])
    assert "B:K1" in words(Protein().depict_changes(table))
    assert words(Protein().depict_changes(0 * table.drop(columns="W")))


def answers(truth: str, said: str) -> pd.DataFrame:
    known = [None if x == "-" else x for x in truth]
    return pd.DataFrame({"position": [str(i + 1) for i in range(len(truth))], "truth": known, "prediction": list(said)})


def marks(svg: str | None) -> int:
    return len(re.findall("<use ", svg or ""))


def test_every_wrong_class_is_marked_and_an_unknown_one_is_not():
    right = Protein().depict_parts(record("MKTA"), STATE, answers("HHEC", "HHEC"))
    wrong = Protein().depict_parts(record("MKTA"), STATE, answers("HHEC", "CCEC"))
    unknown = Protein().depict_parts(record("MKTA"), STATE, answers("--EC", "CCEC"))
    assert marks(wrong) == marks(right) + 2
    assert marks(unknown) == marks(right)
    assert {"C", "E", "H", "unknown", "true", "predicted", "wrong"} <= set(words(right))
    assert Protein().depict_parts(record("MKTA"), STATE, answers("----", "CCEC")) is None


def test_numbers_outside_their_interval_are_marked():
    n = 120
    table = pd.DataFrame({"position": [str(i) for i in range(n)], "truth": np.linspace(0, 1, n)})
    table = table.assign(prediction=0.5, lower=-1.0, upper=2.0)
    table.loc[3, "truth"] = np.nan
    inside = Protein().depict_parts(record("M" * n), Target("exposure"), table)
    outside = Protein().depict_parts(record("M" * n), Target("exposure"), table.assign(upper=0.9))
    assert marks(outside) > marks(inside)
    assert "outside" in words(outside)


@pytest.mark.parametrize(
    ("protein", "length", "drawn"),
    [
        (Protein(), 40, True),
        (Protein(), 10, False),
        (Protein(), 301, False),
        (Protein(wild_type="M" * 40, substitutions=True), 40, False),
    ],
)
def test_contacts_are_asked_for_only_where_they_can_be_seen(protein, length, drawn):
    asked = []

    def ask(one: Record) -> pd.DataFrame:
        asked.append(one.key)
        names = [f"M{i + 1}" for i in range(length)]
        values = np.random.default_rng(0).normal(size=(length, length))
        return pd.DataFrame(values + values.T, index=names, columns=names)

    svg = protein.depict_contacts(record("M" * length), ask)
    assert (svg is not None) == drawn == bool(asked)
    if drawn:
        assert "M10" in words(svg)
    assert protein.depict_contacts(record("M" * length), lambda _: None) is None


def test_drawings_are_repeatable_and_share_no_ids():
    one, other = (Protein().depict(Record(key=key, data=Chains(residues=WILD_TYPE))) for key in ("1", "2"))
    assert one == Protein().depict(Record(key="1", data=Chains(residues=WILD_TYPE)))
    first, second = (set(re.findall(r'\bid="([^"]+)"', svg or "")) for svg in (one, other))
    assert first
    assert not first & second
