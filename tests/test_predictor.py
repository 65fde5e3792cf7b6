"""Analysis code: what goes in comes back with its index, and nothing else in the process changes."""

import copy
import logging
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from rdkit import Chem

import sciformer
from sciformer import ensemble, pretrained
from sciformer.answers import answer_columns, beside
from sciformer.checkpoint import IntegrityError, load_checkpoint, save_checkpoint
from sciformer.data.batching import BatchConfig
from sciformer.domains.molecule.simulate import simulate
from sciformer.pretrained import save
from sciformer.tokens import Target

SMILES = ["CCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "C", "C[C@H](N)C(=O)O", "CCCCCCCCCCCC", "[Na+].[Cl-]"]
NUMBERS = ["logS_mol_per_L", "logS_mol_per_L_lower", "logS_mol_per_L_upper", "crosses_membrane_p_1", "colour_p_red"]


def test_columns_are_those_announced_and_sane(predictor):
    table = predictor.predict(SMILES)
    assert list(table.columns) == answer_columns(predictor.targets)
    assert (table["status"] == "ok").all()
    assert (table["logS_mol_per_L_lower"] < table["logS_mol_per_L"]).all()
    assert (table["logS_mol_per_L"] < table["logS_mol_per_L_upper"]).all()
    for name in ("crosses_membrane", "colour"):
        probabilities = table.filter(like=f"{name}_p_")
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        assert (table[name] == probabilities.idxmax(axis=1).str.removeprefix(f"{name}_p_")).all()
        assert all(a in s.split("|") for a, s in zip(table[name], table[f"{name}_set"], strict=True))


def test_answers_do_not_depend_on_order_or_batch_size(predictor, monkeypatch):
    smiles = simulate(60, seed=9)["smiles"].tolist()
    together = predictor.predict(smiles)[NUMBERS].to_numpy()
    order = np.random.default_rng(0).permutation(len(smiles))
    shuffled = predictor.predict([smiles[i] for i in order])[NUMBERS].to_numpy()
    np.testing.assert_allclose(shuffled, together[order], atol=1e-5)
    alone = np.concatenate([predictor.predict([s])[NUMBERS].to_numpy() for s in smiles[:5]])
    np.testing.assert_allclose(alone, together[:5], atol=1e-5)
    monkeypatch.setattr(ensemble, "MINIMUM", BatchConfig(records=3))
    np.testing.assert_allclose(predictor.predict(smiles)[NUMBERS].to_numpy(), together, atol=1e-5)


@pytest.mark.parametrize("index", [["a", "b", "a"], [7, 7, 3], pd.date_range("2026-01-01", periods=3)])
def test_a_table_keeps_its_index_whatever_it_is(predictor, index):
    frame = pd.DataFrame({"smiles": SMILES[:3], "note": "x"}, index=index)
    pd.testing.assert_index_equal(predictor.predict(frame).index, frame.index)
    pd.testing.assert_index_equal(predictor.predict(frame["smiles"]).index, frame.index)
    pd.testing.assert_index_equal(predictor.embed(frame).index, frame.index)


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["y_lower"], ["record", "predicted_y", "predicted_y_lower", "predicted_y_upper", "status"]),
        (["y", "record"], ["predicted_record", "predicted_y", "predicted_y_lower", "predicted_y_upper", "status"]),
        (
            ["predicted_y", "y"],
            ["record", *(f"predicted_predicted_y{part}" for part in ("", "_lower", "_upper")), "status"],
        ),
        (["x"], ["record", "y", "y_lower", "y_upper", "status"]),
    ],
)
def test_all_answers_of_a_target_are_renamed_where_one_must_be(columns, expected):
    index = pd.Index(["1"], name="record")
    answers = pd.DataFrame([[1.0, 0.0, 2.0, "ok"]], columns=["y", "y_lower", "y_upper", "status"], index=index)
    table = pd.DataFrame([["cell"] * len(columns)], columns=columns)
    assert list(beside(table, answers, [Target("y")]).columns) == columns + expected


@pytest.mark.parametrize("source", [{"C": ["CCO"]}, {"CCO", "C"}, frozenset(["C"])])
def test_what_has_no_rows_in_order_is_refused(predictor, source):
    with pytest.raises(ValueError, match=r"has no rows in order; give a pandas\.DataFrame, or a list of SMILES"):
        predictor.predict(source)


def test_all_forms_of_input_give_the_same_answers(predictor, tmp_path):
    expected = predictor.predict(SMILES)[NUMBERS].to_numpy()
    path = tmp_path / "few.csv"
    pd.DataFrame({"smiles": SMILES}).to_csv(path, index=False)
    for source in (
        [Chem.MolFromSmiles(smiles) for smiles in SMILES],
        pd.Series(SMILES, name="any"),
        np.array(SMILES, dtype=object),
        tuple(SMILES),
        path,
        str(path),
    ):
        np.testing.assert_allclose(predictor.predict(source)[NUMBERS].to_numpy(), expected, atol=1e-6)
    assert len(predictor.predict("CCO")) == 1


def test_bad_rows_keep_their_place_with_a_reason(predictor):
    table = predictor.predict(["CCO", "C1CC", None, "CCN"])
    assert list(table.index) == [0, 1, 2, 3]
    assert table["status"].tolist()[::3] == ["ok", "ok"]
    assert "unclosed ring" in table["status"].iloc[1]
    assert "missing" in table["status"].iloc[2]
    assert table[NUMBERS].isna().all(axis=1).tolist() == [False, True, True, False]
    assert table["colour"].isna().tolist() == [False, True, True, False]
    vectors = predictor.embed(["CCO", "C1CC"])
    assert vectors.isna().all(axis=1).tolist() == [False, True]
    assert all(kind.kind == "f" for kind in vectors.dtypes)


def test_a_list_is_indexed_by_position_and_a_file_by_the_keys_of_its_records(predictor, tmp_path):
    for answer in (predictor.predict, predictor.embed):
        for source in (["CCO", "CCN"], ("CCO", "CCN"), np.array(["CCO", "CCN"]), [Chem.MolFromSmiles("C")] * 2):
            pd.testing.assert_index_equal(answer(source).index, pd.RangeIndex(2))
        path = tmp_path / "few.csv"
        path.write_text("code,smiles\n007,CCO\n008,CCN\n")
        assert list(answer(path).index) == ["1", "2"]
        assert list(answer(str(path), id="code").index) == ["007", "008"]
    frame = pd.DataFrame({"smiles": ["CCO", "CCN"]}, index=["x", "y"])
    assert predictor.attention(frame)["record"].unique().tolist() == ["x", "y"]


def test_no_rows_give_no_answers(predictor):
    assert list(predictor.predict([]).columns) == answer_columns(predictor.targets)
    assert len(predictor.predict([])) == 0
    assert predictor.embed([]).shape == (0, 24)
    assert len(predictor.attention([])) == 0
    only_bad = predictor.predict(["C1CC"])
    assert len(only_bad) == 1
    assert only_bad["logS_mol_per_L"].isna().all()


def test_higher_levels_give_wider_intervals_and_larger_sets(predictor):
    narrow, wide = (predictor.predict(SMILES, level=level) for level in (0.5, 0.9))
    widths = [t["logS_mol_per_L_upper"] - t["logS_mol_per_L_lower"] for t in (narrow, wide)]
    assert (widths[0] < widths[1]).all()
    assert (narrow["colour_set"].str.len() <= wide["colour_set"].str.len()).all()


@pytest.mark.parametrize("level", [0.0, 0.7, 1.0, 90])
def test_a_level_that_is_not_calibrated_is_refused(predictor, level):
    with pytest.raises(ValueError, match=r"level must be one of 0\.5, .*, got"):
        predictor.predict(SMILES, level=level)


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (pd.DataFrame({"smile": ["CCO"]}), {"smiles": "smiles"}, "did you mean 'smile'"),
        (pd.DataFrame({"x": [1]}), {}, "no column is known to hold SMILES"),
        (7, {}, "must be a path, a table or a list"),
        ("missing.csv", {}, "missing.csv does not exist"),
    ],
)
def test_a_source_that_is_unusable_as_a_whole_is_refused(predictor, source, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        predictor.predict(source, **options)


def test_embeddings_are_one_finite_vector_per_record_whatever_its_company(predictor):
    together = predictor.embed(SMILES)
    assert together.shape == (len(SMILES), 24)
    assert np.isfinite(together.to_numpy()).all()
    np.testing.assert_allclose(predictor.embed(SMILES[2:3]).to_numpy()[0], together.to_numpy()[2], atol=1e-5)


def test_attention_sums_to_one_and_names_the_atoms(predictor):
    table = predictor.attention(["CCO", "bad(", "c1ccccc1"])
    sums = table[table["status"] == "ok"].groupby(["record", "target"])["weight"].sum()
    np.testing.assert_allclose(sums, 1, atol=1e-5)
    assert len(sums) == 2 * len(predictor.targets)
    assert table.loc[(table["record"] == 0) & (table["target"] == "colour"), "name"].tolist() == ["C0", "C1", "O2"]
    assert table["token"].dtype == predictor.attention(["CCO"])["token"].dtype == "Int64"


def test_an_unreadable_record_has_one_row_of_attention_that_says_why(predictor):
    table = predictor.attention(["CCO", "bad(", "c1ccccc1"])
    assert table["record"].unique().tolist() == [0, 1, 2]
    (bad,) = table[table["record"] == 1].to_dict("records")
    assert "unparsable" in bad["status"]
    assert all(pd.isna(bad[name]) for name in ("target", "token", "name", "weight"))


def test_saving_and_loading_changes_no_bit(predictor, tmp_path):
    save(predictor, tmp_path / "again", title="x", card="y")
    again = sciformer.load(tmp_path / "again")
    pd.testing.assert_frame_equal(again.predict(SMILES), predictor.predict(SMILES), check_exact=True)
    pd.testing.assert_frame_equal(again.embed(SMILES), predictor.embed(SMILES), check_exact=True)


# --- checkpoints that a stranger has made ----------------------------------------------------------------


def forged(checkpoint, path, config=None, calibration=None):
    """The checkpoint with fields exchanged (``a.b`` is b in a, None takes it out) and hashes that agree."""
    made = {"config": copy.deepcopy(checkpoint.config), "calibration": copy.deepcopy(checkpoint.calibration)}
    for name, changes in (("config", config), ("calibration", calibration)):
        for field, value in (changes or {}).items():
            *outer, last = field.split(".")
            section = made[name]
            for key in outer:
                section = section[int(key) if isinstance(section, list) else key]
            if value is None:
                del section[last]
            else:
                section[last] = value
    return save_checkpoint(path, weights=checkpoint.weights, card="", **made)


@pytest.fixture
def honest(finished_run):
    return load_checkpoint(finished_run / "checkpoint")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.width": 20000}, r"model\.width must be a number in 1\.\.16384, got 20000"),
        ({"model.depth": 10**9}, r"model\.depth must be a number in 1\.\.512"),
        ({"model.colour": "red"}, "model has unknown fields colour"),
        ({"model.bias": "yes"}, r"model\.bias must be of type bool, got 'yes'"),
        ({"model.heads": 5}, "width must be a multiple of heads"),
        ({"model": []}, r"config\.model must be of type dict"),
        ({"adapter": None}, r"config\.adapter is missing"),
        ({"adapter.name": None}, "no domain named 'None'; found: "),
        ({"adapter.name": "os"}, "no domain named 'os'; found: "),
        ({"adapter.max_hops": "10"}, r"adapter\.max_hops must be of type int, got '10'"),
        ({"adapter.max_hops": 10**6}, r"max_hops must lie in 1\.\.250"),
        ({"adapter.shell": "rm"}, "adapter has unknown fields shell"),
        ({"task": None}, r"config\.task is missing"),
        ({"task.name": "translate"}, r"task\.name must be of type Literal\['property'\], got 'translate'"),
        ({"task.name": "forecast"}, "task has unknown fields extensive, targets"),
        (
            {"task": {"name": "forecast", "modality": "molecule", "future": 0.7, "cut": [0.1, 0.9]}},
            "task.modality 'molecule' of domain 'molecule' has no forecasts",
        ),
        ({"task.family": "poisson"}, r"task\.family must be of type"),
        ({"task.targets": []}, r"task\.targets must have a length in 1\.\.10000, got 0"),
        ({"task.targets": [7]}, r"task\.targets must be of type list"),
        ({"task.targets.0.kind": "ordinal"}, r"task\.targets\[0\]\.kind must be of type"),
        ({"task.targets.1.classes": ["a"]}, "binary target 'crosses_membrane' needs two classes"),
        ({"task.targets.2.classes": 20_000 * ["a"]}, r"task\.targets\[2\]\.classes must have a length in 0\.\.10000"),
        ({"task.targets.2.classes": 9000 * ["a"]}, r"of another shape: .* \(saved \(3, 24\), needed \(9000, 24\)\)"),
        ({"members": "1"}, r"config\.members must be of type int, got '1'"),
        ({"members": 10**12}, r"members is 1000000000000, but model\.safetensors holds 1"),
        ({"members": 0}, "members is 0, but"),
        ({"level": 0.7}, r"level must be one of 0\.5"),
        ({"level": "high"}, r"config\.level must be of type float"),
        ({"splits": 1}, r"config\.splits must be of type dict"),
        ({"class": 1}, "config has unknown fields class"),
    ],
)
def test_a_config_that_was_not_saved_so_is_refused_by_file_and_field(honest, change, message, tmp_path):
    path = forged(honest, tmp_path / "m", change)
    with pytest.raises(IntegrityError, match=message) as error:
        sciformer.load(path)
    assert str(error.value).startswith(f"{path / 'config.json'}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": {}}, "colour: 'n' is missing"),
        ({"colour": []}, "colour: must be an object, got list"),
        ({"weight": {"kind": "interval", "n": 3}}, "weight: is no target; targets are logS_mol_per_L, crosses"),
        ({"colour.kind": "poisson"}, "colour: kind must be interval, leads or classes, got 'poisson'"),
        ({"colour.n": "many"}, "colour: n must be a number of records, got 'many'"),
        ({"colour.temperature": 0}, "colour: temperature must be positive"),
        ({"colour.shift": "1"}, "colour: shift must be a finite number, got '1'"),
        ({"logS_mol_per_L.stretch": {}}, r"logS_mol_per_L: stretch must have the levels 0\.5, .* got none"),
        ({"logS_mol_per_L.stretch": {"0.9": 1.0}}, r"stretch must have the levels .* got 0\.9"),
        ({"colour.thresholds": [1]}, "thresholds must be a list with one table per class"),
        ({"colour.thresholds": [[], [], []]}, r"thresholds\.0 must have the levels .* got list"),
        ({"colour.counts": [1, 2, "x"]}, "counts must be numbers of records"),
        ({"colour.tilt": [0.5]}, "tilt must be empty or a list with one number per class"),
        ({"colour.tilt": [0, 0, "x"]}, r"tilt\.2 must be a finite number"),
    ],
)
def test_a_calibration_that_was_not_saved_so_is_refused_by_file_and_target(honest, change, message, tmp_path):
    path = forged(honest, tmp_path / "m", calibration=change)
    with pytest.raises(IntegrityError, match=message) as error:
        sciformer.load(path)
    assert str(error.value).startswith(f"{path / 'calibration.json'}: ")
    assert "\n" not in str(error.value)


def test_a_calibration_must_suit_its_target(honest, tmp_path):
    path = forged(honest, tmp_path / "m", calibration={"colour": honest.calibration["logS_mol_per_L"]})
    with pytest.raises(IntegrityError, match="colour: kind 'interval' does not suit a multiclass target"):
        sciformer.load(path)


def test_memory_is_taken_only_for_a_model_that_the_weights_fit(honest, monkeypatch, tmp_path):
    devices = []

    class Watched(pretrained.Member):
        def __init__(self, model, task):
            super().__init__(model, task)
            devices.append({x.device.type for x in self.parameters()})

    monkeypatch.setattr(pretrained, "Member", Watched)
    with pytest.raises(IntegrityError, match="the weights do not fit the model that their config describes"):
        sciformer.load(forged(honest, tmp_path / "m", {"model.width": 48}))
    assert devices == [{"meta"}]
    sciformer.load(honest.path, device="cpu")
    assert devices[1:] == [{"meta"}, {"cpu"}]


# --- the rest of the process -----------------------------------------------------------------------------


def global_state():
    # Python's own generator is left out: the type checks that run during tests draw from it.
    names = [None, "pytorch_lightning", "lightning_fabric", "torch", "rdkit", "sciformer"]
    loggers = [(logging.getLogger(name).level, list(logging.getLogger(name).handlers)) for name in names]
    return (
        torch.get_rng_state().tolist(),
        np.random.get_state()[1].tolist(),  # noqa: NPY002 - the global one is meant
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        list(warnings.filters),
        loggers,
    )


def test_nothing_global_changes(finished_run):
    before = global_state()
    model = sciformer.load(finished_run / "checkpoint")
    model.predict(["CCO", "bad("])
    model.embed(["CCO"])
    model.attention(["CCO"])
    assert global_state() == before
