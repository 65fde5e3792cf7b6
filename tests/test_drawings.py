"""What a trained model draws of its science: which sites, which records, and nothing where there is nothing to see."""

import dataclasses

import numpy as np
import pytest
import torch

from sciformer import drawings
from sciformer.adapter import Record
from sciformer.assessment import predictions
from sciformer.domains.molecule.adapter import Molecule
from sciformer.domains.protein.adapter import Protein
from sciformer.ensemble import Member
from sciformer.model import Sciformer, SciformerConfig
from sciformer.predictor import Predictor
from sciformer.tasks.property import Property
from sciformer.tokens import Target

pytestmark = pytest.mark.usefixtures("painted")

WILD_TYPE = "MKTAYIAKQRQISFVKSHFSRQ"
TARGETS = (Target("fitness", unit="kcal/mol"), Target("active", "binary", classes=("no", "yes")))


def made(adapter, **config) -> Predictor:
    shape = SciformerConfig(width=16, depth=1, heads=2, **config)
    torch.manual_seed(0)
    member = Member(Sciformer(shape, {adapter.name: adapter}), Property(shape, TARGETS)).eval()
    member.task.scale.fitted.fill_(True)
    return Predictor(adapter, [member.requires_grad_(False)], {})


def read(adapter, *texts: str) -> list[Record]:
    return list(adapter.read(list(texts)))


def variants(**options) -> Predictor:
    protein = Protein(wild_type=WILD_TYPE, **options)
    return made(protein.fitted(read(protein, "M1A", "M1G", "Y5A,M1C")))


def test_the_sites_that_varied_in_training_are_drawn_for_every_target():
    drawn = drawings.changes(variants(substitutions=True), [])
    assert [x["title"] for x in drawn] == [f"Effects of single changes on {name}" for name in ("fitness", "active")]
    caption = drawn[0]["caption"]
    assert "change of fitness [kcal/mol] by each single change of the wild type" in caption
    assert "the 2 of 22 sites that vary in the training part: nothing was learned of the others" in caption
    assert all(site in drawn[0]["svg"] for site in ("M1", "Y5"))
    assert "K2" not in drawn[0]["svg"]
    assert "the probability of active being yes" in drawn[1]["caption"]


def test_of_too_many_changes_the_most_variable_sites_are_drawn(monkeypatch):
    monkeypatch.setattr(drawings, "CHANGED", 19 * 25)
    drawn = drawings.changes(variants(), [])
    assert "Drawn are 1 of 22 sites, those that vary most often" in drawn[0]["caption"]
    assert "M1" in drawn[0]["svg"]
    assert "Y5" not in drawn[0]["svg"]


def test_without_a_wild_type_the_first_short_protein_is_changed():
    records = read(Protein(), "MK" * 90, "MKT", "MKV")
    drawn = drawings.changes(made(Protein()), records)
    assert "each single change of test record 2:" in drawn[0]["caption"]
    assert "All 3 sites are drawn." in drawn[0]["caption"]


def test_other_domains_and_models_that_learned_of_no_site_draw_nothing():
    molecules = made(Molecule())
    assert drawings.of_records(molecules, read(Molecule(), "CCO", "CCN")) == []
    assert drawings.changes(made(Protein(wild_type=WILD_TYPE)), []) == []


@pytest.mark.parametrize(
    ("config", "maps"), [({}, 2), ({"context": 64}, 1), ({"backbone": "gru"}, 0), ({"context": 8}, 0)]
)
def test_contacts_are_drawn_of_records_that_are_read_as_a_whole(config, maps):
    records = read(Protein(), WILD_TYPE, "MKT", WILD_TYPE * 4, WILD_TYPE * 2, WILD_TYPE * 3)
    drawn = drawings.contacts(made(Protein(), **config), [records[0], *records[1:3]])
    assert len(drawn) == maps
    assert all("Attention is not explanation" in x["caption"] for x in drawn)


def test_tracks_go_from_the_worst_protein_to_the_best(annotator, make_residues):
    records = annotator.read(make_residues(20, seed=4), mask="resolved")
    table = predictions(annotator, records, "test")
    drawn = drawings.tracks(annotator, table, records)
    state = [x for x in drawn if x["title"].startswith("state along ")]
    scores = [float(x["caption"].split()[1].rstrip(",")) for x in state]
    assert scores == sorted(scores)
    assert len(state) == len(drawn) - len(state) == drawings.TRACKS // 2
    assert "the worst of 20 test records" in state[0]["caption"]
    assert "the best of 20 test records" in state[-1]["caption"]
    assert drawn[-1]["caption"].startswith("RMSE ")


def test_truths_stand_beside_the_answers_of_their_residues(annotator, make_residues):
    (record,) = annotator.read(make_residues(1, seed=5), mask="resolved")
    target = annotator.targets[0]
    table = drawings._answers(annotator, record, target)
    known = [None if np.isnan(x) else target.classes[int(x)] for x in record.data.labels["state"]]
    assert table["truth"].tolist() == known
    assert table["prediction"].str.cat() == annotator.predict([record.data.residues])["state"].iloc[0]
    assert drawings.tracks(annotator, predictions(annotator, [record], "test").iloc[:0], [record]) == []


def test_members_share_the_budget():
    one = made(Protein())
    two = dataclasses.replace(one, members=[*one.members, *one.members])
    assert drawings.changes(two, read(Protein(), "MKT"))
