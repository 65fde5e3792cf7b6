"""A trained model of light curves in use: what must be known of its answers is said with them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sciformer

ROOT = Path(__file__).resolve().parents[3]
SMALL = ["--model.width", "24", "--model.depth", "1", "--model.heads", "2", "--optim.epochs", "2"]


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Forty objects under numbers, whose size follows from their redshift."""
    rng = np.random.default_rng(0)
    ids = 4000 + np.arange(40)
    time = 58_000 + np.sort(rng.uniform(0, 60, (40, 8)))
    observations = {
        "object_id": np.repeat(ids, 8),
        "mjd": time.ravel(),
        "band": np.tile(list("gr"), 160),
        "flux": rng.normal(100, 10, 320),
        "flux_err": 1.0,
    }
    redshift = rng.uniform(0.1, 1, 40)
    return pd.DataFrame(observations), pd.DataFrame({"object_id": ids, "hostz": redshift, "size": 3 * redshift})


@pytest.fixture(scope="module")
def folder(tables, tmp_path_factory) -> Path:
    from sciformer.cli import run_recipe

    folder = tmp_path_factory.mktemp("use")
    for table, name in zip(tables, ("sn.csv", "sn_obj.csv"), strict=True):
        table.to_csv(folder / name, index=False)
    data = ["--data.source", str(folder / "sn.csv"), "--data.objects", str(folder / "sn_obj.csv")]
    options = ["--data.targets", "size", *SMALL, "--baselines", "false", "--split.fractions", "[0.5,0.1,0.2,0.2]"]
    run_recipe(str(ROOT / "recipes" / "lightcurve" / "property.py"), [*data, *options, "--out", str(folder / "run")])
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return sciformer.load(folder / "run" / "checkpoint")


def test_metadata_that_were_learned_and_are_not_given_are_missed(model, tables, folder, command):
    observations, objects = tables
    (note,) = model.predict(observations, level=0.5).attrs["notes"]
    assert note.startswith("40 of 40 objects lack redshift (hostz or the like), which 100% of the training objects had")
    assert "--columns.objects" in note
    assert model.predict(observations, level=0.5, objects=objects).attrs["notes"] == []
    few = objects.assign(hostz=objects["hostz"].where(objects["object_id"] > 4002))
    assert model.predict(observations, level=0.5, objects=few).attrs["notes"] == []  # as may happen to anybody
    done = command(folder, "predict", "run/checkpoint", "sn.csv", "-o", "out.csv")
    assert "Note: 40 of 40 objects lack redshift" in done.stdout
    done = command(folder, "predict", "run/checkpoint", "sn.csv", "-o", "out.csv", "--columns.objects", "sn_obj.csv")
    assert "lack" not in done.stdout + done.stderr
    assert "40 records predicted" in done.stdout


def test_what_the_reader_did_is_said_with_the_answers(model, tables, folder, command):
    observations, objects = tables
    worse = observations.assign(flux=observations["flux"].where(observations.index % 8 > 0, -999.0))
    (note,) = model.predict(worse, objects=objects, level=0.5).attrs["notes"]
    assert note == "40 objects: observations with a placeholder for a value, left out: 1"
    worse.to_csv(folder / "worse.csv", index=False)
    for verb in ("predict", "evaluate"):
        done = command(folder, verb, "run/checkpoint", "worse.csv", "-o", "out.csv", "--columns.objects", "sn_obj.csv")
        assert f"Note: {note}" in done.stdout


def test_a_level_that_is_not_calibrated_is_said_with_the_answers(model, tables):
    observations, objects = tables
    notes = model.predict(observations, objects=objects, level=0.95).attrs["notes"]
    assert notes == [
        "size: 8 calibration records are too few to promise 95% coverage (19 needed): not calibrated at this level"
    ]


def test_labels_without_a_table_of_objects_are_asked_for(folder, command):
    for args in (
        ("train", "lightcurve/property", "--data.source", "sn.csv", "--data.targets", "size", "--out", "none"),
        ("evaluate", "run/checkpoint", "sn.csv", "-o", "out.csv"),
    ):
        done = command(folder, *args)
        assert done.returncode == 1
        assert "give it as `objects` (--columns.objects; in training --data.objects)" in done.stderr
    done = command(folder, "predict", "run/checkpoint", "sn.csv", "-o", "out.csv", "--columns.table", "sn_obj.csv")
    assert "objects (the table of objects)" in done.stderr


def test_a_column_of_another_name_is_given_by_an_option(folder, tables, command):
    tables[0].rename(columns={"mjd": "when"}).to_csv(folder / "when.csv", index=False)
    done = command(folder, "predict", "run/checkpoint", "when.csv", "-o", "out.csv")
    assert "name it as `time` (--columns.time; in training --data.columns.time)" in done.stderr
    done = command(folder, "predict", "run/checkpoint", "when.csv", "-o", "out.csv", "--columns.time", "when")
    assert done.returncode == 0, done.stderr
    options = ["--data.columns.time", "when", "--data.objects", "sn_obj.csv", "--data.targets", "size"]
    done = command(folder, "train", "lightcurve/property", "--data.source", "when.csv", *options, *SMALL)
    assert done.returncode == 0, done.stderr


def test_answers_carry_the_ids_of_the_table(model, tables):
    observations, objects = tables
    answers = model.predict(observations, objects=objects)
    assert answers.join(objects.set_index("object_id")["hostz"])["hostz"].notna().all()
    one = observations["object_id"] == 4000
    assert model.predict(observations[one], objects=objects).index.tolist() == objects["object_id"].tolist()
    with pytest.raises(TypeError, match=r"predicts properties and forecasts nothing: use \.predict"):
        model.forecast(observations)


def test_scores_on_records_of_training_are_said_to_be_too_good(folder, tables, command):
    objects = ["--columns.objects", "sn_obj.csv"]
    done = command(folder, "evaluate", "run/checkpoint", "sn.csv", "-o", "out.csv", *objects)
    assert "Note: 32 of these 40 records were used in training: the scores are too good" in done.stdout
    test = json.loads((folder / "run" / "splits.json").read_text())["parts"]["test"]
    observations = tables[0]
    observations[observations["object_id"].isin(map(int, test))].to_csv(folder / "test.csv", index=False)
    done = command(folder, "evaluate", "run/checkpoint", "test.csv", "-o", "out.csv", *objects)
    assert done.returncode == 0
    assert "used in training" not in done.stdout
