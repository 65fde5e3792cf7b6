"""What a frozen backbone knows: what is planted in its vectors is found, and nothing of the tested records is used."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

import sciformer
from sciformer import probe as probing
from sciformer.adapter import Record
from sciformer.cli import main
from sciformer.data.dataset import Dataset
from sciformer.data.examples import example_of
from sciformer.data.splits import SplitConfig
from sciformer.domains.lightcurve.data import LightCurveData
from sciformer.domains.molecule import Molecule
from sciformer.domains.molecule.data import MoleculeData
from sciformer.domains.protein.data import ProteinData
from sciformer.ensemble import Ensemble
from sciformer.foundation import Foundation
from sciformer.model import Sciformer, SciformerConfig
from sciformer.probe import OWN, _Probe, probe, untrained
from sciformer.tasks.reconstruct import Reconstruct
from sciformer.tokens import Target

NUMBER, YES, COLOUR = (
    Target("number", unit="m"),
    Target("yes", "binary", classes=("no", "yes")),
    Target("colour", "multiclass", classes=("red", "green", "blue")),
)
MOLECULE = next(iter(Molecule().read(["CCO"]))).data


class Planted(Ensemble):
    """A backbone whose vectors are what a test says."""

    def vectors(self, records):
        return np.array([[float(x) for x in record.key.split("_")[1:]] for record in records])


@pytest.fixture
def planted(foundation_path, monkeypatch):
    """Vectors that know the answers, and an untrained backbone of noise."""
    real = sciformer.load(foundation_path, domain="molecule", device="cpu")
    rng = np.random.default_rng(1)

    def noise(backbone, seed):
        other = Planted(real.adapter, real.members, {})
        object.__setattr__(other, "vectors", lambda records: rng.normal(size=(len(records), 2)))
        return other

    monkeypatch.setattr(probing, "untrained", noise)
    return Planted(real.adapter, real.members, {})


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Few settings to choose among."""
    monkeypatch.setattr(probing, "PENALTIES", (1e-2, 1.0))
    monkeypatch.setattr(probing, "NEIGHBOURS", (1, 5))
    monkeypatch.setattr(probing, "INNER", 3)


def records_of(n: int = 90, seed: int = 0) -> list[Record]:
    """Records whose key holds the two numbers that their answers follow from."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(n):
        a, b = rng.normal(size=2)
        answers = {"number": 3 * a - b, "yes": float(a > b), "colour": float(np.digitize(a, [-0.5, 0.5]))}
        out.append(Record(key=f"m{i}_{a:.6f}_{b:.6f}", data=MOLECULE, targets=answers))
    return out


def dataset_of(records, *targets) -> Dataset:
    return Dataset(adapter=Molecule(), records=records, targets=targets, source="planted")


def headline(table: pd.DataFrame, target: str, metric: str) -> pd.DataFrame:
    return table[(table["target"] == target) & (table["metric"] == metric)].set_index("model")


# --- what is planted is found ----------------------------------------------------------------------------


def test_what_the_vectors_know_is_found_and_told_from_an_untrained_backbone(planted):
    table = probe(planted, dataset_of(records_of(), NUMBER, YES, COLOUR), folds=3, baselines=False)
    number, yes, colour = (
        headline(table, *names) for names in (("number", "RMSE"), ("yes", "ROC-AUC"), ("colour", "accuracy"))
    )
    assert number.loc[OWN, "value"] < 0.1
    assert number.loc["untrained, linear", "value"] > 2
    assert yes.loc[OWN, "value"] > 0.99
    assert 0.3 < yes.loc["untrained, linear", "value"] < 0.7
    assert colour.loc[OWN, "value"] > 0.85
    assert colour.loc["backbone, nearest neighbours", "value"] > 0.75
    for rows in (number, yes, colour):
        assert rows.loc["untrained, linear", "verdict"] == "better"
        assert rows.loc["untrained, linear", "n"] == 90
        assert (rows["lower"] <= rows["value"]).all()
        assert pd.isna(rows.loc[OWN, "verdict"])


def test_the_answers_to_records_do_not_depend_on_their_own_truth(planted):
    records = records_of()
    train, test = np.arange(60), np.arange(60, 90)
    changed = records[:60] + [dataclasses.replace(r, targets={"number": 99.0, "yes": 1.0}) for r in records[60:]]
    for what in ("linear", "nearest neighbours"):
        model = _Probe(what, planted.vectors(records), 0)
        for target in (NUMBER, YES):
            before, after = (model.answer(target, some, train, test) for some in (records, changed))
            np.testing.assert_array_equal(before, after)


def test_the_same_seed_gives_the_same_table_and_leaves_that_of_the_caller(planted, foundation_path, monkeypatch):
    monkeypatch.setattr(probing, "untrained", untrained)
    backbone = sciformer.load(foundation_path, domain="molecule", device="cpu")
    data = MoleculeData(rows=40, targets="logS_mol_per_L").load()
    state = torch.get_rng_state()
    first, second = (probe(backbone, data, folds=2, baselines=False) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert torch.equal(state, torch.get_rng_state())


def test_records_of_one_group_stay_together_where_settings_are_chosen():
    """Torn apart, one neighbour would seem perfect: it is the record itself."""
    rng = np.random.default_rng(0)
    vectors = np.repeat(rng.normal(size=(40, 2)), 2, axis=0)
    truth = np.repeat(rng.normal(size=40), 2)
    records = [
        Record(key=str(i), data=MOLECULE, group=f"g{i // 2}", targets={"number": x}) for i, x in enumerate(truth)
    ]
    groups = np.array([f"group {record.group}" for record in records])
    model = _Probe("nearest neighbours", vectors, 0)._chosen(NUMBER, truth, groups)
    assert model.fit(vectors, truth, groups=groups).best_params_["kneighborsregressor__n_neighbors"] > 2


# --- which records are tested ----------------------------------------------------------------------------


def test_every_record_is_tested_once_in_random_folds_and_a_given_split_is_taken_as_it_is(planted):
    records = records_of()
    labels = {record.key: "test" if i % 3 == 0 else "train" if i % 3 else "val" for i, record in enumerate(records)}
    data = dataclasses.replace(dataset_of(records, NUMBER), labels=labels)
    for split, folds, tested in (
        (SplitConfig(), 5, 90),
        (SplitConfig(), 1, 9),
        (SplitConfig(kind="kfold", test="1/3"), 5, 30),
    ):
        said: list[str] = []
        table = probe(planted, data, split, folds=folds, baselines=False, say=said.append)
        assert set(table["n"]) == {tested}
        assert said[0].startswith(f"{tested} of 90 records tested in ")
    assert "in 1 part(s)" in said[0]


def test_unknown_answers_and_rare_classes_are_no_obstacle(planted):
    records = records_of()
    for i, record in enumerate(records):
        known = dict(record.targets)
        known["colour"] = 2.0 if i == 5 else float(known["yes"])  # one record of the third class
        if i % 4 == 0:
            del known["number"]
        records[i] = dataclasses.replace(record, targets=known)
    table = probe(planted, dataset_of(records, NUMBER, COLOUR), folds=3, baselines=False)
    assert headline(table, "number", "RMSE").loc[OWN, "n"] == sum("number" in r.targets for r in records)
    assert headline(table, "colour", "accuracy").loc[OWN, "value"] > 0.9


@pytest.mark.parametrize("what", ["linear", "nearest neighbours"])
def test_with_nothing_to_learn_from_the_mean_is_answered(what, planted):
    records = records_of(20)
    model = _Probe(what, planted.vectors(records), 0)
    answer = model.answer(NUMBER, records, np.arange(5), np.arange(5, 20))
    np.testing.assert_allclose(answer, np.mean([r.targets["number"] for r in records[:5]]))
    alike = [dataclasses.replace(r, targets={"yes": 1.0}) for r in records]
    np.testing.assert_array_equal(model.answer(YES, alike, np.arange(15), np.arange(15, 20)), [[0.0, 1.0]] * 5)


# --- an untrained backbone -------------------------------------------------------------------------------


def test_an_untrained_backbone_has_the_shape_and_scales_of_the_other_and_no_weight_of_it(foundation_path):
    backbone = sciformer.load(foundation_path, domain="molecule", device="cpu")
    model, fresh = backbone.members[0].model, untrained(backbone, 3).members[0].model
    assert fresh.config == model.config
    scales = {name: x for name, x in model.named_buffers() if name in fresh.state_dict()}
    assert scales
    assert all(torch.equal(fresh.state_dict()[name], x) for name, x in scales.items())
    own = dict(fresh.named_parameters())
    assert set(own) <= {name for name, _ in model.named_parameters()}
    assert not torch.equal(own["blocks.0.attention.qkv.weight"], model.blocks[0].attention.qkv.weight)
    again, other = (untrained(backbone, seed).vectors(backbone.read(["CCO"])) for seed in (3, 4))
    np.testing.assert_array_equal(untrained(backbone, 3).vectors(backbone.read(["CCO"])), again)
    assert not np.allclose(again, other)


# --- every domain ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        ProteinData(rows=40),
        LightCurveData(rows=40, targets="class", fewest=2),
        MoleculeData(rows=40, targets="crosses_membrane"),
    ],
    ids=["protein", "lightcurve", "molecule"],
)
def test_records_of_every_domain_are_probed_beside_its_classical_models(data):
    dataset = data.load()
    adapter = dataset.adapter
    shape = SciformerConfig(width=16, depth=1, heads=2, dropout=0.0)
    model = Sciformer(shape, {adapter.name: adapter}).eval()
    model.fit([example_of(adapter, record) for record in dataset.records if record.ok])
    whole = Foundation({adapter.name: adapter}, model, {"m": Reconstruct(shape, adapter.schema, adapter.name)})
    table = probe(whole.backbone(), dataset, folds=2)
    names = {baseline.name for baseline in adapter.baselines()}
    assert names
    expected = {f"{who}, {what}" for who in ("backbone", "untrained") for what in ("linear", "nearest neighbours")}
    assert set(table["model"]) == expected | names
    assert set(table["target"]) == {target.name for target in dataset.targets}


# --- what cannot be probed -------------------------------------------------------------------------------


def test_what_cannot_be_probed_is_said(foundation_path, planted):
    molecules = MoleculeData(rows=20).load()
    with pytest.raises(ValueError, match="the records are of the domain 'molecule', and the backbone reads 'protein'"):
        probe(sciformer.load(foundation_path, domain="protein"), molecules)
    with pytest.raises(ValueError, match=r"nothing to probe: name columns with --data\.targets"):
        probe(planted, molecules.unlabelled())
    split = SplitConfig(kind="file", file="x", fractions=(1.0, 0.0, 0.0, 0.0))
    with pytest.raises(FileNotFoundError, match="split file x does not exist"):
        probe(planted, molecules, split)
    split = SplitConfig(fractions=(0.9, 0.1, 0.0, 0.0))
    with pytest.raises(ValueError, match=r"the random split tests no record: give it a test part"):
        probe(planted, dataset_of(records_of(), NUMBER), split, folds=1)
    alike = [dataclasses.replace(record, targets={"yes": 1.0}) for record in records_of()]
    with pytest.raises(ValueError, match="no target can be scored: the tested records must be two or more"):
        probe(planted, dataset_of(alike, YES), baselines=False)


def test_records_that_the_backbone_cannot_read_are_left_out_and_counted(planted, monkeypatch):
    records, said = records_of(), []
    few = {record.key for record in records[:6]}
    monkeypatch.setattr(Molecule, "unlike", lambda self, record: "is upside down" if record.key in few else "")
    table = probe(planted, dataset_of(records, NUMBER), folds=2, baselines=False, say=said.append)
    assert set(table["n"]) == {84}
    assert said[0].startswith("6 of 90 records cannot be read by this backbone, first m0_")
    few |= {record.key for record in records}
    with pytest.raises(ValueError, match=r"90 of 90 records cannot be read by this backbone, .*: is upside down"):
        probe(planted, dataset_of(records, NUMBER))


def test_labels_of_every_residue_are_refused(foundation_path, residues, tmp_path):
    residues.to_csv(tmp_path / "r.csv", index=False)
    data = ProteinData(source=str(tmp_path / "r.csv"), labels="state").load()
    with pytest.raises(ValueError, match="has labels of every residue, and a probe reads one vector per record"):
        probe(sciformer.load(foundation_path, domain="protein"), data)


# --- the command -----------------------------------------------------------------------------------------


def test_a_recipe_is_probed_from_the_command_line(foundation_path, table_file, tmp_path, capsys):
    out = tmp_path / "probe.csv"
    data = ["--data.source", str(table_file), "--data.targets", "logS_mol_per_L,colour"]
    main(
        [
            "probe",
            str(foundation_path),
            "molecule/property",
            *data,
            "--folds",
            "3",
            "--baselines",
            "false",
            "-o",
            str(out),
        ]
    )
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "68 of 68 records tested in 3 part(s)"
    assert "logS_mol_per_L, RMSE, 68 records" in said
    (line,) = [x for x in said if x.startswith("  untrained, linear") and "ROC" not in x][:1]
    assert "backbone, linear " in line
    assert said[-1] == f"All scores: {out}"
    table = pd.read_csv(out)
    assert {"RMSE", "MAE", "R2", "Spearman", "accuracy", "macro F1"} <= set(table["metric"])
    assert set(table["model"]) == {
        f"{who}, {what}" for who in ("backbone", "untrained") for what in ("linear", "nearest neighbours")
    }


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("molecule/pretrain",), "is a recipe of pretraining and asks nothing: name one with targets"),
        (("lightcurve/forecast",), "this recipe forecasts, and a probe reads one vector per record"),
        (("molecule/property", "-o", "x.txt"), "output must end in .csv or .parquet, got x.txt"),
        (("molecule/property", "--folds", "0"), "folds must be 1 or more, got 0"),
        (("molecule/property", "--optim.epochs", "3"), "there is no option --optim.epochs"),
        (("molecule/none",), "there is no recipe 'molecule/none'"),
    ],
)
def test_wrong_usage_is_one_line(args, message, foundation_path, capsys):
    with pytest.raises(SystemExit):
        main(["probe", str(foundation_path), *args])
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_the_options_are_those_of_the_data_and_the_split(foundation_path, capsys):
    with pytest.raises(SystemExit):
        main(["probe", str(foundation_path), "molecule/property", "--help"])
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("--data.source", "--split.kind", "--folds", "--output", "--seed"))
    assert "--model.width" not in shown
