"""Effects of substitutions from a backbone that fills in what is hidden: the formula, written out once more."""

import numpy as np
import pandas as pd
import pytest
import torch

import sciformer
from sciformer.domains.protein.alphabet import LABELS, STANDARD
from sciformer.foundation import Foundation
from sciformer.tasks.describe import Describe
from sciformer.tokens import collate

WILD = "MKTAYW"


@pytest.fixture(scope="module")
def backbone(foundation_path):
    return sciformer.load(foundation_path, domain="protein", device="cpu")


def logs(backbone, sequence: str, hidden: list[int]) -> torch.Tensor:
    """ln p of every letter at every token of one sequence, with some residues (from 0) hidden."""
    tokens = backbone.example(next(iter(backbone.adapter.read([sequence])))).tokens["protein"]
    where = torch.zeros(tokens.size, dtype=torch.bool)
    where[[i + 1 for i in hidden]] = True  # behind <start>
    batch = collate([sciformer.tokens.Example(key="", tokens={"protein": tokens.hide(where)})])
    task = backbone.foundation.objectives["masked_protein"]
    with torch.no_grad():
        raw = task.head(backbone.members[0].model(batch.tokens))[0, :, : len(LABELS) + 1]
    return raw.log_softmax(-1)


def formula(backbone, sequence: str, changes: dict[int, str]) -> float:
    table = logs(backbone, sequence, list(changes))
    return sum(
        float(table[i + 1, LABELS.index(to) + 1] - table[i + 1, LABELS.index(sequence[i]) + 1])
        for i, to in changes.items()
    )


def test_the_effect_of_every_substitution_is_that_of_the_formula(backbone):
    table = backbone.scan([WILD])
    assert list(table.columns) == ["variant", "site", "to", "effect", "status"]
    assert len(table) == 19 * len(WILD)
    expected = [formula(backbone, WILD, {int(row.site[1:]) - 1: row.to}) for row in table.itertuples()]
    np.testing.assert_allclose(table["effect"], expected, atol=1e-5)
    assert table["effect"].std() > 0.05  # random weights tell letters apart
    assert set(table["status"]) == {"ok"}


def test_sites_that_are_named_are_the_same_rows(backbone):
    whole = backbone.scan([WILD])
    some = backbone.scan([WILD], sites=["K2", "W6"])
    expected = whole[whole["site"].isin(["K2", "W6"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(some, expected, atol=1e-5)
    with pytest.raises(ValueError, match="no site 'K9'; sites are called M1, K2, T3"):
        backbone.scan([WILD], sites=["K9"])


def test_the_matrix_has_a_row_per_site_and_zero_where_nothing_changes(backbone):
    matrix = backbone.mutate([WILD])
    assert list(matrix.index) == ["M1", "K2", "T3", "A4", "Y5", "W6"]
    assert list(matrix.columns) == list(STANDARD)
    assert all(matrix.loc[site, site[0]] == 0 for site in matrix.index)
    table = backbone.scan([WILD]).set_index(["site", "to"])["effect"]
    assert matrix.loc["K2", "A"] == pytest.approx(table["K2", "A"], abs=1e-5)
    assert (matrix.attrs["target"], matrix.attrs["unit"]) == ("log odds", "nat")


def test_sites_of_one_variant_are_hidden_together(backbone):
    names = ["K2A", "K2A,Y5G", "M1C, T3D, W6F"]
    table = backbone.variants([WILD], names)
    expected = [
        formula(backbone, WILD, {1: "A"}),
        formula(backbone, WILD, {1: "A", 4: "G"}),
        formula(backbone, WILD, {0: "C", 2: "D", 5: "F"}),
    ]
    np.testing.assert_allclose(table["effect"], expected, atol=1e-5)
    assert table["variant"].tolist() == names
    apart = formula(backbone, WILD, {1: "A"}) + formula(backbone, WILD, {4: "G"})
    assert abs(apart - expected[1]) > 1e-4  # one hides what the other is told by


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("K3A", r"has 'K3A', which is no substitution of record '.*'; they are called M1A, M1C, M1D"),
        ("K2B", "has 'K2B', which is no substitution"),
        ("K2K", "has 'K2K', which is no substitution"),
        ("K2A,K2C", "each at another site"),
        ("", "must have one substitution or more"),
    ],
)
def test_what_is_no_variant_is_refused_by_name(name, message, backbone):
    with pytest.raises(ValueError, match=message):
        backbone.variants([WILD], ["K2A", name])


def test_an_unknown_residue_has_no_effects_and_says_why(backbone):
    table = backbone.scan(["MXTA"])
    odd = table[table["site"] == "X2"]
    assert odd["effect"].isna().all()
    assert set(odd["status"]) == {"nothing to compare with: X at X2 is not told apart"}
    assert table[table["site"] != "X2"]["effect"].notna().all()
    assert backbone.mutate(["MXTA"]).loc["X2"].isna().all()
    told = backbone.variants(["MXTA"], ["M1A", "M1A,X2A"])
    assert told["effect"].isna().tolist() == [False, True]


def test_a_sequence_of_one_letter_has_effects(backbone):
    assert backbone.scan(["AAA"])["effect"].notna().all()


def test_effects_do_not_depend_on_the_batch(backbone, monkeypatch):
    from sciformer import ensemble

    whole = backbone.scan([WILD])
    monkeypatch.setattr(ensemble, "MINIMUM", ensemble.BatchConfig(records=1))
    monkeypatch.setattr(ensemble, "HELD", 1)
    pd.testing.assert_frame_equal(backbone.scan([WILD]), whole, atol=1e-5)


def test_what_would_take_hours_is_refused(backbone, monkeypatch):
    monkeypatch.setattr("sciformer.substitutions.SCANNED", 40)
    with pytest.raises(ValueError, match="reading a record of 8 tokens 6 times would take hours: choose some sites"):
        backbone.scan([WILD])
    assert len(backbone.scan([WILD], sites=["M1"])) == 19


@pytest.mark.parametrize(
    ("source", "message"),
    [(["MK1"], "'1' at position 3"), (["MK", "MA"], "one record is asked for, got 2"), ([""], "cannot be read")],
)
def test_what_is_not_one_readable_protein_is_refused(source, message, backbone):
    with pytest.raises(ValueError, match=message):
        backbone.scan(source)


def test_a_domain_without_substitutions_says_so(foundation_path):
    with pytest.raises(ValueError, match="records of the domain 'molecule' have no substitutions"):
        sciformer.load(foundation_path, domain="molecule").mutate(["CCO"])


def test_a_backbone_without_the_objective_says_what_it_learned(backbone):
    model = backbone.members[0].model
    task = Describe(model.config, "protein", ["length"])
    other = Foundation({"protein": backbone.adapter}, model, {"descriptors": task}).backbone()
    with pytest.raises(ValueError, match=r"did not learn to fill in .* 'protein' \(it learned describe\)"):
        other.scan([WILD])
