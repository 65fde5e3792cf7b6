"""What the options of a protein recipe read, and what they refuse."""

import numpy as np
import pandas as pd
import pytest

from sciformer.domains.protein.data import ProteinData

FASTA = ">a SET=train VALIDATION=False y=1.5\nMKV\n>b SET=train VALIDATION=True y=2.5\nMKA\n>c SET=test y=0\nMKVLA\n"
SCAN = "variant,fitness,set,validation\nA2G,1.0,train,\nA2G:K3R,0.5,train,TRUE\nwt,0.9,test,TRUE\nK3*,0.0,,\n"


@pytest.fixture
def scan(tmp_path):
    (tmp_path / "scan.csv").write_text(SCAN)
    (tmp_path / "wild.fasta").write_text(">wild type\nmak\ne\n")
    return tmp_path


def states(tmp_path, **columns):
    path = tmp_path / "states.parquet"
    pd.DataFrame({"id": ["a", "b"], "sequence": ["MKV", "AC"], **columns}).to_parquet(path)
    return str(path)


def test_by_default_proteins_are_simulated_and_described():
    data = ProteinData(rows=30).load()
    assert data.simulated
    assert "simulated" in data.notes[0]
    assert [target.name for target in data.targets] == ["isoelectric_point", "hydropathy", "stability"]
    assert data.adapter.describe
    assert len([record for record in data.records if record.ok]) == 30


def test_fasta_says_its_targets_and_parts_in_its_headers(tmp_path):
    (tmp_path / "x.fasta").write_text(FASTA)
    data = ProteinData(source=str(tmp_path / "x.fasta"), targets="y", validation="VALIDATION").load("SET")
    assert data.labels == {"a": "train", "b": "validation", "c": "test"}
    assert [record.targets["y"] for record in data.records] == [1.5, 2.5, 0.0]


def test_variants_are_read_by_their_substitutions_against_a_wild_type_from_a_file(scan):
    given = ProteinData(
        source=str(scan / "scan.csv"), targets="fitness", wild_type=str(scan / "wild.fasta"), substitutions=True
    )
    data = given.load("set")
    assert data.adapter.wild_type == "MAKE"
    assert not data.adapter.describe
    assert data.adapter.token_names(data.records[1]) == ["<start>", "A2G", "K3R"]
    assert [record.data.residues for record in data.records] == ["MGKE", "MGRE", "MAKE", "MA*E"]


def test_validation_rows_are_those_of_the_training_rows_that_are_marked(scan):
    source = {"source": str(scan / "scan.csv"), "targets": "fitness", "wild_type": "MAKE"}
    assert ProteinData(**source, validation="validation").load("set").labels == {
        "1": "train",
        "2": "validation",
        "3": "test",
        "4": "",
    }
    assert set(ProteinData(**source).load("set").labels.values()) == {"train", "test", ""}


def test_labels_are_answers_per_residue_with_the_classes_met(tmp_path):
    source = states(tmp_path, state=["HC-", "CE"], mask=["110", "11"], depth=[[1.0, 2.0, np.nan], [0.5, 0.5]])
    data = ProteinData(source=source, labels="state,depth", mask="mask").load()
    assert data.adapter.labels == {"state": ["C", "E", "H"], "depth": []}
    assert [(target.name, target.kind) for target in data.targets] == [("state", "multiclass"), ("depth", "regression")]
    first = data.records[0].data
    np.testing.assert_array_equal(first.labels["state"], [2, 0, np.nan])
    np.testing.assert_array_equal(first.labels["depth"], [1, 2, np.nan])
    assert data.records[0].targets == {}


def test_numbers_per_residue_may_be_known_beforehand(tmp_path):
    source = states(tmp_path, y=[0.1, 0.2], conservation=["1 2 3", "4,5"])
    data = ProteinData(source=source, targets="y", features="conservation").load()
    np.testing.assert_array_equal(data.records[1].data.features["conservation"], [4, 5])
    assert [column.name for column in data.adapter.schema.values] == ["conservation"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": "state", "targets": "y"}, "data.labels are answers per residue, data.targets per sequence"),
        ({"labels": "state", "kinds": {"state": "binary"}}, "data.kinds and data.units are those of data.targets"),
        ({"labels": "stat"}, "no label column named 'stat'; did you mean 'state'"),
        ({"labels": "same"}, "label 'same' is 'C' at every residue; choose another"),
        ({"labels": "empty"}, "label 'empty' says nothing of any residue"),
        ({}, r"name the columns to predict: --data.targets COLUMN.*or --data.labels"),
        ({"targets": "y", "part": "sampled"}, "data.part 'sampled' is for data cards"),
        ({"targets": "y", "substitutions": True}, "give --data.wild_type"),
        ({"targets": "y", "features": "depht"}, "no feature column named 'depht'"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(tmp_path, options, message):
    source = states(tmp_path, state=["HHC", "EC"], same=["CCC", "C-"], empty=["...", "--"], y=[0.1, 0.2])
    with pytest.raises(ValueError, match=message) as caught:
        ProteinData(source=source, **options).load()
    assert "\n" not in str(caught.value)


def test_names_that_are_neither_file_nor_card_and_cards_of_others_are_refused():
    with pytest.raises(FileNotFoundError, match="no file and no data card 'flip_gb'; did you mean 'flip_gb1'"):
        ProteinData(source="flip_gb").load()
    with pytest.raises(ValueError, match="'esol' belongs to the domain 'molecule', not to proteins"):
        ProteinData(source="esol").load()


def test_a_wild_type_is_one_sequence(scan):
    (scan / "two.fasta").write_text(">a\nMAKE\n>b\nMAKE\n")
    with pytest.raises(ValueError, match=r"two\.fasta must hold one sequence in FASTA, got 2 rows"):
        ProteinData(source=str(scan / "scan.csv"), targets="fitness", wild_type=str(scan / "two.fasta")).load()
