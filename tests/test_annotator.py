"""Labels of residues: a row for each of them, whatever the form, the order and the company of the proteins."""

import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

import sciformer
from sciformer import assessment, ensemble
from sciformer.annotator import Annotator
from sciformer.checkpoint import IntegrityError, load_checkpoint, save_checkpoint
from sciformer.data.batching import BatchConfig
from sciformer.domains.protein.adapter import Protein
from sciformer.ensemble import Member
from sciformer.evaluation import mean_interval
from sciformer.model import Sciformer, SciformerConfig
from sciformer.pretrained import save
from sciformer.tasks.token_property import TokenProperty

SEQUENCES = ["MKTAYIAKQRQ", "GGSWAC", "W", "ELVISLIVES"]
STATE = [f"state{part}" for part in ("", "_p_C", "_p_E", "_p_H", "_set")]
EXPOSURE = [f"exposure{part}" for part in ("", "_lower", "_upper")]
NUMBERS = [*STATE[1:4], *EXPOSURE]


def untrained(protein: Protein, members: int = 1) -> Annotator:
    config = SciformerConfig(width=16, depth=1, heads=2)
    torch.manual_seed(0)
    made = [
        Member(Sciformer(config, {"protein": protein}), TokenProperty(config, protein)).eval() for _ in range(members)
    ]
    for member in made:
        member.task.scale.fitted.fill_(True)
    return Annotator(protein, made, {})


# --- tables ----------------------------------------------------------------------------------------------


def test_there_is_a_row_per_residue_with_its_name_and_its_answers(annotator):
    table = annotator.residues(SEQUENCES)
    assert list(table.columns) == ["record", "chain", "position", "residue", *STATE, *EXPOSURE, "status"]
    assert "".join(table["residue"]) == "".join(SEQUENCES)
    assert table["record"].tolist() == [i for i, sequence in enumerate(SEQUENCES) for _ in sequence]
    assert table["position"].tolist() == [str(i + 1) for sequence in SEQUENCES for i in range(len(sequence))]
    assert (table["status"] == "ok").all()
    np.testing.assert_allclose(table[STATE[1:4]].sum(axis=1), 1)
    likeliest = table[STATE[1:4]].idxmax(axis=1).str.removeprefix("state_p_")
    assert (table["state"] == likeliest).all()
    assert all(x in some.split("|") for x, some in zip(table["state"], table["state_set"], strict=True))
    assert (table["exposure_lower"] < table["exposure"]).all()
    assert (table["exposure"] < table["exposure_upper"]).all()


def test_a_row_per_record_joins_letters_and_lists_numbers(annotator):
    long, table = annotator.residues(SEQUENCES), annotator.predict(SEQUENCES)
    assert list(table.columns) == ["state", "exposure", "status"]
    for i, sequence in enumerate(SEQUENCES):
        mine = long[long["record"] == i]
        assert table.loc[i, "state"] == "".join(mine["state"])
        assert table.loc[i, "exposure"] == mine["exposure"].tolist()
        assert len(table.loc[i, "state"]) == len(table.loc[i, "exposure"]) == len(sequence)


def test_classes_of_several_letters_are_a_list():
    model = untrained(Protein(labels={"place": ["inside", "outside"]}))
    (said,) = model.predict(["MKT"])["place"]
    assert len(said) == 3
    assert set(said) <= {"inside", "outside"}


def test_an_unreadable_record_has_one_row_that_says_why(annotator):
    long = annotator.residues(["MKT", "M1", None, "AC"])
    assert long["record"].tolist() == [0, 0, 0, 1, 2, 3, 3]
    bad = long[long["status"] != "ok"]
    assert "1" in bad["status"].iloc[0]
    assert bad.drop(columns=["record", "status"]).isna().all(axis=None)
    table = annotator.predict(["MKT", "M1", None, "AC"])
    assert table["status"].tolist() == ["ok", *bad["status"], "ok"]
    assert table["state"].isna().tolist() == table["exposure"].isna().tolist() == [False, True, True, False]


def test_nothing_to_read_gives_the_same_columns(annotator):
    for source in ([], ["M1"]):
        long, table = annotator.residues(source), annotator.predict(source)
        assert list(long.columns) == ["record", *STATE, *EXPOSURE, "status"]
        assert list(table.columns) == ["state", "exposure", "status"]
        assert len(long) == len(table) == len(source)


def test_records_keep_the_labels_of_their_source_even_where_these_repeat(annotator, tmp_path):
    frame = pd.DataFrame({"sequence": ["MK", "WWW", "AC"]}, index=["a", "b", "a"])
    assert annotator.residues(frame)["record"].tolist() == list("aabbbaa")
    assert annotator.predict(frame).index.tolist() == list("aba")
    assert annotator.predict(frame)["state"].str.len().tolist() == [2, 3, 2]
    path = tmp_path / "few.fasta"
    path.write_text(">one\nMK\n>two\nWWW\n")
    assert annotator.residues(path)["record"].tolist() == ["one"] * 2 + ["two"] * 3
    assert annotator.predict(path).index.tolist() == ["one", "two"]


def test_a_record_without_parts_has_no_row_and_an_empty_answer():
    model = untrained(Protein(wild_type="MKTAY", substitutions=True, labels={"state": ["C", "E", "H"], "x": []}))
    source = ["MKTAY", "MKTAA", "AKTAA"]
    assert model.residues(source)["record"].tolist() == [1, 2, 2]
    assert [len(text) for text in model.predict(source)["state"]] == [0, 1, 2]
    assert [len(numbers) for numbers in model.predict(source)["x"]] == [0, 1, 2]


# --- answers ---------------------------------------------------------------------------------------------


def test_answers_do_not_depend_on_order_or_company(annotator, make_residues, monkeypatch):
    sequences = make_residues(40, seed=7)["sequence"].tolist()
    together = annotator.residues(sequences)
    order = np.random.default_rng(0).permutation(len(sequences))
    shuffled = annotator.residues([sequences[i] for i in order])
    shuffled["record"] = order[shuffled["record"]]
    back = shuffled.sort_values("record", kind="stable", ignore_index=True)
    np.testing.assert_allclose(back[NUMBERS], together[NUMBERS], atol=1e-5)
    monkeypatch.setattr(ensemble, "MINIMUM", BatchConfig(records=3))
    np.testing.assert_allclose(annotator.residues(sequences)[NUMBERS], together[NUMBERS], atol=1e-5)
    alone = annotator.residues(sequences[4:5])
    np.testing.assert_allclose(alone[NUMBERS], together.loc[together["record"] == 4, NUMBERS], atol=1e-5)


def test_labels_in_the_table_cannot_change_the_answers(annotator, residues):
    blank = residues.assign(state="", exposure="")
    same = annotator.residues(residues.drop(index=9)), annotator.residues(blank.drop(index=9))
    pd.testing.assert_frame_equal(*same, check_exact=True)


def test_an_ensemble_answers_with_the_mean_of_its_members():
    protein = Protein(labels={"state": ["C", "E", "H"], "x": []})
    both = untrained(protein, members=2)
    each = [dataclasses.replace(both, members=[member]).residues(SEQUENCES) for member in both.members]
    columns = ["state_p_C", "state_p_E", "state_p_H", "x"]
    mean = (each[0][columns] + each[1][columns]) / 2
    np.testing.assert_allclose(both.residues(SEQUENCES)[columns], mean, atol=1e-6)
    assert (each[0]["x"] - each[1]["x"]).abs().max() > 1e-3


def test_known_truths_are_those_of_the_table(annotator, residues):
    rows = residues.drop(index=[5, 9])
    records = annotator.read(rows)
    for target in annotator.targets:
        known = annotator.known(records, target)
        entries = [list(row.state) if target.classes else row.exposure.split(" ") for row in rows.itertuples()]
        told = [
            (key, place, entry)
            for key, row in zip(rows["id"], entries, strict=True)
            for place, entry in enumerate(row)
            if entry != "-"
        ]
        truth = [target.classes[int(x)] if target.classes else x for x in known.truth]
        assert truth == [entry if target.classes else float(entry) for _, _, entry in told]
        assert list(known.keys) == [key for key, _, _ in told]
        table = annotator.residues(rows).iloc[known.rows]
        assert table["position"].tolist() == [str(place + 1) for _, place, _ in told]
    masked = annotator.known(annotator.read(rows, mask="resolved"), annotator.targets[0])
    assert len(masked.rows) < len(annotator.known(records, annotator.targets[0]).rows)
    assert len(annotator.known(annotator.read(["MKT"]), annotator.targets[0]).rows) == 0


def test_calibrated_answers_hold_their_level_for_new_proteins(annotator, make_residues):
    """In the mean over proteins: the residues of one share its weight."""
    noisy, rng = make_residues(220, seed=11), np.random.default_rng(0)
    shared = rng.normal(scale=0.4, size=len(noisy))  # by all residues of a protein
    noisy["exposure"] = [
        " ".join(f"{float(x) + own:.3f}" for x in cell.split(" "))
        for cell, own in zip(noisy["exposure"], shared, strict=True)
    ]
    records = annotator.read(noisy)
    calibrated = assessment.calibrated(annotator, records[:110])
    assert {known.n for known in calibrated.calibrations.values()} == {110}
    for level in (0.5, 0.9):
        told = assessment.predictions(dataclasses.replace(calibrated, level=level), records[110:], "test")
        state, exposure = (told[told["target"] == name] for name in ("state", "exposure"))
        held = pd.Series([x in s.split("|") for x, s in zip(state["truth"], state["set"], strict=True)], state.index)
        assert held.groupby(state["key"]).mean().mean() > level - 0.1
        inside = (exposure["lower"] <= exposure["truth"]) & (exposure["truth"] <= exposure["upper"])
        assert abs(inside.groupby(exposure["key"]).mean().mean() - level) < 0.1
        groups, inside = pd.factorize(exposure["key"])[0], inside.to_numpy(float)
        assert np.diff(mean_interval(inside, groups)) > 1.3 * np.diff(mean_interval(inside, None))


def test_a_level_that_is_not_calibrated_is_refused(annotator):
    for ask in (annotator.residues, annotator.predict):
        with pytest.raises(ValueError, match=r"level must be one of 0\.5"):
            ask(["MK"], level=0.7)
    narrow, wide = (annotator.residues(SEQUENCES, level=level) for level in (0.5, 0.8))
    assert (narrow["exposure_lower"] > wide["exposure_lower"]).all()


def test_it_forecasts_nothing(annotator):
    with pytest.raises(TypeError, match=r"use \.residues\(\.\.\.\)"):
        annotator.forecast(["MK"])


# --- checkpoints -----------------------------------------------------------------------------------------


def test_saving_and_loading_changes_no_bit(annotator, tmp_path):
    save(annotator, tmp_path / "again", title="x", card="y")
    again = sciformer.load(tmp_path / "again")
    assert isinstance(again, Annotator)
    assert again.adapter == annotator.adapter
    pd.testing.assert_frame_equal(again.residues(SEQUENCES), annotator.residues(SEQUENCES), check_exact=True)
    pd.testing.assert_frame_equal(again.embed(SEQUENCES), annotator.embed(SEQUENCES), check_exact=True)


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("task", {"modality": "molecule"}, "task.modality is 'molecule', but the adapter is of 'protein'"),
        ("task", {"share": 0.5}, "task has unknown fields share"),
        ("task", {"family": "poisson"}, r"task\.family must be of type"),
        ("task", {"name": "property"}, "task has unknown fields modality"),
        ("adapter", {"labels": {}}, "has no answers per token"),
        ("adapter", {"labels": {"state": ["H"]}}, "binary target 'state' needs two classes"),
        ("adapter", {"labels": {"residue": ["C", "H"]}}, "Schema columns need different names"),
        ("adapter", {"labels": {"state": ["C", "E"], "exposure": []}}, "of another shape"),
        ("adapter", {"labels": [1]}, r"adapter\.labels must be of type dict"),
        ("adapter", {"name": "molecule"}, "adapter has unknown fields"),
        ("model", {"context": 1}, "context must be at least 2 tokens"),
        ("model", {"context": -3}, r"model\.context must be a number in 0\.\."),
        ("model", {"backbone": "gru"}, "do not fit the model"),
    ],
)
def test_a_config_that_was_not_saved_so_is_refused(annotated_run, section, change, message, tmp_path):
    honest = load_checkpoint(annotated_run / "checkpoint")
    config = copy.deepcopy(honest.config)
    config[section] |= change
    path = save_checkpoint(
        tmp_path / "m", config=config, weights=honest.weights, calibration=honest.calibration, card=""
    )
    with pytest.raises(IntegrityError, match=message) as error:
        sciformer.load(path)
    assert str(error.value).startswith(f"{path / 'config.json'}: ")
    assert "\n" not in str(error.value)


def test_a_checkpoint_of_before_there_were_windows_is_read(annotated_run, annotator, tmp_path):
    honest = load_checkpoint(annotated_run / "checkpoint")
    config = copy.deepcopy(honest.config)
    del config["model"]["context"]
    path = save_checkpoint(
        tmp_path / "m", config=config, weights=honest.weights, calibration=honest.calibration, card=""
    )
    pd.testing.assert_frame_equal(sciformer.load(path).residues(["MKT"]), annotator.residues(["MKT"]))
