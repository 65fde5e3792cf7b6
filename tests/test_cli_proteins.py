"""The command line for proteins: residues, substitutions, and what other commands say of labels of residues."""

import pandas as pd
import pytest
import torch

from sciformer.cli import main
from sciformer.domains.protein.adapter import Protein
from sciformer.ensemble import Member
from sciformer.model import Sciformer, SciformerConfig
from sciformer.predictor import Predictor
from sciformer.pretrained import save
from sciformer.tasks.property import Property
from sciformer.tokens import Target

WILD_TYPE = "MKTAYIAK"
TARGETS = (Target("fitness", unit="kcal/mol"), Target("active", "binary", classes=("no", "yes")))


@pytest.fixture(scope="module")
def labels(annotated_run) -> str:
    return str(annotated_run / "checkpoint")


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> str:
    """The checkpoint of a model of variants, in which two sites varied."""
    protein = Protein(wild_type=WILD_TYPE)
    protein = protein.fitted(list(protein.read(["M1A", "Y5A,M1C"])))
    config = SciformerConfig(width=16, depth=1, heads=2)
    torch.manual_seed(0)
    member = Member(Sciformer(config, {"protein": protein}), Property(config, TARGETS)).eval()
    member.task.scale.fitted.fill_(True)
    path = tmp_path_factory.mktemp("scan") / "checkpoint"
    save(Predictor(protein, [member], {}), path, title="Scan", card="", simulated=False, splits={})
    return str(path)


@pytest.fixture
def fasta(tmp_path) -> str:
    path = tmp_path / "some.fasta"
    path.write_text(">one\nMKTAYIAKQR\n>bad\nMK1\n>two\nMKVYI\n")
    return str(path)


def ends(*args: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(args))
    return int(end.value.code or 0)


def test_residues_are_written_row_by_row(labels, fasta, tmp_path, capsys):
    main(["residues", labels, fasta, "-o", str(tmp_path / "r.csv"), "--level", "0.8"])
    table = pd.read_csv(tmp_path / "r.csv")
    assert list(table.columns[:5]) == ["record", "chain", "position", "residue", "state"]
    assert table["record"].tolist() == ["one"] * 10 + ["bad"] + ["two"] * 5
    assert table.loc[table["record"] == "two", "residue"].str.cat() == "MKVYI"
    assert table["status"].str.contains("'1' at position 3").sum() == 1
    shown = capsys.readouterr().out
    assert "  row bad: '1' at position 3" in shown
    assert f"15 residues of 2 rows labelled, 1 unreadable: {tmp_path / 'r.csv'}" in shown


def test_predict_writes_the_labels_of_a_record_beside_its_row(labels, residues, tmp_path, capsys):
    residues.head(7).to_csv(tmp_path / "some.csv", index=False)
    main(["predict", labels, str(tmp_path / "some.csv"), "-o", str(tmp_path / "p.csv")])
    table = pd.read_csv(tmp_path / "p.csv")
    assert list(table["state"]) == list(residues["state"].head(7))
    read = table[table["status"] == "ok"]
    assert read["predicted_state"].str.len().tolist() == read["sequence"].str.len().tolist()
    assert [len(x.split(" ")) for x in read["predicted_exposure"]] == read["sequence"].str.len().tolist()
    assert table["predicted_state"].isna().sum() == 1
    assert "6 rows predicted, 1 unreadable" in capsys.readouterr().out


def test_evaluate_counts_the_residues_that_are_not_masked(labels, make_residues, tmp_path, capsys):
    table = make_residues(12, seed=9)
    table.loc[3, "resolved"] = "0" * len(table.loc[3, "sequence"])
    table.to_csv(tmp_path / "some.csv", index=False)
    main(["evaluate", labels, str(tmp_path / "some.csv"), "-o", str(tmp_path / "e.csv"), "--columns.mask", "resolved"])
    told = pd.read_csv(tmp_path / "e.csv")
    assert {"key", "position", "residue", "truth", "prediction"} <= set(told.columns)
    exposure = told[told["target"] == "exposure"]
    assert len(exposure) == sum(table["resolved"].str.count("1"))
    first = exposure[exposure["key"] == "p0"]
    assert [table.loc[0, "sequence"][i - 1] for i in first["position"]] == first["residue"].tolist()
    shown = capsys.readouterr().out
    assert "accuracy" in shown
    assert "11 of 12 rows scored, 0 unreadable, 1 without an answer" in shown


def test_info_says_that_every_residue_is_answered(labels, capsys):
    main(["info", labels])
    shown = capsys.readouterr().out
    assert "  state: multiclass of every residue, classes C, E, H; calibrated on " in shown
    assert "  exposure: regression of every residue; calibrated on " in shown


def test_info_says_what_the_variants_are_variants_of(scans, capsys):
    main(["info", scans])
    assert (
        f"Variants of {WILD_TYPE} (8 residues, the first numbered 1); sites that varied in training: 1, 5"
        in capsys.readouterr().out
    )


def test_substitutions_of_the_wild_type_are_gone_through(scans, tmp_path, capsys):
    main(["mutate", scans, "-o", str(tmp_path / "m.csv")])
    table = pd.read_csv(tmp_path / "m.csv", keep_default_na=False)
    assert len(table) == 1 + 19 * len(WILD_TYPE)
    assert {"effect_fitness", "effect_active_p_yes"} <= set(table.columns)
    wild = table.iloc[0]
    assert (wild["variant"], wild["effect_fitness"]) == ("wt", 0)
    some = table.iloc[7]
    assert some["effect_fitness"] == pytest.approx(some["fitness"] - wild["fitness"], abs=1e-5)
    assert some["effect_active_p_yes"] == pytest.approx(some["active_p_yes"] - wild["active_p_yes"], abs=1e-5)
    shown = capsys.readouterr().out
    assert "Note: 6 of 8 sites never varied in training: nothing was learned of their substitutions" in shown
    strongest = [line for line in shown.splitlines() if line.startswith("  fitness [kcal/mol]: up ")]
    named = [word for word in strongest[0].replace(";", "").split() if word[0] in "MKTAYI" and word[-1].isalpha()]
    assert named
    assert {word[:-1] for word in named} <= {"M1", "Y5"}  # nothing else was learned
    assert f"152 substitutions at 8 sites of the wild type: {tmp_path / 'm.csv'}" in shown


def test_substitutions_of_a_file_of_one_record_are_gone_through(scans, tmp_path, capsys):
    (tmp_path / "one.fasta").write_text(">v\nMKTAYIAW\n")
    main(["mutate", scans, str(tmp_path / "one.fasta"), "-o", str(tmp_path / "m.csv"), "--level", "0.5"])
    assert pd.read_csv(tmp_path / "m.csv")["variant"].str.startswith("W8").sum() == 19
    assert "at 8 sites of " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("residues {scans} {fasta} -o {out}", "answers nothing of single residues: use sciformer predict"),
        ("mutate {labels} {fasta} -o {out}", "predicts no property of a whole record, so nothing of its variants"),
        ("mutate {scans} {fasta} -o {out}", "one record is asked for, got 3"),
        ("mutate {scans} nowhere.fasta -o {out}", "there is no file nowhere.fasta"),
        ("forecast {labels} {fasta} -o {out}", "forecasts nothing: use sciformer predict"),
        ("evaluate {labels} {fasta} -o {out}", "is readable and has a value for state, exposure"),
    ],
)
def test_the_wrong_checkpoint_or_file_is_one_line(command, message, labels, scans, fasta, tmp_path, capsys):
    out = tmp_path / "out.csv"
    assert ends(*command.format(scans=scans, labels=labels, fasta=fasta, out=out).split()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not out.exists()
