"""From a table to a checkpoint: what a run writes, and the corners of splits and targets."""

import csv
import json
from pathlib import Path

import pandas as pd
import pytest

from sciformer import summary
from sciformer.cli import run_recipe
from sciformer.data.splits import PARTS
from sciformer.domains.molecule.data import MoleculeData
from sciformer.domains.molecule.simulate import simulate
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.recipe import Recipe, RunOptions, Uncertainty, train
from sciformer.tokens import Target

FILES = [
    "run.json",
    "config.yaml",
    "splits.json",
    "audit.json",
    "rows.csv",
    "metrics.csv",
    "scores.csv",
    "predictions.csv",
    "examples.json",
    "environment.json",
    "report.html",
    "checkpoint",
]


def load_json(path):
    return json.loads(path.read_text())


@pytest.fixture
def run(recipe_file, tiny, tmp_path, capsys):
    """Train a tiny model on a table with some options; returns the run directory and what was said."""

    def go(table: pd.DataFrame, targets: str, *options: str):
        path, out = tmp_path / "table.csv", tmp_path / "run"
        table.to_csv(path, index=False)
        data = ["--data.source", str(path), "--data.targets", targets]
        run_recipe(recipe_file, [*data, *tiny, "--optim.epochs", "1", "--out", str(out), *options])
        return out, capsys.readouterr().out

    return go


# --- a finished run --------------------------------------------------------------------------------------


def test_a_run_leaves_every_file_and_nothing_else(finished_run):
    assert sorted(entry.name for entry in finished_run.iterdir()) == sorted(FILES)
    facts = load_json(finished_run / "run.json")
    assert facts["state"] == "finished"
    assert facts["data"] == {**facts["data"], "rows": 70, "readable": 68, "unreadable": 2}
    assert [target["kind"] for target in facts["targets"]] == ["regression", "binary", "multiclass"]
    assert not facts["simulated"]


def test_every_row_of_the_input_has_a_line_that_says_what_became_of_it(finished_run, molecules):
    rows = pd.read_csv(finished_run / "rows.csv", keep_default_na=False)
    assert rows["key"].tolist() == molecules["id"].tolist()
    assert rows.loc[rows["status"] == "unreadable", "key"].tolist() == ["m3", "m50"]
    assert rows.loc[[3, 50], "problem"].str.len().min() > 5
    splits = load_json(finished_run / "splits.json")["parts"]
    named = {key: part for part, keys in splits.items() for key in keys}
    assert rows["part"].tolist() == [named.get(key, "") for key in rows["key"]]


def test_predictions_are_those_of_the_checkpoint_on_records_that_were_held_out(finished_run, predictor, molecules):
    table = pd.read_csv(finished_run / "predictions.csv", dtype={"key": str})
    train = set(load_json(finished_run / "splits.json")["parts"]["train"])
    assert set(table["part"]) == {"validation", "calibration", "test"}
    assert not train & set(table["key"])
    answers = predictor.predict(molecules).set_axis(molecules["id"])
    numbers = table[table["target"] == "logS_mol_per_L"].set_index("key")
    expected = answers.loc[numbers.index, "logS_mol_per_L"]
    pd.testing.assert_series_equal(numbers["prediction"].astype(float), expected, check_names=False, rtol=1e-5)
    for name, truth in numbers["truth"].astype(float).items():
        assert truth == pytest.approx(molecules.set_index("id").loc[name, "logS_mol_per_L"])


def test_scores_can_be_computed_again_from_the_predictions(finished_run):
    table = pd.read_csv(finished_run / "predictions.csv")
    scores = pd.read_csv(finished_run / "scores.csv").set_index(["target", "metric"])
    rows = table[(table["part"] == "test") & (table["target"] == "logS_mol_per_L")]
    truth, guess = rows["truth"].astype(float), rows["prediction"].astype(float)
    assert scores.loc[("logS_mol_per_L", "RMSE"), "value"] == pytest.approx(((truth - guess) ** 2).mean() ** 0.5)
    inside = (rows["lower"] <= truth) & (truth <= rows["upper"])
    assert scores.loc[("logS_mol_per_L", "coverage"), "value"] == pytest.approx(inside.mean())
    rows = table[(table["part"] == "test") & (table["target"] == "colour")]
    hit = (rows["truth"] == rows["prediction"]).mean()
    assert scores.loc[("colour", "accuracy"), "value"] == pytest.approx(hit)


def test_learning_curves_have_a_row_per_epoch(finished_run):
    with (finished_run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(float(row["train_loss"]) == float(row["train_loss"]) for row in rows)


def test_the_same_recipe_gives_the_same_bits(tmp_path):
    recipe = Recipe(
        title="Twice",
        data=MoleculeData(rows=30),
        model=SciformerConfig(width=16, depth=1, heads=2),
        optim=OptimConfig(epochs=1),
    )
    said = []
    for name in ("a", "b"):
        train(recipe, RunOptions(out=str(tmp_path / name), baselines=False), said.append)
    weights = [(tmp_path / name / "checkpoint" / "model.safetensors").read_bytes() for name in ("a", "b")]
    assert weights[0] == weights[1]
    assert load_json(tmp_path / "a" / "run.json")["simulated"]
    assert any("simulated: they demonstrate the program" in line for line in said)


# --- a run that goes on ----------------------------------------------------------------------------------


@pytest.fixture
def cut(run, tmp_path, monkeypatch, capsys):
    """A run that failed when its model had been trained: what it was made from, and a way to go on."""
    table = simulate(40, seed=3)
    options = ("--split.fractions", "[0.4,0.2,0.2,0.2]")

    def fail(*args):
        raise OSError("the lights went out")

    def go_on(changed=table, *more):
        return run(changed, "logS_mol_per_L", *options, *more)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("sciformer.recipe.Conclusion.draw", fail)
        go_on()
    assert "the lights went out" in capsys.readouterr().err
    assert load_json(tmp_path / "run" / "run.json")["state"] == "failed"
    return table, go_on


@pytest.mark.parametrize("part", PARTS)
def test_a_run_does_not_go_on_with_edited_labels(part, cut, tmp_path, capsys):
    table, go_on = cut
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.[cj]s*")}
    row = int(load_json(tmp_path / "run" / "splits.json")["parts"][part][0]) - 1
    edited = table.copy()
    edited.loc[row, "logS_mol_per_L"] += 0.25
    with pytest.raises(SystemExit):
        go_on(edited)
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "the data have changed since it began" in error
    assert "--overwrite true" in error
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").glob("*.[cj]s*")} == before
    out, said = go_on()
    assert "Going on with" in said
    assert load_json(out / "run.json")["state"] == "finished"


def test_a_run_does_not_go_on_with_another_row(cut, capsys):
    table, go_on = cut
    with pytest.raises(SystemExit):
        go_on(pd.concat([table, table.tail(1)]))
    assert "the data have changed since it began" in capsys.readouterr().err


def test_a_finished_model_whose_states_are_damaged_is_trained_again(cut, tmp_path):
    table, go_on = cut
    states = list((tmp_path / "run" / "resume" / "member-0").iterdir())
    assert "last.ckpt" in [path.name for path in states]
    for path in states:
        damaged = bytearray(path.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        path.write_bytes(damaged)
    out, said = go_on()
    assert "Going on with" in said
    weights = (out / "checkpoint" / "model.safetensors").read_bytes()
    go_on(table, "--overwrite", "true")
    assert weights == (out / "checkpoint" / "model.safetensors").read_bytes()


# --- what is said ----------------------------------------------------------------------------------------


def test_a_class_with_a_comma_is_told_from_two():
    line = summary.target_line([Target("kind", "binary", classes=("no", "yes, surely"))])
    assert line == "Targets: kind (2 classes: no, 'yes, surely')"


def test_every_row_and_every_inferred_kind_is_accounted_for_at_the_start(run):
    table = simulate(60, seed=3)
    table["colour"] = [("red", "green", "blue")[i % 3] for i in range(60)]
    table.loc[:9, ["logS_mol_per_L", "crosses_membrane", "colour"]] = None
    table.loc[20:26, "smiles"] = "C1CC"
    out, said = run(table, "logS_mol_per_L,crosses_membrane,colour")
    assert "43 to learn from, 10 without a label, 7 unreadable" in said
    assert "  and 2 more: rows.csv" in said
    assert "Targets: logS_mol_per_L (regression); crosses_membrane (2 classes: 0, 1); colour (3 classes: " in said
    assert f"All scores: {out / 'scores.csv'}" in said
    facts = load_json(out / "run.json")["calibration"]
    assert facts["colour"]["n"] == sum(facts["colour"]["classes"].values())


def test_a_mistake_does_not_cost_the_run_that_was_to_be_replaced(run, tmp_path, capsys):
    table = simulate(40, seed=3)
    out, _ = run(table, "logS_mol_per_L")
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit):
        run(table, "logS_mol_per_L", "--overwrite", "true", "--split.kind", "foo")
    assert "foo" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    run(table, "logS_mol_per_L", "--overwrite", "true", "--seed", "3")
    assert load_json(out / "run.json")["seed"] == 3
    assert not (out / ".previous-run").exists()


TOX = [Target(f"t{i}", "binary", classes=("0", "1")) for i in range(13)]


def test_every_target_has_its_line_and_what_is_left_out_is_counted():
    rows = [
        ("test", "sciformer", target.name, metric, 0.8, 0.7, 0.9, 50)
        for target in TOX
        for metric in ("ROC-AUC", "Brier", "coverage", "coverage of 1")
    ]
    scores = pd.DataFrame(rows, columns=["part", "model", "target", "metric", "value", "lower", "upper", "n"])
    comparison = pd.DataFrame(
        [(target.name, "ROC-AUC", "forest", 0.1, -0.05, 0.25, "no clear difference") for target in TOX],
        columns=["target", "metric", "baseline", "difference", "lower", "upper", "verdict"],
    )
    lines = summary.score_lines(TOX, scores, comparison, 0.9, Path("runs"))
    assert lines[0] == (
        "  t0  ROC-AUC 0.800 (95 % 0.700 to 0.900), "
        "coverage 80 % (70 to 90 %) for 90 % [class 1: 80 % of 50], 50 records"
    )
    assert len([line for line in lines if "coverage" in line]) == 13
    assert "t0  ROC-AUC minus that of forest, the best classical: +0.100 (95 % -0.050 to +0.250), no clear" in lines[13]
    assert lines[-3].startswith("  t12  ROC-AUC minus that of forest")
    assert lines[-2:] == ["All comparisons: runs/comparison.csv", "All scores: runs/scores.csv"]
    last = summary.score_lines(TOX, scores.head(0), comparison.head(0), 0.9, Path("runs"))
    assert last == ["All scores: runs/scores.csv"]


def test_of_many_comparisons_only_those_with_the_best_classical_model_are_told():
    rows = [
        (target.name, metric, model, difference, difference - 1e-5, difference + 1e-5, "better")
        for target in TOX[:5]
        for metric, factor in (("CRPS", 1), ("relative CRPS", 9))
        for model, difference in (("climatology", -factor * 4e-5), ("kriging", -factor * 2e-5))
    ]
    columns = ["target", "metric", "baseline", "difference", "lower", "upper", "verdict"]
    scores = pd.DataFrame(columns=["part", "model", "target", "metric", "value", "lower", "upper", "n"])
    lines = summary.score_lines(TOX[:5], scores, pd.DataFrame(rows, columns=columns), 0.9, Path("runs"))
    best = "CRPS minus that of kriging, the best classical: -2.00e-05 (95 % -3.00e-05 to -1.00e-05), better"
    assert lines[:5] == [f"  t{i}  {best}" for i in range(5)]
    few = summary.score_lines(TOX[:5], scores, pd.DataFrame(rows[:4], columns=columns), 0.9, Path("runs"))
    assert few == [lines[0], "All comparisons: runs/comparison.csv", "All scores: runs/scores.csv"]
    other = pd.DataFrame(rows[:4], columns=columns).assign(metric="RMSE")
    told = summary.score_lines(TOX[:5], scores, other, 0.9, Path("runs"))
    assert len(told) == 5
    assert "best" not in "".join(told)


def test_scores_have_their_unit_and_say_what_they_are_means_over():
    columns = ["part", "model", "target", "metric", "value", "lower", "upper", "n"]
    scores = pd.DataFrame([("test", "sciformer", "tas", "CRPS", 0.5, 0.4, 0.6, 35)], columns=columns)
    none = pd.DataFrame(columns=["target", "metric", "baseline", "difference", "lower", "upper", "verdict"])
    lines = summary.score_lines([Target("tas", unit="K")], scores, none, 0.9, Path("runs"), "moment")
    assert lines[0] == "  tas  CRPS 0.500 K (95 % 0.400 to 0.600), 35 moments"
    assert summary.parts_line({"train": 7, "test": 2}, 10, "window") == "Parts: train 7, test 2; 1 window in no part"


def test_the_example_of_the_help_can_be_pasted(recipe_file, capsys):
    with pytest.raises(SystemExit):
        run_recipe(recipe_file, ["--help"])
    lines = capsys.readouterr().out.splitlines()
    at = next(i for i, line in enumerate(lines) if "python recipes/molecule/property.py" in line)
    assert lines[at].endswith("\\")
    assert "--out runs/mine" in lines[at + 1]


def test_targets_of_one_kind_share_a_bracket():
    many = Target("m", "multiclass", classes=tuple(f"c{i}" for i in range(20)))
    told = summary.target_line([Target("year", unit="a"), *TOX[:2], many])
    assert told.startswith("Targets: year [a] (regression); t0, t1 (2 classes: 0, 1 each); m (20 classes: c0, ")
    assert told.endswith("c11, ...)")


# --- corners ---------------------------------------------------------------------------------------------


def test_all_held_out_records_may_calibrate_when_nothing_watches_the_validation_part(run):
    out, said = run(
        simulate(40, seed=3),
        "logS_mol_per_L",
        *("--split.fractions", "[0.6,0.2,0,0.2]", "--split.calibration_share", "1"),
    )
    counts = load_json(out / "splits.json")["counts"]
    assert (counts["validation"], counts["calibration"]) == (0, 8)
    assert pd.read_csv(out / "metrics.csv")["validation_loss"].isna().all()
    assert load_json(out / "run.json")["state"] == "finished"
    assert "nan" not in said


def test_stopping_early_needs_a_validation_part(run, tmp_path, capsys):
    options = ("--split.fractions", "[0.6,0.2,0,0.2]", "--split.calibration_share", "1", "--optim.patience", "3")
    with pytest.raises(SystemExit) as end:
        run(simulate(40, seed=3), "logS_mol_per_L", *options)
    assert end.value.code == 1
    assert "optim.patience 3 watches the validation part, which is empty" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fractions", ["[0.8,0.1,0.1,0]", "[1,0,0,0]"])
def test_a_run_without_a_test_part_says_so_in_words(run, fractions):
    out, said = run(simulate(40, seed=3), "logS_mol_per_L,crosses_membrane", "--split.fractions", fractions)
    assert "logS_mol_per_L is not scored: the test part has 0 known values" in said
    assert any("is not scored" in note for note in load_json(out / "run.json")["notes"])
    assert load_json(out / "run.json")["state"] == "finished"
    assert "RMSE" not in (out / "scores.csv").read_text()


def test_a_test_part_of_one_class_is_not_scored_but_told(run):
    table = simulate(40, seed=3).drop(columns="crosses_membrane")
    table["active"] = [i % 2 if i < 32 else 1 for i in range(40)]
    table["part"] = ["train"] * 20 + ["val"] * 6 + ["cal"] * 6 + ["test"] * 8
    out, said = run(table, "active", "--split.kind", "column", "--split.column", "part")
    assert "active is not scored: the test part has 8 known values, of class 1 alone" in said
    scores = pd.read_csv(out / "scores.csv")
    assert set(scores["metric"]) == {"coverage", "coverage of 1", "set size"}


def test_a_target_without_labels_in_train_is_refused_by_name(run, tmp_path, capsys):
    table = simulate(40, seed=3)
    table["late"] = [None] * 32 + ["a", "b"] * 4
    table["part"] = ["train"] * 20 + ["val"] * 6 + ["cal"] * 6 + ["test"] * 8
    with pytest.raises(SystemExit):
        run(table, "logS_mol_per_L,late", "--split.kind", "column", "--split.column", "part")
    assert "target 'late' has no value in the training part" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_quantiles_an_ensemble_an_average_and_early_stopping_go_together(run):
    options = (
        "--uncertainty.family",
        "quantile",
        "--uncertainty.members",
        "2",
        "--optim.ema",
        "0.5",
        "--optim.patience",
        "1",
    )
    out, _ = run(simulate(40, seed=3), "logS_mol_per_L", *options)
    assert pd.read_csv(out / "metrics.csv")["member"].tolist() == [0, 1]
    assert load_json(out / "checkpoint" / "config.json")["members"] == 2


def test_calibration_on_variants_for_the_shares_of_the_test_part_is_told_and_kept(run):
    table = simulate(60, seed=3)
    table["active"] = [0, 1] * 30
    table["part"] = ["train"] * 30 + ["val"] * 6 + ["cal"] * 12 + ["test"] * 12
    options = ("--split.kind", "column", "--split.column", "part")
    out, said = run(table, "active", *options, "--uncertainty.variants", "3", "--uncertainty.adapt", "true")
    kept = load_json(out / "checkpoint" / "calibration.json")["active"]
    assert kept["n"] == 12
    assert kept["counts"] == [6, 6]
    assert len(kept["tilt"]) == 2
    note = "active: the test records, without their labels, were used"
    assert f"Note: {note}" in said
    assert note in (out / "checkpoint" / "MODEL_CARD.md").read_text()
    assert any(found.startswith(note) for found in load_json(out / "run.json")["notes"])


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_that_no_generator_takes_are_refused(seed):
    with pytest.raises(ValueError, match=rf"seed must lie in 0\.\.4294967295, got {seed}"):
        Recipe(title="", data=MoleculeData(), seed=seed)


@pytest.mark.parametrize("bad", [{"level": 0.85}, {"members": 0}, {"variants": -1}])
def test_uncertainty_that_cannot_be_is_refused(bad):
    with pytest.raises(ValueError, match=r"level must be one of .*, members at least 1 and variants 0 or more"):
        Uncertainty(**bad)
