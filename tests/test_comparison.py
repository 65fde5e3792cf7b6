"""Whether pretraining helps: statistics on made-up answers, fair parts, and whole comparisons of a tiny model."""

import json
import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sciformer import cli, evaluation, foundation
from sciformer.adapter import Record
from sciformer.cli import run_recipe
from sciformer.comparison import CompareOptions, cells, plan, statistics
from sciformer.comparison.plan import Fold
from sciformer.comparison.statistics import Trial
from sciformer.data.examples import example_of
from sciformer.data.splits import SplitConfig
from sciformer.domains.molecule.adapter import Molecule
from sciformer.domains.molecule.simulate import simulate
from sciformer.evaluation import HEADLINE, Answers
from sciformer.foundation import Foundation
from sciformer.model import Sciformer, SciformerConfig
from sciformer.report import gain
from sciformer.report.comparison import render
from sciformer.tasks.describe import Describe
from sciformer.tokens import Target

NUMBER = Target("logS", unit="log10(mol/L)")
BINARY = Target("toxic", kind="binary", classes=("0", "1"))
CLASSES = Target("colour", kind="multiclass", classes=("red", "green", "blue"))


# --- statistics ------------------------------------------------------------------------------------------


def answers_of(target: Target, noise: float | int, seed: int, way: str, n: int = 60) -> Answers:
    """Answers that scatter about the truth, which depends on the seed alone."""
    truth = np.random.default_rng(seed)
    scatter = np.random.default_rng([1 + seed, zlib.crc32(way.encode())])
    if target.kind == "regression":
        values = truth.normal(size=n)
        return Answers(target, values, values + noise * scatter.normal(size=n))
    labels = truth.integers(0, len(target.classes), n)
    scores = np.eye(len(target.classes))[labels] + noise * scatter.normal(size=(n, len(target.classes)))
    p = np.exp(scores)
    return Answers(target, labels, p / p.sum(-1, keepdims=True))


def trials_of(target: Target, noise: dict[str, float], folds: int = 4, size: str = "all") -> list[Trial]:
    return [
        Trial(way, size, 100, fold, answers_of(target, scatter, fold, way))
        for way, scatter in noise.items()
        for fold in range(folds)
    ]


def judged(target: Target, noise: dict[str, float], way: str = "full", against: str = "scratch") -> pd.Series:
    _, differences = statistics.compared(trials_of(target, noise), [], range(4), "scratch")
    return differences[(differences["way"] == way) & (differences["against"] == against)].iloc[0]


@pytest.mark.parametrize("target", [NUMBER, BINARY, CLASSES], ids=lambda target: target.kind)
def test_a_way_that_errs_less_is_better_whatever_way_its_metric_points(target):
    good, bad = judged(target, {"scratch": 1.2, "full": 0.4}), judged(target, {"scratch": 0.4, "full": 1.2})
    assert (good["verdict"], bad["verdict"]) == ("better", "worse")
    assert (good["better"], bad["better"]) == (4, 0)
    assert good["lower"] < good["difference"] < good["upper"]
    assert (good["difference"] < 0) == (target.kind == "regression")
    assert np.sign(good["difference"]) == -np.sign(bad["difference"])


def test_a_known_difference_is_found_where_it_is():
    row = judged(NUMBER, {"scratch": 1.0, "full": 0.5})
    assert row["difference"] == pytest.approx(-0.5, abs=0.12)
    assert row["lower"] < -0.5 < row["upper"]


@pytest.mark.parametrize("target", [NUMBER, BINARY, CLASSES], ids=lambda target: target.kind)
def test_quick_metrics_are_those_of_the_library(target):
    metric = HEADLINE[target.kind]
    known = answers_of(target, 1.0, 0, "full")
    tied = Answers(target, known.truth, known.points.round(1))
    for answers in (known, tied):
        expected = evaluation.metrics(target)[metric](answers.truth, answers.points)
        assert statistics.QUICK[metric](answers.truth, answers.points) == pytest.approx(expected)


def test_equal_ways_are_called_different_about_as_often_as_the_level_says():
    called = 0
    for i in range(40):
        trials = [
            Trial(way, "all", 100, fold, answers_of(NUMBER, 1.0, 100 * i + fold, way))
            for way in ("scratch", "full")
            for fold in range(3)
        ]
        _, differences = statistics.compared(trials, [], range(3), "scratch")
        called += differences["verdict"].iloc[0] != "no clear difference"
    assert called <= 6


def test_the_draws_are_paired():
    """Two ways that differ by the same on every record differ by that whatever is drawn."""
    truth = np.zeros(40)
    shared = 3 + np.random.default_rng(0).normal(size=40)
    trials = [
        Trial("scratch", "all", 9, 0, Answers(NUMBER, truth, shared)),
        Trial("full", "all", 9, 0, Answers(NUMBER, truth, 0.9 * shared)),
    ]
    scores, differences = statistics.compared(trials, [], [0], "scratch")
    scratch = scores.set_index("way").loc["scratch"]
    row = differences.iloc[0]
    assert row["upper"] - row["lower"] == pytest.approx(0.1 * (scratch["upper"] - scratch["lower"]))
    assert np.isnan(scratch["spread"])  # of one seed nothing is known


def test_the_same_test_records_are_no_new_evidence_in_every_seed():
    once = [Trial(way, "all", 9, 0, answers_of(NUMBER, 1.0, 0, way)) for way in ("scratch", "full")]
    often = [replace(trial, fold=fold) for trial in once for fold in range(5)]
    (_, one), (_, same), (_, other) = (
        statistics.compared(trials, [], tests, "scratch")
        for trials, tests in ((once, [0]), (often, [0] * 5), (often, range(5)))
    )
    width = [float((table["upper"] - table["lower"]).iloc[0]) for table in (one, same, other)]
    assert width[0] == pytest.approx(width[1])
    assert width[2] < 0.7 * width[0]


def test_groups_are_drawn_whole_and_counted_once():
    single = [Trial(way, "all", 9, 0, answers_of(NUMBER, 1.0, 0, way, n=20)) for way in ("scratch", "full")]
    repeated = [
        replace(t, answers=Answers(NUMBER, *(np.repeat(x, 30) for x in (t.answers.truth, t.answers.points, range(20)))))
        for t in single
    ]
    (_, few), (_, many) = (statistics.compared(trials, [], [0], "scratch") for trials in (single, repeated))
    assert many["tested"].iloc[0] == 20
    assert (many["upper"] - many["lower"]).iloc[0] == pytest.approx((few["upper"] - few["lower"]).iloc[0], rel=0.3)


def test_a_seed_whose_test_part_has_one_class_is_left_out_and_a_target_that_has_no_other():
    trials = trials_of(BINARY, {"scratch": 1.0, "full": 0.3})
    alone = replace(trials[0].answers, truth=np.zeros(60, dtype=int))
    some = [replace(t, answers=alone if t.fold == 1 else t.answers) for t in trials]
    scores, differences = statistics.compared(some, [], range(4), "scratch")
    assert set(scores["seeds"]) == set(differences["seeds"]) == {3}
    none = [replace(t, answers=alone) for t in trials]
    assert all(table.empty for table in statistics.compared(none, [], range(4), "scratch"))


def test_the_best_baseline_is_chosen_on_the_held_part_and_not_on_the_test_part():
    """``forest`` is better on the test part, ``ridge`` on the held part."""
    trials = trials_of(NUMBER, {"scratch": 1.0, "full": 0.9, "forest": 0.5, "ridge": 0.8})
    held = {"forest": 1.0, "ridge": 0.3}
    trials = [
        replace(t, held=answers_of(NUMBER, held[t.way], 50 + t.fold, t.way)) if t.way in held else t for t in trials
    ]
    _, differences = statistics.compared(trials, ["forest", "ridge"], range(4), "scratch")
    assert set(differences.loc[differences["best"], "against"]) == {"ridge"}
    assert set(differences["way"]) == {"scratch", "full"}
    untold = [replace(t, held=None) for t in trials]
    _, differences = statistics.compared(untold, ["forest", "ridge"], range(4), "scratch")
    assert set(differences.loc[differences["best"], "against"]) == {"forest", "ridge"}


# --- words -----------------------------------------------------------------------------------------------


def facts_of(*targets: Target) -> dict:
    told = [{"name": target.name, "unit": target.unit} for target in targets]
    ways = ["scratch", "head", "full"]
    return {"targets": told, "ways": ways, "noun": "molecule", "start": "molecule-small", "baselines": ["forest"]}


def gains_of(noise: dict[str, dict[str, float]], *targets: Target) -> list[gain.Gain]:
    """Noise by size and way."""
    trials = [
        replace(trial, records=902 if size == "all" else int(size))
        for target in targets
        for size, by_way in noise.items()
        for trial in trials_of(target, by_way, size=size)
    ]
    return gain.gains(facts_of(*targets), *statistics.compared(trials, ["forest"], range(4), "scratch"))


def test_what_helps_is_told_with_its_size_and_unit():
    (told,) = gains_of({"all": {"scratch": 1.0, "head": 1.0, "full": 0.5, "forest": 0.7}}, NUMBER)
    assert told.judgement == "helps"
    assert told.headline == "Pretraining helps on these data."
    (step,) = told.steps
    assert re.fullmatch(
        r"With all 902 molecules, starting from molecule-small lowers the RMSE by 0\.\d+ log10\(mol/L\) "
        r"\(95 % 0\.\d+ to 0\.\d+; better in 4 of 4 seeds\): pretraining helps\.",
        step.words,
    )
    assert re.fullmatch(
        r"With all 902 molecules, full \(0\.\d+\) beats the best classical model, forest \(0\.\d+\); "
        r"scratch \(\S+\) and head \(\S+\) are worse than it \(RMSE\)\.",
        step.contest,
    )
    assert step.won


def test_what_harms_and_what_cannot_be_told_is_said_size_by_size():
    noise = {
        "50": {"scratch": 0.4, "head": 1.0, "full": 1.2, "forest": 0.1},
        "200": {"scratch": 1.0, "head": 1.0, "full": 1.0, "forest": 0.1},
        "all": {"scratch": 1.2, "head": 1.0, "full": 0.4, "forest": 0.1},
    }
    (told,) = gains_of(noise, BINARY)
    assert told.judgement == "mixed"
    assert (
        told.headline == "Pretraining helps with all molecules; it harms with 50 molecules; "
        "it cannot be told from training from scratch with 200 molecules."
    )
    harm, even, help_ = (step.words for step in told.steps)
    assert "lowers the ROC-AUC by 0." in harm
    assert harm.endswith("pretraining harms.")
    assert "With 200 molecules, starting from molecule-small cannot be told from training from scratch" in even
    assert "raises the ROC-AUC by 0." in help_
    assert "nothing clearly beats the best classical model, forest (" in told.steps[0].contest


def test_no_difference_does_not_help():
    (told,) = gains_of({"50": {"scratch": 1.0, "full": 1.0}, "all": {"scratch": 0.5, "full": 0.5}}, CLASSES)
    assert told.judgement == "does not help"
    assert told.headline == "Pretraining does not help on these data: it cannot be told from training from scratch."
    assert not any(step.contest for step in told.steps)  # no baseline was asked


def test_every_target_has_a_verdict_under_its_name():
    told = gains_of({"all": {"scratch": 1.0, "full": 0.3}}, NUMBER, CLASSES)
    assert [known.headline for known in told] == [
        "logS: Pretraining helps on these data.",
        "colour: Pretraining helps on these data.",
    ]
    assert "raises the accuracy by 0." in told[1].steps[0].words


def test_without_full_the_first_other_mode_is_judged_under_its_name():
    facts = {**facts_of(NUMBER), "ways": ["scratch", "head"]}
    trials = trials_of(NUMBER, {"scratch": 0.3, "head": 1.0})
    (told,) = gain.gains(facts, *statistics.compared(trials, [], range(4), "scratch"))
    assert told.headline == "Pretraining with mode head harms on these data."
    assert "starting from molecule-small with mode head raises the RMSE by 0." in told.steps[0].words


def test_a_handful_of_test_records_judges_nothing():
    trials = [Trial(way, "all", 9, 0, answers_of(NUMBER, 1.0, 0, way, n=5)) for way in ("scratch", "full")]
    (told,) = gain.gains(facts_of(NUMBER), *statistics.compared(trials, [], [0], "scratch"))
    assert told.headline == "The test part is too small to say whether pretraining helps on these data."
    assert told.steps[0].words == "With all 9 molecules: too few to judge, 5 molecules are tested."


# --- plan ------------------------------------------------------------------------------------------------


def records_of(n: int, seed: int = 0) -> list[Record]:
    """A rare class, three colours of which some are unknown, and a number."""
    rng = np.random.default_rng(seed)
    return [
        Record(
            key=f"r{i}",
            targets={
                "toxic": float(rng.random() < 0.1),
                "logS": float(rng.normal()),
                **({"colour": float(rng.integers(3))} if rng.random() < 0.8 else {}),
            },
        )
        for i in range(n)
    ]


def test_parts_of_the_training_set_are_nested_and_have_the_shares_of_the_whole():
    records = records_of(400)
    order = plan.nested(records, [BINARY, NUMBER, CLASSES], seed=1)
    assert sorted(order) == sorted(record.key for record in records)
    by_key = {record.key: record for record in records}
    for n in (50, 120, 200):
        for name, value in (("toxic", 1.0), ("colour", 2.0), ("colour", None)):
            every = sum(r.targets.get(name) == value for r in records) / len(records)
            some = sum(by_key[key].targets.get(name) == value for key in order[:n])
            assert some == pytest.approx(every * n, abs=4)
    fold = Fold(0, tuple(by_key), tuple(order), (), (), ())
    assert set(fold.first(50)) < set(fold.first(120)) < set(fold.first(400))
    assert fold.first(400) == list(by_key)
    assert order == plan.nested(records, [BINARY, NUMBER, CLASSES], seed=1)
    assert order != plan.nested(records, [BINARY, NUMBER, CLASSES], seed=2)


def test_numbers_are_drawn_at_random():
    order = plan.nested(records_of(300), [NUMBER], seed=0)
    places = [int(key[1:]) for key in order[:100]]
    assert np.mean(places) == pytest.approx(150, abs=30)
    assert places != sorted(places)


@pytest.mark.parametrize(
    ("asked", "whole", "each", "epochs"),
    [
        (30, 870, 29, 30),  # the whole part: as asked
        (30, 870, 7, 43),  # 300 steps
        (30, 870, 2, 150),
        (10, 120, 2, 60),  # as many steps as the whole part gets
        (50, 5000, 20, 50),  # no fewer epochs than asked
    ],
)
def test_small_parts_get_the_steps_of_the_whole_up_to_a_limit(asked, whole, each, epochs):
    assert plan.epochs_of(asked, whole, each) == epochs


@pytest.mark.parametrize(
    ("split", "drawn"),
    [
        (SplitConfig(), True),
        (SplitConfig(kind="scaffold"), True),
        (SplitConfig(kind="scaffold", order="deepchem"), False),
        (SplitConfig(kind="column", column="part"), False),
        (SplitConfig(kind="file", file="splits.json"), False),
        (SplitConfig(kind="kfold", test="1/5"), True),
    ],
)
def test_a_seed_draws_another_split_where_chance_has_a_part_in_it(split, drawn):
    assert plan.split_of(split, 3).seed == (3 if drawn else 0)


def test_sizes_that_a_training_part_has_no_records_for_are_left_out():
    folds = [Fold(0, tuple("abcdefgh"), (), (), (), ()), Fold(1, tuple("abcdef"), (), (), (), ())]
    assert plan.sizes_of(("5", "6", "7", "all"), folds) == ("5", "all")
    with pytest.raises(ValueError, match=r"sizes must be below the 6 records of the training part, or all, got 9, 12"):
        plan.sizes_of(("9", "12"), folds)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"modes": "full,head"}, "modes must hold scratch and something to compare with it"),
        ({"modes": "scratch"}, "modes must hold scratch and something"),
        ({"modes": "scratch,ful"}, "modes must be among full, head, lora, gradual, scratch, got 'ful'"),
        ({"sizes": "50,most"}, "sizes must be numbers above 1 or all, separated by commas, got 'most'"),
        ({"sizes": ","}, "sizes must hold numbers"),
        ({"seeds": 0}, "seeds must be at least 1"),
    ],
)
def test_options_that_cannot_be_are_refused(option, message):
    with pytest.raises(ValueError, match=message):
        CompareOptions(**option)


def test_options_are_put_in_order():
    options = CompareOptions(sizes="all, 200,50,50", modes="full,scratch")
    assert options.wanted == ("50", "200", "all")
    assert options.ways == ("scratch", "full")


# --- whole comparisons -----------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> str:
    """A tiny backbone that was never trained."""
    shape, adapter = SciformerConfig(width=16, depth=1, heads=2, dropout=0.0), Molecule()
    records = [
        replace(record, targets={"size": float(i)}) for i, record in enumerate(adapter.read(simulate(30, seed=5)))
    ]
    examples = [example_of(adapter, record) for record in records]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model, task = Sciformer(shape, {"molecule": adapter}), Describe(shape, "molecule", ["size"])
    model.fit(examples)
    task.fit(examples)
    path = tmp_path_factory.mktemp("backbone") / "tiny-backbone"
    foundation.save(Foundation({"molecule": adapter}, model, {"numbers": task}), path, title="t", card="", trained={})
    return str(path)


FAST = ["--data.rows", "120", "--split.fractions", "[0.5,0.1,0.1,0.3]", "--optim.epochs", "2", "--batch.records", "8"]


@pytest.fixture(scope="session")
def compared(paint, checkpoint, recipe_file, tmp_path_factory) -> Path:
    """The directory of a finished comparison, its page with figures; treat it as read-only."""
    out = tmp_path_factory.mktemp("compared") / "run"
    with pytest.MonkeyPatch.context() as patch:
        small_baselines(patch)
        paint(patch)
        cli.compare_recipe(recipe_file, [*FAST, *options(checkpoint), "--out", str(out)])
    return out


def small_baselines(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("sciformer.baselines.BOOSTING_ROUNDS", 20)
    patch.setattr("sciformer.baselines.FOREST_TREES", 10)


def options(checkpoint: str) -> list[str]:
    start = ["--start.checkpoint", checkpoint, "--model.width", "16"]
    return [*start, "--seeds", "2", "--sizes", "20,all,500", "--modes", "scratch,head,lora,full", "--workers", "1"]


def test_a_comparison_leaves_every_file_and_nothing_else(compared):
    assert sorted(entry.name for entry in compared.iterdir()) == [
        *("cells.csv", "compare.html", "comparison.csv", "config.yaml", "environment.json"),
        *("predictions.parquet", "run.json", "scores.csv", "splits-0.json", "splits-1.json"),
    ]
    facts = json.loads((compared / "run.json").read_text())
    assert facts["state"] == "finished"
    assert list(facts["sizes"]) == ["20", "all"]  # no part has 500
    assert facts["sizes"]["20"]["epochs"] > facts["sizes"]["all"]["epochs"] == 2


def test_every_way_is_trained_on_the_same_parts_at_every_size_and_seed(compared):
    table = pd.read_csv(compared / "cells.csv", dtype={"size": str})
    ways = ["scratch", "head", "lora", "full", "RDKit descriptors + gradient boosting"]
    ways.append("Morgan fingerprint + random forest")
    counts = table[table["metric"].isin(["RMSE", "ROC-AUC"])].groupby(["way", "size", "seed", "target"]).size()
    assert (counts == 1).all()
    assert len(counts) == len(ways) * 2 * 2 * 2
    weights = table.groupby("way")["trained weights"].max()
    assert weights["head"] < weights["lora"] < weights["full"] == weights["scratch"]
    predictions = pd.read_parquet(compared / "predictions.parquet")
    for (seed, target), rows in predictions.groupby(["seed", "target"]):
        split = json.loads((compared / f"splits-{seed}.json").read_text())["parts"]["test"]
        alike = rows.groupby(["way", "size"])["key"].apply(tuple)
        assert alike.nunique() == 1, target
        assert set(alike.iloc[0]) <= set(split)


def test_the_scores_are_those_of_the_predictions(compared):
    predictions = pd.read_parquet(compared / "predictions.parquet")
    rows = predictions[predictions["target"] == "logS_mol_per_L"]
    error = (rows["truth"] - rows["prediction"]) ** 2
    rmse = np.sqrt(error.groupby([rows["way"], rows["size"], rows["seed"]]).mean())
    scores = pd.read_csv(compared / "scores.csv", dtype={"size": str})
    scores = scores[scores["metric"] == "RMSE"].set_index(["way", "size"])
    means = rmse.groupby(level=[0, 1]).mean()
    for place, value in means.items():
        assert scores.loc[place, "value"] == pytest.approx(value)
        assert scores.loc[place, "lower"] < value < scores.loc[place, "upper"]
    differences = pd.read_csv(compared / "comparison.csv", dtype={"size": str}).set_index(
        ["metric", "size", "way", "against"]
    )
    told = differences.loc[("RMSE", "all", "full", "scratch"), "difference"]
    assert told == pytest.approx(means["full", "all"] - means["scratch", "all"])


def test_a_cell_is_what_a_run_of_the_recipe_would_be(compared, checkpoint, recipe_file, tmp_path):
    """Trained on all records, way and seed 0 are ``sciformer train`` with that mode."""
    start = ["--start.checkpoint", checkpoint, "--start.mode", "lora", "--baselines", "false"]
    run_recipe(recipe_file, [*FAST, *start, "--out", str(tmp_path / "run")])
    alone = pd.read_csv(tmp_path / "run" / "predictions.csv", dtype={"key": str})
    alone = alone[(alone["part"] == "test") & (alone["target"] == "logS_mol_per_L")].set_index("key")
    cells_ = pd.read_parquet(compared / "predictions.parquet")
    place = {"way": "lora", "size": "all", "seed": 0, "target": "logS_mol_per_L"}
    for column, value in place.items():
        cells_ = cells_[cells_[column] == value]
    expected = alone["prediction"].astype(float)
    assert cells_.set_index("key")["prediction"].to_dict() == pytest.approx(expected.to_dict(), rel=1e-6)


@pytest.mark.usefixtures("painted")
def test_the_page_has_the_verdict_first_and_asks_nobody(compared):
    page = (compared / "compare.html").read_text("utf-8")
    told = [" ".join(line.replace("\N{NO-BREAK SPACE}", " ").split()) for line in render(compared)]
    text = " ".join(re.sub(r"<[^>]+>", "", page).replace("\N{NO-BREAK SPACE}", " ").split())
    assert all(line in text for line in told)
    assert text.index(told[0]) < text.index("Before you rely on this")
    assert "Simulated data" in text
    assert not re.search(r"https?:|@import|url\((?!#)|<script|<link|(src|href)=[\"'](?!#)", page)
    for words in (
        "learned by heart",
        "embedder molecule",
        "starts at random",
        "demonstrate the program",
        "tiny-backbone",
    ):
        assert words in text
    assert page.count("<svg") == 2
    assert render(compared) == render(compared)


def test_what_was_trained_before_an_interruption_is_not_trained_again(
    compared, checkpoint, recipe_file, tmp_path, monkeypatch, capsys
):
    small_baselines(monkeypatch)
    trained, original = [], cells.carry_out

    def interrupted(bench, cell, folder, worker):
        if len(trained) == 9:
            raise KeyboardInterrupt
        trained.append(cell)
        return original(bench, cell, folder, worker)

    monkeypatch.setattr(cells, "carry_out", interrupted)
    command = [*FAST, *options(checkpoint), "--out", str(tmp_path / "run")]
    with pytest.raises(KeyboardInterrupt):
        cli.compare_recipe(recipe_file, command)
    assert "To go on: sciformer compare " in capsys.readouterr().out
    again = []
    monkeypatch.setattr(cells, "carry_out", lambda *given: again.append(given[1]) or original(*given))
    cli.compare_recipe(recipe_file, command)
    assert len(again) == 2 * 2 * 6 - 9
    assert not set(trained) & set(again)
    same(compared, tmp_path / "run")


def same(one: Path, other: Path) -> None:
    """The same numbers, whatever time they took."""
    for name in ("scores.csv", "comparison.csv"):
        assert (one / name).read_text() == (other / name).read_text()
    first, second = (pd.read_parquet(path / "predictions.parquet") for path in (one, other))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


def test_other_data_do_not_go_on_with_an_interrupted_comparison(checkpoint, recipe_file, tmp_path, monkeypatch, capsys):
    table = simulate(60, seed=2)
    table.to_csv(tmp_path / "table.csv", index=False)
    data = ["--data.source", str(tmp_path / "table.csv"), "--data.targets", "logS_mol_per_L", "--optim.epochs", "1"]
    command = [*data, *options(checkpoint), "--baselines", "false", "--out", str(tmp_path / "run")]
    original = cells.carry_out

    def once(*given):
        original(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(cells, "carry_out", once)
    with pytest.raises(KeyboardInterrupt):
        cli.compare_recipe(recipe_file, command)
    table.loc[0, "logS_mol_per_L"] += 1
    table.to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(SystemExit):
        cli.compare_recipe(recipe_file, command)
    assert "the data or the checkpoint have changed since it began" in capsys.readouterr().err


@pytest.mark.slow
def test_the_number_of_processes_changes_nothing(checkpoint, recipe_file, tmp_path):
    for workers in ("1", "3"):
        command = [*FAST, *options(checkpoint), "--workers", workers, "--out", str(tmp_path / workers)]
        cli.compare_recipe(recipe_file, command)
    same(tmp_path / "1", tmp_path / "3")


def test_labels_of_every_residue_are_compared_too(annotated_run, residue_options, tmp_path):
    recipe = str(Path(__file__).resolve().parent.parent / "recipes" / "protein" / "property.py")
    start = ["--start.checkpoint", str(annotated_run / "checkpoint"), "--seeds", "2", "--sizes", "8,all"]
    fast = ["--modes", "scratch,full", "--workers", "1", "--baselines", "true", "--optim.epochs", "1"]
    out = tmp_path / "run"
    cli.compare_recipe(recipe, [*residue_options, *start, *fast, "--out", str(out)])
    scores = pd.read_csv(out / "scores.csv", dtype={"size": str})
    assert set(scores["target"]) == {"state", "exposure"}
    assert {"scratch", "full"} < set(scores["way"])
    predictions = pd.read_parquet(out / "predictions.parquet")
    assert predictions["key"].duplicated().any()
    assert scores["tested"].max() == predictions.groupby("seed")["key"].nunique().min()
    facts = json.loads((out / "run.json").read_text())
    assert any("were among those that the checkpoint learned from" in line for line in facts["audit"])


# --- refusals --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipe", "given", "message"),
    [
        ("molecule/property", [], "a comparison needs something to start from: name it with --start.checkpoint"),
        ("molecule/property", ["--start.checkpoint", "nowhere"], "nowhere"),
        ("molecule/property", ["--seed"], "--seed"),
        ("molecule/property", ["--size", "50"], "there is no option --size; did you mean --sizes?"),
        ("molecule/pretrain", [], "molecule/pretrain pretrains a backbone"),
        ("lightcurve/forecast", ["--start.checkpoint", "{checkpoint}"], "forecasts are not compared"),
        ("molecule/property", ["--start.checkpoint", "{checkpoint}", "--sizes", "900"], "sizes must be below the"),
    ],
)
def test_wrong_usage_is_one_line(recipe, given, message, checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = [word.format(checkpoint=checkpoint) for word in given]
    rows = ["--data.rows", "60"] if recipe == "molecule/property" and "--sizes" in given else []
    with pytest.raises(SystemExit) as end:
        cli.main(["compare", recipe, *words, *rows])
    assert end.value.code in (1, 2)
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not list(tmp_path.glob("runs/*"))


def test_the_help_explains_the_comparison_and_the_recipe(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["compare", "molecule/property", "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    for text in ("Does pretraining help on these data?", "--start.checkpoint", "--sizes", "--modes", "--data.source"):
        assert text in shown
    assert "runs/compare-property" in shown
    assert "Repetitions, each with its own seed" in shown
