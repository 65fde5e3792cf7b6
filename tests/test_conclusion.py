"""A run that learns labels of residues: what it writes, what it refuses, and that it goes on."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sciformer.cli import run_recipe
from sciformer.tasks.token_property import TokenProperty

RECIPE = str(Path(__file__).resolve().parent.parent / "recipes" / "protein" / "property.py")


def load_json(path: Path):
    return json.loads(path.read_text())


@pytest.fixture(scope="module")
def told(annotated_run) -> pd.DataFrame:
    return pd.read_csv(annotated_run / "predictions.csv", dtype={"truth": str})


def known(residues: pd.DataFrame, key: str, target: str) -> list[str]:
    """What the table says of the residues that count."""
    row = residues.set_index("id").loc[key]
    entries = list(row["state"]) if target == "state" else row["exposure"].split(" ")
    counted = zip(entries, row["resolved"], strict=True)
    return [entry for entry, counts in counted if counts == "1" and entry != "-"]


def test_the_predictions_are_those_of_known_residues_of_test_proteins(annotated_run, residues, told):
    test = load_json(annotated_run / "splits.json")["parts"]["test"]
    assert set(told["part"]) == {"test"}
    for target in ("state", "exposure"):
        rows = told[told["target"] == target]
        assert set(rows["key"]) == set(test)
        for key in test:
            truth = rows.loc[rows["key"] == key, "truth"].tolist()
            asked = known(residues, key, target)
            assert truth == asked if target == "state" else list(map(float, truth)) == list(map(float, asked))


def test_scores_are_of_residues_and_their_intervals_of_proteins(annotated_run, told):
    scores = pd.read_csv(annotated_run / "scores.csv").set_index(["target", "metric"])
    state, exposure = (told[told["target"] == name] for name in ("state", "exposure"))
    assert scores.loc[("state", "accuracy"), "value"] == pytest.approx((state["truth"] == state["prediction"]).mean())
    errors = exposure["truth"].astype(float) - exposure["prediction"].astype(float)
    assert scores.loc[("exposure", "RMSE"), "value"] == pytest.approx(np.sqrt((errors**2).mean()))
    assert scores.loc[("state", "accuracy"), "n"] == len(state)
    for label in "CEH":
        row = scores.loc[("state", f"coverage of {label}")]
        assert row["n"] == (state["truth"] == label).sum()
        assert row["lower"] <= row["value"] <= row["upper"]


def test_what_follows_from_the_letter_is_learned(annotated_run):
    scores = pd.read_csv(annotated_run / "scores.csv").set_index(["target", "metric"])["value"]
    assert scores["state", "accuracy"] > 0.8
    assert scores["exposure", "R2"] > 0.5


def test_calibration_counts_proteins(annotated_run):
    facts, parts = load_json(annotated_run / "run.json"), load_json(annotated_run / "splits.json")["parts"]
    assert facts["state"] == "finished"
    for name in ("state", "exposure"):
        assert facts["calibration"][name]["n"] == len(parts["calibration"])
    assert max(facts["calibration"]["state"]["classes"].values()) <= len(parts["calibration"])
    assert [target["name"] for target in facts["targets"]] == ["state", "exposure"]
    rows = pd.read_csv(annotated_run / "rows.csv").set_index("key")
    assert rows.index[rows["status"] == "unreadable"].tolist() == ["p5", "p9"]


# --- runs that go on -------------------------------------------------------------------------------------


@pytest.fixture
def cut(residue_options, tmp_path, monkeypatch, capsys):
    """A run that failed in the midst of training, and a way to go on."""
    score, steps = TokenProperty.score, iter(range(1000))

    def fail(task, answer, problem):
        if next(steps) == 17:
            raise OSError("the lights went out")
        return score(task, answer, problem)

    def go_on() -> Path:
        run_recipe(RECIPE, [*residue_options, "--out", str(tmp_path / "run")])
        return tmp_path / "run"

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(TokenProperty, "score", fail)
        go_on()
    assert "the lights went out" in capsys.readouterr().err
    assert (tmp_path / "run" / "resume" / "member-0" / "last.ckpt").exists()
    return go_on


def test_an_interrupted_run_goes_on_to_the_same_bits(cut, annotated_run, capsys):
    out = cut()
    assert "Going on with" in capsys.readouterr().out
    for name in ("predictions.csv", "scores.csv", "checkpoint/model.safetensors", "checkpoint/calibration.json"):
        assert (out / name).read_bytes() == (annotated_run / name).read_bytes()


def test_a_run_does_not_go_on_with_edited_labels(cut, residues, residue_options, capsys):
    source, edited = Path(residue_options[residue_options.index("--data.source") + 1]), residues.copy()
    edited.loc[0, "state"] = edited.loc[0, "state"].translate(str.maketrans("HEC", "ECH"))
    before = source.read_bytes()
    try:
        edited.to_csv(source, index=False)
        with pytest.raises(SystemExit):
            cut()
    finally:
        source.write_bytes(before)
    assert "the data have changed since it began" in capsys.readouterr().err


# --- runs that are refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [("--optim.balance", "0.5"), ("--uncertainty.variants", "2"), ("--uncertainty.adapt", "true")],
    ids=lambda options: options[0],
)
def test_settings_that_would_do_nothing_are_refused(options, residue_options, tmp_path, capsys):
    with pytest.raises(SystemExit):
        run_recipe(RECIPE, [*residue_options, *options, "--out", str(tmp_path / "run")])
    assert "labels of every token are neither adapted to nor balanced" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["position", "chain", "residue", "record", "status"])
def test_a_label_that_could_not_be_told_from_other_columns_of_the_answers_is_refused(
    name, residues, residue_options, tmp_path, capsys
):
    options = list(residue_options)
    options[options.index("--data.source") + 1] = str(tmp_path / "named.csv")
    options[options.index("--data.labels") + 1] = name
    residues.rename(columns={"state": name}).to_csv(tmp_path / "named.csv", index=False)
    with pytest.raises(SystemExit):
        run_recipe(RECIPE, [*options, "--out", str(tmp_path / "run")])
    error = capsys.readouterr().err
    assert f"two columns of the answers would be called {name!r}; rename a target column" in error
    assert len(error.splitlines()) == 1
