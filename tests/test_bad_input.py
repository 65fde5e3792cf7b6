"""Whatever a user's file holds: a trained model, or one line that says what is wrong and what to do."""

import gzip
from pathlib import Path

import pytest
import torch

from sciformer.cli import main

ROWS = [(f"{'C' * (i % 20 + 1)}{'O' if i % 2 else 'N'}", 0.5 * i) for i in range(40)]
GOOD = "smiles,y\n" + "".join(f"{smiles},{y}\n" for smiles, y in ROWS)


def many(line: str) -> str:
    return "smiles,y\n" + 12 * f"{line}\n"


BAD = {
    "one row": (b"smiles,y\nCCO,1.5\n", "target 'y' is '1.5' in the only labelled row"),
    "two rows": (b"smiles,y\nCCO,1.5\nCCC,2.5\n", "needs at least 4 different groups, got 2"),
    "target all missing": (many("CCO,").encode(), "target 'y' has no value in any of 12 rows"),
    "target constant": (many("CCO,3").encode(), "target 'y' is '3' in all 12 labelled rows"),
    "target column missing": (
        GOOD.replace("smiles,y", "smiles,yy").encode(),
        "no target column named 'y'; did you mean 'yy'?",
    ),
    "SMILES column missing": (GOOD.replace("smiles,y", "x,y").encode(), "no column is known to hold SMILES"),
    "two columns of one name": (b"smiles,y,y\nCCO,1,2\n", "2 columns named 'y' (columns [2, 3]); rename all but one"),
    "text in a number column": (
        GOOD.replace("1.5", "high").encode(),
        "target 'y' of row '4' must be a finite number, got 'high'",
    ),
    "decimal commas": (
        GOOD.replace(",", ";").replace(".", ",").encode(),
        "target 'y' of row '1' must be a finite number, got '0,0' (40 such rows); write decimal points",
    ),
    "class that holds the separator of sets": (
        ("smiles,y\n" + "".join(f"{smiles},{'low|mid' if y < 9 else 'high'}\n" for smiles, y in ROWS)).encode(),
        "class 'low|mid' of target 'y' contains '|', which separates the classes of a set; rename it",
    ),
    "infinite number": (GOOD.replace("1.5", "inf").encode(), "target 'y' of row '4' must be a finite number"),
    "number beyond single precision": (
        GOOD.replace("O,1.5", "O,-1e300").encode(),
        "target 'y' of row '4' must lie within ±1e+18, got -1e+300 (1 such rows); choose another unit",
    ),
    "empty file": (b"", "is empty; it needs one row per molecule"),
    "blank file": (b"\n\n \n", "is empty; it needs one row per molecule"),
    "header alone": (b"smiles,y\n", "has no data rows"),
    "binary": (b"smiles,y\n\x00\x01\x02", "is binary"),
    "damaged gzip": (b"\x1f\x8b\x08\x00garbage", "is a damaged gzip file"),
    "zip archive": (b"PK\x03\x04garbage", "is a zip archive or an Excel workbook"),
    "web page": (b"<!DOCTYPE html><html>404</html>", "is a web page"),
    "not UTF-8": (b"smiles,y\nCCO,1\nCC\xe9,2\n", "is not UTF-8 text (byte 0xe9 in line 3)"),
    "no readable row": ("smiles,y\n" + "".join(f"C1CC,{i}\n" for i in range(9)), "none of the 9 rows"),
    "no labelled readable row": (b"smiles,y\nC1CC,1\nC1CN,2\nCCO,\n", "none of the 3 rows"),
    "uneven rows": (b"smiles,y\nCCO,1,2,3\nCCN,2\n", "cannot be read as a table"),
}


def fails(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    """Run the command, which must fail with exit code 1 and one line; returns the line."""
    with pytest.raises(SystemExit) as end:
        main(list(args))
    assert end.value.code == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1, errors
    assert errors[0].startswith("sciformer: error: ")
    assert "unexpected" not in errors[0]
    return errors[0]


@pytest.mark.parametrize("case", BAD)
def test_bad_files_end_in_one_line_and_leave_no_run(case, recipe_file, tiny, tmp_path, capsys):
    content, message = BAD[case]
    path = tmp_path / "bad.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    out = tmp_path / "run"
    data = ["--data.source", str(path), "--data.targets", "y"]
    assert message in fails(capsys, "train", recipe_file, *data, *tiny, "--out", str(out))
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data.source", "{tmp}"], "is a directory; name one file"),
        (["--data.source", "{tmp}/none.csv"], "none.csv does not exist"),
        (["--data.source", "esoll"], "did you mean 'esol'"),
        (["--data.targets", ""], "name the columns to predict"),
        (["--data.targets", "y,y"], "targets must be different columns"),
        (["--data.smiles", "smile"], "no SMILES column named 'smile'; did you mean 'smiles'?"),
        (["--data.id", "name"], "no id column named 'name'"),
        (["--data.kinds", "{{y: ordinal}}"], "must be regression, binary or multiclass"),
        (["--split.kind", "scafold"], "unknown split kind 'scafold'; did you mean 'scaffold'? known: random, scaffold"),
        (["--split.kind", "column"], "needs --split.column"),
        (["--split.kind", "column", "--split.column", "part"], "no split column named 'part'"),
        (["--split.kind", "file", "--split.file", "{tmp}/none.json"], "none.json does not exist"),
        (["--split.fractions", "[0.5,0.1,0.1,0.1]"], "sum to 1"),
        (["--uncertainty.level", "0.7"], "level must be one of"),
        (["--uncertainty.members", "0"], "members at least 1"),
        (["--model.heads", "5"], "width must be a multiple of heads"),
        (["--optim.epochs", "0"], "epochs >= 1"),
        (["--out", "{tmp}/good.csv"], "is a file; choose another --out"),
        (["--out", "{tmp}"], "holds files that are not a run"),
    ],
)
def test_bad_options_end_in_one_line_and_leave_no_run(options, message, recipe_file, tiny, tmp_path, capsys):
    good = tmp_path / "good.csv"
    good.write_text(GOOD)
    base = ["--data.source", str(good), "--data.targets", "y", *tiny, "--out", str(tmp_path / "run")]
    given = [option.format(tmp=tmp_path) for option in options]
    assert message in fails(capsys, "train", recipe_file, *base, *given)
    assert [entry.name for entry in tmp_path.iterdir()] == ["good.csv"]


@pytest.mark.parametrize("args", [["--optim.epochs", "many"], ["--optim.epoch", "3"], ["--model.norm", "batch"]])
def test_options_that_do_not_exist_are_wrong_usage(args, recipe_file, capsys):
    with pytest.raises(SystemExit) as end:
        main(["train", recipe_file, *args])
    assert end.value.code == 2
    assert args[0].lstrip("-") in capsys.readouterr().err


def test_the_largest_numbers_are_learned_in_silence(recipe_file, tiny, tmp_path, capsys):
    path = tmp_path / "large.csv"
    path.write_text("smiles,y\n" + "".join(f"{smiles},{(y - 10) * 1e17}\n" for smiles, y in ROWS))
    main(["train", recipe_file, "--data.source", str(path), "--data.targets", "y", *tiny, "--out", str(tmp_path / "r")])
    assert (tmp_path / "r" / "report.html").exists()
    assert "inf" not in (tmp_path / "r" / "scores.csv").read_text()


def test_a_gpu_that_is_not_there_is_one_line_and_leaves_no_run(recipe_file, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    where = ["--out", str(tmp_path / "run"), "--accelerator", "gpu"]
    assert "needs a GPU and PyTorch finds none; use auto or cpu" in fails(capsys, "train", recipe_file, *tiny, *where)
    assert list(tmp_path.iterdir()) == []


def test_a_target_may_not_share_its_name_with_a_column_of_the_answers(recipe_file, tiny, tmp_path, capsys):
    path = tmp_path / "good.csv"
    path.write_text(GOOD.replace("smiles,y", "smiles,status"))
    data = ["--data.source", str(path), "--data.targets", "status", *tiny, "--out", str(tmp_path / "run")]
    assert "would be called 'status'; rename" in fails(capsys, "train", recipe_file, *data)


def test_bad_data_do_not_cost_the_run_that_would_be_replaced(finished_run, recipe_file, tiny, tmp_path, capsys):
    before = sorted(finished_run.rglob("*"))
    where = ["--out", str(finished_run), "--overwrite", "true"]
    data = ["--data.source", str(tmp_path / "none.csv"), "--data.targets", "y"]
    fails(capsys, "train", recipe_file, *data, *tiny, *where)
    assert sorted(finished_run.rglob("*")) == before


@pytest.mark.parametrize("form", ["byte order mark", "CRLF", "gzip", "semicolons", "tabs"])
def test_files_of_any_usual_form_are_read_alike(form, predictor, tmp_path, capsys):
    content = {
        "byte order mark": b"\xef\xbb\xbf" + GOOD.encode(),
        "CRLF": GOOD.replace("\n", "\r\n").encode(),
        "gzip": gzip.compress(GOOD.encode()),
        "semicolons": GOOD.replace(",", ";").encode(),
        "tabs": GOOD.replace(",", "\t").encode(),
    }[form]
    path = Path(tmp_path / ("f.csv.gz" if form == "gzip" else "f.csv"))
    path.write_bytes(content)
    table = predictor.predict(path)
    assert table["status"].tolist() == ["ok"] * len(ROWS)
    plain = tmp_path / "plain.csv"
    plain.write_text(GOOD)
    assert table.equals(predictor.predict(plain))
    assert predictor.adapter.table(path).equals(predictor.adapter.table(plain))
    assert capsys.readouterr() == ("", "")
