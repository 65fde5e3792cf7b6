"""What every trained model tells of parts of records: their vectors, and how much they look at each other."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from sciformer.domains.protein.adapter import Protein
from sciformer.ensemble import Member
from sciformer.model import Sciformer, SciformerConfig
from sciformer.predictor import Predictor
from sciformer.tasks.property import Property
from sciformer.tokens import Target, collate

CONFIG = SciformerConfig(width=16, depth=2, heads=2, context=12)
SEQUENCES = ["MKTAYIAKQRQISF", "GGSWAC", "W", "ELVIS"]
WILD_TYPE = "MKTAYIAK"


def untrained(protein: Protein, members: int = 1, config: SciformerConfig = CONFIG) -> Predictor:
    torch.manual_seed(0)
    made = [Member(Sciformer(config, {"protein": protein}), Property(config, [Target("y")])) for _ in range(members)]
    for member in made:
        member.eval().requires_grad_(False).task.scale.fitted.fill_(True)
    return Predictor(protein, made, {})


@pytest.fixture(scope="module")
def model() -> Predictor:
    return untrained(Protein(), members=2)


# --- vectors of parts ------------------------------------------------------------------------------------


def test_the_vector_of_a_residue_is_the_state_of_its_token(model):
    table = model.embed_parts(SEQUENCES)
    assert list(table.columns) == ["record", "chain", "position", "residue", *map(str, range(16))]
    assert "".join(table["residue"]) == "".join(SEQUENCES)
    for i, record in enumerate(model.read(SEQUENCES)):
        states = model.members[0].model(collate([model.example(record)]).tokens).states[0, 1:-1]
        mine = table.loc[table["record"] == i, map(str, range(16))]
        np.testing.assert_allclose(mine, states.numpy(), atol=1e-5)


def test_where_all_tokens_are_parts_their_mean_is_the_vector_of_the_record(predictor, model):
    smiles = ["CCO", "bad(", "c1ccccc1O"]
    parts, whole = predictor.embed_parts(smiles), predictor.embed(smiles)
    assert parts["record"].unique().tolist() == [0, 2]
    mean = parts.drop(columns="name").groupby("record").mean()
    np.testing.assert_allclose(mean, whole.loc[[0, 2]], atol=1e-5)
    assert parts["name"].tolist()[:3] == ["C0", "C1", "O2"]
    ours = model.embed_parts(SEQUENCES).drop(columns=["chain", "position", "residue"]).groupby("record").mean()
    away = ours.to_numpy() - model.embed(SEQUENCES).to_numpy()  # <start> and <end> are tokens and no residues
    assert np.abs(away).max() > 1e-3


def test_vectors_of_parts_keep_the_labels_of_their_source(model):
    frame = pd.DataFrame({"sequence": ["MK", "M1", "AC"]}, index=["x", "y", "x"])
    assert model.embed_parts(frame)["record"].tolist() == ["x"] * 4
    assert len(model.embed_parts([])) == len(model.embed_parts(["M1"])) == 0


# --- contacts --------------------------------------------------------------------------------------------


def test_contacts_are_what_attention_says_both_ways_beyond_the_average(model):
    table = model.contacts(SEQUENCES[1])
    assert list(table.index) == list(table.columns) == ["G1", "G2", "S3", "W4", "A5", "C6"]
    np.testing.assert_allclose(table, table.T)
    np.testing.assert_allclose(table.sum(), 0, atol=1e-12)
    batch = collate([model.example(model.alone(SEQUENCES[1]))])
    seen = torch.stack([member.model.attention(batch.tokens) for member in model.members]).double()
    weights = seen.mean((0, 1, 3))[0, 1:-1, 1:-1].numpy()
    both = weights + weights.T
    by_hand = both - np.outer(both.sum(1), both.sum(0)) / both.sum()
    np.testing.assert_allclose(table, by_hand, atol=1e-6)
    assert np.abs(table.to_numpy()).max() > 1e-4


def test_contacts_of_molecules_are_those_of_atoms(predictor):
    table = predictor.contacts("CCO")
    assert list(table.index) == ["C0", "C1", "O2"]
    np.testing.assert_allclose(table.sum(axis=1), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (SEQUENCES, "one record is asked for, got 4"),
        ([], "one record is asked for, got 0"),
        ("M1", "record '1' cannot be read: "),
        (SEQUENCES[0], "more than 12 tokens is read in windows"),
        (None, "was not trained on variants of one record: name a source"),
    ],
)
def test_contacts_are_those_of_one_record_that_is_read_at_once(model, source, message):
    with pytest.raises(ValueError, match=message):
        model.contacts(source)


@pytest.mark.parametrize("backbone", ["gru", "cnn"])
def test_without_attention_there_are_no_contacts(backbone):
    model = untrained(Protein(), config=dataclasses.replace(CONFIG, backbone=backbone))
    with pytest.raises(ValueError, match="has no attention among tokens"):
        model.contacts("GGSWAC")


def test_the_record_that_is_meant_without_saying_is_the_wild_type():
    model = untrained(Protein(wild_type=WILD_TYPE))
    assert model.alone(None).data.residues == WILD_TYPE
    pd.testing.assert_frame_equal(model.contacts(None), model.contacts(WILD_TYPE))
    with pytest.raises(ValueError, match="cannot be read: 3 residues"):
        model.alone("MKT")
