"""The data options of a light-curve recipe: files, cards and the simulated sky give one kind of data set."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
import torch

from sciformer.discovery import from_json, to_json
from sciformer.domains.lightcurve.data import LightCurveData
from sciformer.tokens import Target


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        {"object_id": i, "time": 57_000 + t, "band": "gr"[j % 2], "flux": rng.normal(), "flux_err": 0.1}
        for i in range(12)
        for j, t in enumerate(np.sort(rng.uniform(0, 50, 8)))
    ]
    kinds = ["Ia", "II", "Ib", "II", "Ia", "II"] * 2
    objects = [{"object_id": i, "type": kinds[i], "z": 0.1 * i, "survey": "AB"[i % 2]} for i in range(12)]
    pd.DataFrame(rows).to_csv(tmp_path / "observations.csv", index=False)
    pd.DataFrame(objects).to_csv(tmp_path / "objects.csv", index=False)
    return {"source": str(tmp_path / "observations.csv"), "objects": str(tmp_path / "objects.csv")}


def test_a_table_of_observations_and_one_of_objects(files):
    found = LightCurveData(**files, targets="type,z").load("survey")
    assert found.targets == (Target("type", "multiclass", "", ("II", "Ia", "Ib")), Target("z"))
    assert found.adapter.bands == ("g", "r")
    assert [record.ok for record in found.records] == [True] * 12
    assert found.records[0].targets == {"type": 1.0, "z": 0.0}
    assert found.labels is not None
    assert list(found.labels.values())[:2] == ["A", "B"]


def test_one_class_against_the_rest_is_the_positive_one(files):
    found = LightCurveData(**files, targets="type", against={"type": "Ia"}).load()
    assert found.targets == (Target("type", "binary", "", ("rest", "Ia")),)
    assert [record.targets["type"] for record in found.records][:4] == [1.0, 0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="no object is of class 'Ic' in column 'type'"):
        LightCurveData(**files, targets="type", against={"type": "Ic"}).load()


def test_rare_classes_are_unknown(files):
    found = LightCurveData(**files, targets="type", fewest=3).load()
    assert found.targets[0].classes == ("II", "Ia")
    assert sum(bool(record.targets) for record in found.records) == 10
    with pytest.raises(ValueError, match="target 'type' is 'II' in all 6 labelled rows"):
        LightCurveData(**files, targets="type", fewest=5).load()


def test_a_target_is_never_metadata(files):
    table = pd.read_csv(files["objects"]).rename(columns={"z": "hostz"}).assign(mwebv=0.1)
    table.to_csv(files["objects"], index=False)
    beside = LightCurveData(**files, targets="type").load()
    assert beside.adapter.meta == {"redshift": 1.0, "extinction": 1.0}
    assert "redshift" in beside.records[1].data.meta
    found = LightCurveData(**files, targets="hostz").load()
    assert not any("redshift" in record.data.meta for record in found.records)
    assert found.adapter.meta == {"extinction": 1.0}
    assert found.notes[0].startswith("hostz is a target, so it is withheld from the metadata")
    # a checkpoint reads it no more than training did, whichever way it comes
    adapter = from_json(json.loads(json.dumps(to_json(found.adapter))))
    (again, *_) = adapter.read(files["source"], objects=files["objects"])
    assert again.data.meta == {"extinction": 0.1}
    told = dataclasses.replace(again, data=dataclasses.replace(again.data, meta={"redshift": 0.5, "extinction": 0.1}))
    assert torch.equal(adapter.tokenize(told).observed, adapter.tokenize(again).observed)


def test_metadata_that_equal_a_target_are_a_leak(files):
    table = pd.read_csv(files["objects"])
    table.assign(hostz=table["z"]).to_csv(files["objects"], index=False)
    notes = LightCurveData(**files, targets="z").load().notes
    assert notes[0].startswith("LEAK: the metadata give away z: another column is read as redshift")
    assert "LEAK" not in str(LightCurveData(**files, targets="type").load().notes)


def test_the_simulated_sky_says_that_it_is_simulated():
    found = LightCurveData(rows=30).load()
    assert found.simulated
    assert "simulated" in found.notes[0]
    assert {target.name for target in found.targets} == {"class", "log10_period"}
    assert len(found.records) == 30


def test_folding_is_a_choice_of_the_data(files):
    assert not LightCurveData(**files, targets="type").load().adapter.fold
    found = LightCurveData(**files, targets="type", fold=True).load()
    assert found.adapter.fold
    assert from_json(to_json(found.adapter)) == found.adapter


def test_an_objects_table_that_is_not_there_is_named(files):
    with pytest.raises(FileNotFoundError, match=r"there is no objects table nope\.csv; check the path"):
        LightCurveData(source=files["source"], objects="nope.csv", targets="type").load()


def test_a_source_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match="no file, folder or data card 'nowhere'"):
        LightCurveData(source="nowhere").load()
    with pytest.raises(ValueError, match="'esol' belongs to the domain 'molecule'"):
        LightCurveData(source="esol").load()


def test_real_supernovae_by_the_name_of_their_card(mirror):
    found = LightCurveData(source="snpcc", targets="sim_type", against={"sim_type": "Ia"}).load("sntype")
    assert len(found.records) == 5103
    assert sum(record.targets["sim_type"] for record in found.records) == 1430
    assert found.labels is not None
    assert sum(label == "-9" for label in found.labels.values()) == 4000
    assert found.adapter.bands == ("g", "i", "r", "z")


def test_raw_files_by_the_name_of_their_card(mirror):
    found = LightCurveData(source="snpcc_raw", targets="sim_type").load()
    assert len(found.records) == 40
    assert found.targets[0].classes[:2] == ("II", "IIL")
    assert LightCurveData(source="supernnova_des", targets="sim_redshift_cmb").load().adapter.bands == (
        "g",
        "i",
        "r",
        "z",
    )
    assert LightCurveData(source="stripe82_raw").load().records[0].data.scale == "MJD"
