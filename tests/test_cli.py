"""The command line as a user meets it: help, answers in files, one-line errors, exit codes."""

import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from sciformer import cli
from sciformer.cli import main
from sciformer.data import cards
from sciformer.output import RUN_TABLES

COMMANDS = ("train", "compare", "evaluate", "predict", "residues", "mutate", "embed", "info", "probe", "data", "models")


def ends(*args: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(list(args))
    return int(end.value.code or 0)


@pytest.fixture
def checkpoint(finished_run) -> str:
    return str(finished_run / "checkpoint")


# --- help and usage --------------------------------------------------------------------------------------


def test_help_names_every_command(capsys):
    assert ends("--help") == 0
    shown = capsys.readouterr().out
    assert all(re.search(rf"^ +{name} ", shown, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize(
    "name",
    [(command,) for command in COMMANDS]
    + [("data", action) for action in ("list", "show", "fetch", "build")]
    + [("models", action) for action in ("list", "show", "push")],
)
def test_every_command_explains_itself(name, capsys):
    assert ends(*name, "--help") == 0
    assert "usage:" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["molecule/property", "recipes/molecule/property.py"])
def test_a_recipe_shows_its_question_and_every_setting(name, recipe_file, monkeypatch, capsys):
    monkeypatch.chdir(Path(recipe_file).parents[2])
    assert ends("train", name, "--help") == 0
    shown = capsys.readouterr().out
    for text in (
        "Question: what are the properties",
        "--data.source",
        "--split.kind",
        "--uncertainty.members",
        "--out",
    ):
        assert text in shown


def test_the_version_is_printed(capsys):
    main(["--version"])
    assert re.fullmatch(r"sciformer \d+\.\d+\S*\n", capsys.readouterr().out)


@pytest.mark.parametrize("args", [(), ("fly",), ("predict", "a"), ("train",), ("data",), ("info", "a", "b")])
def test_wrong_usage_has_exit_code_2(args, capsys):
    assert ends(*args) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sciformer: error: ")
    assert "--help explains all" in line


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--epochs", "3"), "there is no option --epochs; did you mean --optim.epochs?"),
        (("--optim.epoch=3",), "there is no option --optim.epoch; did you mean --optim.epochs?"),
        (("--optim.epochs", "many"), "--optim.epochs must be of type int, got 'many'"),
        (("--split.fractions", "0.7,0.3,0,0"), "--split.fractions must be a list in brackets, as [1,2], got '0.7,"),
        (("--start.labels", "a=b"), "--start.labels must be given name by name, with .NAME VALUE behind it, got 'a=b'"),
        (("--model.norm", "batch"), "--model.norm must be one of layer, rms, got 'batch'"),
        (("--split", "scaffold"), "--split is a group of settings; give one of them: --split."),
        (("--config", "{tmp}/typo.yaml"), "there is no option --optim.epoch; did you mean --optim.epochs?"),
    ],
)
def test_a_wrong_setting_is_one_line_with_the_one_that_was_meant(option, message, tmp_path, capsys):
    (tmp_path / "typo.yaml").write_text("optim:\n  epoch: 3\n")
    assert ends("train", "molecule/property", *(word.format(tmp=tmp_path) for word in option)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"sciformer: error: {message}")
    assert line.endswith("(sciformer train molecule/property --help explains all)")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "no command is given; choose from train, "),
        (
            ("pedict",),
            "there is no 'pedict'; choose from train, compare, evaluate, predict, residues, mutate, forecast, embed,",
        ),
        (("predict", "a"), "the following arguments are required: input, output (sciformer predict --help"),
        (("predict", "a", "b", "-o", "c.csv", "--lvel", "0.9"), "there is no option --lvel; did you mean --level?"),
        (("predict", "a", "b", "-o", "c.csv", "--level", "high"), "--level must be of type float, got 'high'"),
        (("info", "a", "b"), "'b' is one argument too many (sciformer info --help"),
    ],
)
def test_wrong_usage_says_what_is_possible(args, message, capsys):
    assert ends(*args) == 2
    assert capsys.readouterr().err.startswith(f"sciformer: error: {message}")


def test_a_recipe_is_called_as_it_was_started(recipe_file, monkeypatch, capsys):
    assert ends("train", "molecule/property", "--help") == 0
    assert "usage: sciformer train molecule/property " in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["recipes/molecule/property.py", "--help"])
    with pytest.raises(SystemExit):
        cli.run_recipe(recipe_file)
    assert "usage: property.py " in capsys.readouterr().out


def test_output_that_nobody_reads_ends_in_silence():
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "sciformer.cli", "data", "list"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_unknown_recipe_is_told_with_those_that_exist(capsys):
    assert ends("train", "molecule/solubility") == 1
    assert "molecule/esol, molecule/pretrain, molecule/property, " in capsys.readouterr().err
    assert ends("train", "none.py") == 1
    assert "there is no recipe file none.py" in capsys.readouterr().err


def test_a_file_that_is_no_recipe_is_refused(tmp_path, capsys):
    (tmp_path / "x.py").write_text("a = 1\n")
    assert ends("train", str(tmp_path / "x.py")) == 1
    assert "must define `def recipe() -> Recipe`" in capsys.readouterr().err


# --- settings --------------------------------------------------------------------------------------------


def settings(capsys, *args: str) -> str:
    assert ends("train", *args, "--print_config") == 0
    return capsys.readouterr().out


def test_the_configuration_of_a_run_gives_the_same_recipe_again(finished_run, recipe_file):
    module = cli._load_recipe(recipe_file)
    recipe, _ = cli.parse_recipe(module, ["--config", str(finished_run / "config.yaml")])
    import yaml

    from sciformer.recipe import plain

    assert plain(recipe) == yaml.safe_load((finished_run / "config.yaml").read_text())
    assert recipe.split.fractions == (0.5, 0.1, 0.2, 0.2)


def test_a_printed_configuration_can_be_edited_and_given_back(recipe_file, tmp_path, capsys):
    printed = settings(capsys, recipe_file, "--optim.lr", "0.125")
    assert "lr: 0.125" in printed
    path = tmp_path / "mine.yaml"
    path.write_text(printed.replace("lr: 0.125", "lr: 0.25"))
    assert settings(capsys, recipe_file, "--config", str(path)) == path.read_text()
    assert "lr: 0.5" in settings(capsys, recipe_file, "--config", str(path), "--optim.lr", "0.5")


def test_yaml_cannot_run_code(recipe_file, tmp_path, capsys):
    path, canary = tmp_path / "evil.yaml", tmp_path / "canary"
    path.write_text(f'seed: !!python/object/apply:pathlib.Path.touch ["{canary}"]\n')
    assert ends("train", recipe_file, "--config", str(path), "--print_config") == 2
    assert not canary.exists()


# --- a checkpoint in use ---------------------------------------------------------------------------------


def test_predictions_stand_beside_the_columns_of_the_file(checkpoint, table_file, molecules, tmp_path, capsys):
    out = tmp_path / "new" / "predicted.csv"
    main(["predict", checkpoint, str(table_file), "-o", str(out), "--level", "0.8"])
    table = pd.read_csv(out, dtype=str, keep_default_na=False)
    original = pd.read_csv(table_file, dtype=str, keep_default_na=False)
    pd.testing.assert_frame_equal(table[original.columns], original)
    assert table["predicted_colour"].isin(["red", "green", "blue", ""]).all()
    bad = table["status"] != "ok"
    assert table.index[bad].tolist() == [3, 50]
    assert (table.loc[bad, "predicted_logS_mol_per_L"] == "").all()
    said = capsys.readouterr().out
    assert "row 4: unparsable: unclosed ring" in said
    assert f"68 rows predicted, 2 unreadable: {out}" in said


def test_cells_of_the_input_come_back_as_they_were(checkpoint, tmp_path):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text('code,SMILES,note\n007,CCO,1.10\n008,CCN,"a, ""b"""\n')
    main(["predict", checkpoint, str(source), "-o", str(out)])
    lines = out.read_text().splitlines()
    assert lines[1].startswith("007,CCO,1.10,")
    assert lines[2].startswith('008,CCN,"a, ""b""",')


def test_predictions_are_written_as_parquet_too(checkpoint, table_file, tmp_path, capsys):
    out = tmp_path / "p.parquet"
    main(["predict", checkpoint, str(table_file), "-o", str(out)])
    table = pd.read_parquet(out)
    assert table["predicted_logS_mol_per_L_lower"].dtype == float
    assert len(table) == 70


def test_no_table_of_a_run_is_written_over(checkpoint, finished_run, table_file, tmp_path, capsys):
    assert {path.name for path in finished_run.glob("*.csv")} <= set(RUN_TABLES)
    before = (finished_run / "predictions.csv").read_bytes()
    for command in ("predict", "evaluate", "embed"):
        assert ends(command, checkpoint, str(table_file), "-o", str(finished_run / "predictions.csv")) == 1
        assert "is a table of the run in" in capsys.readouterr().err
    assert (finished_run / "predictions.csv").read_bytes() == before
    (tmp_path / "run.json").write_text("{}")
    for _ in range(2):  # what the report proposes, again and again
        main(["predict", checkpoint, str(table_file), "-o", str(tmp_path / "predicted.csv")])


@pytest.mark.parametrize("link", [False, True])
def test_the_input_is_never_written_over(link, checkpoint, tmp_path, capsys):
    source, out = tmp_path / "own.csv", tmp_path / "own.csv"
    source.write_text("smiles\nCCO\n")
    if link:
        out = tmp_path / "link.csv"
        out.symlink_to(source)
    assert ends("predict", checkpoint, str(source), "-o", str(out)) == 1
    assert "is the input itself, which would be lost" in capsys.readouterr().err
    assert source.read_text() == "smiles\nCCO\n"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_that_cannot_be_finished_leaves_the_one_before(suffix, checkpoint, table_file, tmp_path, monkeypatch):
    out = tmp_path / f"p.{suffix}"
    out.write_text("before")

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    assert ends("predict", checkpoint, str(table_file), "-o", str(out)) == 1
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(out.name, "before")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("adir.csv", "is a directory; name a file in it"),
        ("file/p.csv", "is a file; choose another folder"),
        ("closed/new/p.csv", "closed is read-only; choose another folder"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_any_work(
    name, message, table_file, tmp_path, monkeypatch, capsys
):
    (tmp_path / "adir.csv").mkdir()
    (tmp_path / "closed").mkdir()
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path.resolve() / "closed")
    assert ends("predict", "no checkpoint is looked at", str(table_file), "-o", str(tmp_path / name)) == 1
    assert message in capsys.readouterr().err


def test_numbers_have_six_digits_and_cells_of_the_input_all(checkpoint, tmp_path, capsys):
    source, out = tmp_path / "in.parquet", tmp_path / "out.csv"
    exact = 0.12345678901234567
    pd.DataFrame({"smiles": ["CCO", "C1CC"], "mine": [exact, 1.0]}).to_parquet(source)
    main(["predict", checkpoint, str(source), "-o", str(out)])
    assert "1 row predicted, 1 unreadable" in capsys.readouterr().out
    table = pd.read_csv(out, dtype=str, keep_default_na=False)
    assert float(table["mine"][0]) == exact
    answers = table.drop(columns=["mine", "smiles"]).iloc[0]
    numbers = [cell for cell in answers if re.fullmatch(r"-?[\d.]+(e-?\d+)?", cell)]
    assert len(numbers) > 5
    assert all(f"{float(cell):.6g}" == cell for cell in numbers)
    assert table["logS_mol_per_L"][1] == ""


def test_the_number_of_unreadable_rows_that_are_not_listed_is_told(checkpoint, tmp_path, capsys):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("smiles\nCCO\n" + 7 * "C1CC\n")
    main(["predict", checkpoint, str(source), "-o", str(out)])
    said = capsys.readouterr().out
    assert said.count("  row ") == 5
    assert f"  and 2 more: column status of {out}\n" in said


def test_columns_can_be_named(checkpoint, tmp_path, capsys):
    source = tmp_path / "in.csv"
    source.write_text("a,b\nCCO,x\nCCN,y\n")
    out = tmp_path / "out.csv"
    assert ends("predict", checkpoint, str(source), "-o", str(out)) == 1
    assert "no column is known to hold SMILES" in capsys.readouterr().err
    main(["predict", checkpoint, str(source), "-o", str(out), "--columns.smiles", "a", "--columns.id", "b"])
    assert pd.read_csv(out)["record"].tolist() == ["x", "y"]


def test_options_of_the_reader_hold_for_the_columns_that_are_echoed_too(checkpoint, tmp_path, capsys):
    source, out = tmp_path / "in.txt", tmp_path / "out.csv"
    source.write_text("# by hand, 2026\n007~C#N~1,5\n# a remark\n008~CCN~NA\n")
    options = {"sep": "~", "comment": "#", "names": "code, structure, y"}
    given = [word for name, value in options.items() for word in (f"--columns.{name}", value)]
    main(["predict", checkpoint, str(source), "-o", str(out), *given])
    table = pd.read_csv(out, dtype=str, keep_default_na=False)
    assert table["code"].tolist() == ["007", "008"]
    assert table["structure"].tolist() == ["C#N", "CCN"]
    assert table["y"].tolist() == ["1,5", "NA"]
    assert table["status"].tolist() == ["ok", "ok"]


def test_an_unknown_option_of_the_reader_is_one_line_with_those_that_exist(checkpoint, table_file, tmp_path, capsys):
    out = str(tmp_path / "o.csv")
    assert ends("predict", checkpoint, str(table_file), "-o", out, "--columns.smile", "smiles") == 1
    assert capsys.readouterr().err == (
        "sciformer: error: no option 'smile' of the reader; options: smiles, id, sep, comment, names\n"
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_evaluation_scores_and_writes_every_known_answer(checkpoint, table_file, molecules, suffix, tmp_path, capsys):
    out = tmp_path / f"e.{suffix}"
    main(["evaluate", checkpoint, str(table_file), "-o", str(out)])
    table = pd.read_csv(out) if suffix == "csv" else pd.read_parquet(out)
    readable = molecules.drop(index=[3, 50])
    for name in ("logS_mol_per_L", "crosses_membrane", "colour"):
        assert (table["target"] == name).sum() == readable[name].notna().sum()
    said = capsys.readouterr().out
    assert all(metric in said for metric in ("RMSE", "ROC-AUC", "balanced accuracy", "coverage"))


def test_evaluation_says_which_rows_it_could_not_score(checkpoint, table_file, tmp_path, capsys):
    table = pd.read_csv(table_file)
    table.loc[table.index[:4], ["logS_mol_per_L", "crosses_membrane", "colour"]] = None  # row 4 cannot be read either
    source, out = tmp_path / "few.csv", tmp_path / "e.csv"
    table.to_csv(source, index=False)
    main(["evaluate", checkpoint, str(source), "-o", str(out), "--columns.id", "id"])
    said = capsys.readouterr().out
    assert "row m3: unparsable: unclosed ring" in said
    assert "row m50: missing: no SMILES" in said
    assert f"65 of 70 rows scored, 2 unreadable, 3 without an answer: {out}" in said
    assert pd.read_csv(out)["key"].nunique() == 65


def test_embeddings_are_written_with_their_records_and_the_reason_where_there_is_none(
    checkpoint, table_file, tmp_path, capsys
):
    main(["embed", checkpoint, str(table_file), "-o", str(tmp_path / "e.csv"), "--columns.id", "id"])
    table = pd.read_csv(tmp_path / "e.csv")
    assert list(table.columns) == ["record", *map(str, range(24)), "status"]
    assert len(table) == 70
    assert table["0"].isna().tolist() == (table["status"] != "ok").tolist()
    assert table.loc[table["0"].isna(), "record"].tolist() == ["m3", "m50"]
    said = capsys.readouterr().out
    assert "row m3: unparsable: unclosed ring" in said
    assert "68 rows of 24 numbers, 2 unreadable" in said


def test_info_says_what_a_checkpoint_is(checkpoint, capsys):
    main(["info", checkpoint])
    said = capsys.readouterr().out
    assert "every hash verified" in said
    assert "colour: multiclass, classes blue, green, red; calibrated on" in said
    assert "simulated" not in said  # a user's own table


def test_info_reads_the_files_once(checkpoint, monkeypatch, capsys):
    read, times = Path.read_bytes, Counter()
    monkeypatch.setattr(Path, "read_bytes", lambda path: times.update([path.name]) or read(path))
    main(["info", checkpoint])
    assert times["model.safetensors"] == 1
    assert max(times.values()) == 1


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("{checkpoint}", "none.csv", "-o", "{tmp}/o.csv"), "there is no file none.csv"),
        (("{checkpoint}", "CCO", "-o", "{tmp}/o.csv"), "there is no file CCO"),
        (("{checkpoint}", "{table}", "-o", "{tmp}/o.xlsx"), "output must end in .csv or .parquet"),
        (("{checkpoint}", "{table}", "-o", "{tmp}/o.csv", "--level", "0.7"), "level must be one of"),
        (("{tmp}/none", "{table}", "-o", "{tmp}/o.csv"), "there is no checkpoint at"),
        (("{tmp}", "{table}", "-o", "{tmp}/o.csv"), "is no checkpoint"),
        (("{checkpoint}/..", "{table}", "-o", "{tmp}/o.csv"), "is no checkpoint but a run: give"),
        (("{table}", "{table}", "-o", "{tmp}/o.csv"), "give the checkpoint directory"),
    ],
)
def test_predict_fails_in_one_line_and_writes_nothing(args, message, checkpoint, table_file, tmp_path, capsys):
    assert ends("predict", *(a.format(checkpoint=checkpoint, table=table_file, tmp=tmp_path) for a in args)) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert message in errors[0]
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_where_an_error_comes_from():
    with pytest.raises(FileNotFoundError):
        main(["info", "none", "--debug"])


# --- public data -----------------------------------------------------------------------------------------


def test_data_sets_are_listed_and_shown(capsys):
    main(["data", "list"])
    listed = capsys.readouterr().out
    assert all(name in listed for name in cards.names())
    main(["data", "show", "esol"])
    shown = capsys.readouterr().out
    assert "Delaney" in shown
    assert "sha256" in shown


def test_data_sets_are_listed_by_domain_and_domains_are_discovered(monkeypatch, capsys):
    main(["data", "list", "--domain", "molecule"])
    assert "esol" in capsys.readouterr().out
    assert ends("data", "list", "--domain", "astrology") == 1
    assert "no domain named 'astrology'; found: all, " in capsys.readouterr().err
    monkeypatch.setattr("sciformer.discovery.adapter_names", lambda: ("astrology",))
    main(["data", "list", "--domain", "astrology"])
    assert capsys.readouterr() == ("", "")


def test_an_unknown_data_set_is_told_with_those_that_exist(capsys):
    assert ends("data", "show", "esoll") == 1
    assert "no data card named 'esoll'; known: " in capsys.readouterr().err


def test_fetch_names_files_that_are_there(mirror, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SCIFORMER_CACHE", str(tmp_path))
    main(["data", "fetch", "esol"])
    paths = capsys.readouterr().out.splitlines()
    assert paths
    assert all(Path(path).is_file() for path in paths)


# --- signals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command_with_its_code_and_one_line(signum, code, capsys):
    before = signal.getsignal(signum)
    with pytest.raises(SystemExit) as end, cli.friendly_errors([]):
        signal.raise_signal(signum)
    assert end.value.code == code
    assert capsys.readouterr().err == f"sciformer: error: stopped by {signum.name}\n"
    assert signal.getsignal(signum) is before


def test_the_command_to_go_on_does_not_start_again():
    from sciformer.recipe import RunOptions

    args = ["--data.source", "my table.csv", "--overwrite", "true", "--resume", "never"]
    words = ["train", "molecule/property", *args]
    command = cli._resume_command(words, RunOptions(overwrite=True, resume="never"))
    assert command.endswith("--overwrite false --resume auto")
    assert command.startswith("sciformer train molecule/property --data.source 'my table.csv' ")
    assert cli._resume_command(["train", "x", "--seed", "1"], RunOptions()) == "sciformer train x --seed 1"
