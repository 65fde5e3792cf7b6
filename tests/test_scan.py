"""All substitutions of a protein: every effect stands at its site and its amino acid."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from sciformer.adapter import Record
from sciformer.answers import answer_columns
from sciformer.distributions import Categorical, Distribution, Gaussian
from sciformer.domains.protein.adapter import Protein
from sciformer.domains.protein.alphabet import STANDARD
from sciformer.domains.protein.chains import BREAK, Chains
from sciformer.ensemble import Member
from sciformer.model import Sciformer, SciformerConfig
from sciformer.predictor import Predictor
from sciformer.tasks.property import Property
from sciformer.tokens import Target

WILD_TYPE = "MKTAYIAK"
TARGETS = (Target("fitness", unit="kcal/mol"), Target("active", "binary", classes=("no", "yes")))
EFFECT = np.random.default_rng(0).normal(size=(len(WILD_TYPE), len(STANDARD)))
"""What each amino acid adds at each site."""


def amount(record: Any) -> float:
    return sum(EFFECT[i, STANDARD.index(x)] for i, x in enumerate(record.data.residues) if x in STANDARD)


class Additive(Predictor):
    """Answers that are known: the sum of what the residues add, and its logistic."""

    def answer(self, records: Sequence[Any]) -> dict[str, Distribution]:
        x = torch.tensor([amount(record) for record in records], dtype=torch.float32)
        return {
            "fitness": Gaussian(x, torch.ones_like(x)),
            "active": Categorical.from_raw(torch.stack([0 * x, x], -1)),
        }


def made(protein: Protein, kind: type[Predictor] = Additive) -> Predictor:
    config = SciformerConfig(width=16, depth=1, heads=2)
    torch.manual_seed(0)
    member = Member(Sciformer(config, {"protein": protein}), Property(config, TARGETS)).eval()
    member.task.scale.fitted.fill_(True)
    return kind(protein, [member.requires_grad_(False)], {})


@pytest.fixture(scope="module")
def variants() -> Predictor:
    return made(Protein(wild_type=WILD_TYPE, first=5))


def test_every_effect_stands_at_its_site_and_its_amino_acid(variants):
    matrix = variants.mutate()
    assert list(matrix.columns) == list(STANDARD)
    assert list(matrix.index) == [f"{x}{i}" for i, x in enumerate(WILD_TYPE, start=5)]
    stood = np.array([STANDARD.index(x) for x in WILD_TYPE])
    expected = EFFECT - EFFECT[np.arange(len(stood)), stood][:, None]
    np.testing.assert_allclose(matrix, expected, atol=1e-5)
    assert all(matrix.loc[site, site[0]] == 0 for site in matrix.index)
    assert matrix.attrs["target"] == "fitness"
    assert matrix.attrs["unit"] == "kcal/mol"
    assert matrix.attrs["wild_type"] == pytest.approx(EFFECT[np.arange(len(stood)), stood].sum(), abs=1e-5)


def test_of_classes_the_change_of_the_probability_of_the_last_is_told(variants):
    numbers, matrix = variants.mutate(target="fitness"), variants.mutate(target="active")

    def logistic(x: Any) -> Any:
        return 1 / (1 + np.exp(-x))

    start = numbers.attrs["wild_type"]
    np.testing.assert_allclose(matrix, logistic(start + numbers) - logistic(start), atol=1e-5)
    assert matrix.attrs["wild_type"] == pytest.approx(logistic(start), abs=1e-5)


def test_a_scan_begins_with_the_record_itself_and_goes_through_all_substitutions(variants):
    scan = variants.scan()
    assert list(scan.columns) == ["variant", "site", "to", *answer_columns(TARGETS)]
    assert scan.loc[0, ["variant", "site", "to"]].tolist() == ["wt", "", ""]
    assert len(scan) == 1 + 19 * len(WILD_TYPE)
    assert scan["variant"].is_unique
    assert (scan["site"] + scan["to"]).tolist()[1:] == scan["variant"].tolist()[1:]
    assert (scan["fitness_lower"] < scan["fitness_upper"]).all()
    assert variants.scan(level=0.5)["fitness_upper"].lt(scan["fitness_upper"]).all()
    with pytest.raises(ValueError, match="level must be one of"):
        variants.scan(level=0.7)


@pytest.mark.parametrize("substitutions", [False, True])
def test_a_scan_says_of_a_variant_what_predict_says_of_it(substitutions):
    model = made(Protein(wild_type=WILD_TYPE, substitutions=substitutions), Predictor)
    scan = model.scan()
    rows = [0, 7, 40, len(scan) - 1]
    told = model.predict(["WT", *scan.loc[rows[1:], "variant"]])
    assert (told["status"] == "ok").all()
    columns = ["fitness", "fitness_lower", "active_p_yes"]
    np.testing.assert_allclose(scan.loc[rows, columns], told[columns], atol=1e-5)
    assert scan["fitness"].nunique() > 100


def test_another_record_than_the_wild_type_is_changed_from_where_it_stands(variants):
    scan, matrix = variants.scan("M5A"), variants.mutate("M5A")
    assert scan.loc[0, "fitness"] == pytest.approx(variants.predict(["M5A"])["fitness"].iloc[0], abs=1e-5)
    assert matrix.index[0] == "A5"
    assert matrix.loc["A5", "A"] == 0
    np.testing.assert_allclose(matrix.iloc[1:], variants.mutate().iloc[1:], atol=1e-5)


def test_what_is_no_standard_amino_acid_can_become_any():
    matrix = made(Protein()).mutate("MXK")
    assert len(made(Protein()).scan("MXK")) == 1 + 19 + 20 + 19
    assert (matrix.loc["X2"] != 0).all()


def test_sites_of_several_chains_are_told_apart():
    chains = Chains(
        residues="MKMK",
        positions=np.array([0.0, 1, 1 + BREAK, 2 + BREAK]),
        numbers=("1", "2", "1", "2"),
        starts=(0, 2),
        names=("A", "B"),
    )
    table, changed = Protein().changed(Record(key="two", data=chains))
    assert table["site"].unique().tolist() == ["A:M1", "A:K2", "B:M1", "B:K2"]
    assert table["variant"].iloc[-1] == "B:K2Y"
    assert changed(len(table) - 1).data.residues == "MKMY"
    assert table["variant"].is_unique


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (["MKTAYIAK", "MKTAYIAA"], {}, "one record is asked for, got 2"),
        ("MKT", {}, "cannot be read: 3 residues, but the wild type has 8"),
        ("MKTAYIA1", {}, "cannot be read: "),
        (None, {"target": "colour"}, "no target named 'colour'; targets: fitness, active"),
    ],
)
def test_what_cannot_be_scanned_is_refused(variants, source, options, message):
    with pytest.raises(ValueError, match=message):
        variants.mutate(source, **options)


def test_a_model_without_a_wild_type_must_be_told_which_record_is_meant():
    model = made(Protein())
    assert len(model.mutate(WILD_TYPE)) == len(WILD_TYPE)
    for ask in (model.scan, model.mutate):
        with pytest.raises(ValueError, match="name a source of one record"):
            ask()


def test_molecules_have_no_substitutions(predictor):
    with pytest.raises(ValueError, match="records of the domain 'molecule' have no substitutions"):
        predictor.mutate("CCO")


def test_notes_of_a_scan_are_those_of_its_answers(variants):
    assert pd.Series(variants.scan().attrs["notes"]).str.contains("not calibrated at this level").all()
    assert variants.mutate().attrs["notes"] == variants.scan().attrs["notes"]


def test_some_sites_alone_and_none_that_does_not_exist(variants):
    some = variants.scan(sites=["K6", "M5"])
    assert len(some) == 1 + 2 * 19
    assert set(some["site"]) == {"", "M5", "K6"}
    with pytest.raises(ValueError, match=r"no site 'K5'; sites are called M5, K6, T7, \.\.\."):
        variants.scan(sites=["K5"])


def test_what_was_never_varied_is_marked():
    scan = made(Protein(wild_type=WILD_TYPE, changing=(0, 3))).scan()
    learned = scan["site"].isin(["", "M1", "A4"])
    assert (scan.loc[learned, "status"] == "ok").all()
    assert scan.loc[~learned, "status"].str.startswith("never varied in training").all()


def test_a_scan_that_would_take_hours_is_refused_at_once():
    model = made(Protein())
    with pytest.raises(ValueError, match="substitutions of 35002 tokens each would take hours: choose some sites"):
        model.scan("MKTAYIA" * 5000)
