"""A run directory says truthfully what state it is in, and never mixes two runs."""

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml
from filelock import FileLock

from sciformer.rundir import LOCK, RESUME, RunDirectory, RunDirectoryError, environment

CONFIG = {"data": {"source": "a.csv"}, "seed": 0}


def take(path, config=CONFIG, *, resume=True, overwrite=False):
    return RunDirectory.open(path, config, resume=resume, overwrite=overwrite)


def state(path):
    return json.loads((path / "run.json").read_text())["state"]


def save_training(run):
    (run.path / RESUME / "member-0").mkdir(parents=True)
    (run.path / RESUME / "member-0" / "last.ckpt").write_bytes(b"state")


def broken_run(path, error=None, config=CONFIG):
    """A run that has saved some training and then ended with an error."""
    error = error or RuntimeError("no")
    with pytest.raises(type(error)), take(path, config) as (run, _):
        save_training(run)
        raise error


def test_a_finished_run_has_its_configuration_its_state_and_no_lock(tmp_path):
    with take(tmp_path / "runs" / "a") as (run, resumed):
        assert not resumed
        assert state(run.path) == "running"
        run.set_state("finished", rows=3)
    assert yaml.safe_load((run.path / "config.yaml").read_text()) == CONFIG
    facts = run.read_json("run.json")
    assert (facts["state"], facts["rows"]) == ("finished", 3)
    assert "started" in facts
    assert sorted(entry.name for entry in run.path.iterdir()) == ["config.yaml", "run.json"]


@pytest.mark.parametrize("error", [ValueError("bad column"), KeyboardInterrupt(), SystemExit(143)])
def test_a_run_that_ends_before_any_training_leaves_nothing_behind(tmp_path, error):
    with pytest.raises(type(error)), take(tmp_path / "a") as (run, _):
        run.write_json("splits.json", {})
        raise error
    assert list(tmp_path.iterdir()) == []


def test_an_empty_directory_that_was_there_before_stays(tmp_path):
    with pytest.raises(ValueError, match="no"), take(tmp_path) as _:
        raise ValueError("no")
    assert list(tmp_path.iterdir()) == []


class Signalled(Exception):
    exit_code = 143


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("disk"), "failed"),
        (KeyboardInterrupt(), "interrupted"),
        (SystemExit(143), "interrupted"),
        (Signalled(), "interrupted"),
    ],
)
def test_the_state_tells_a_fault_from_a_signal(tmp_path, error, expected):
    broken_run(tmp_path / "a", error)
    assert state(tmp_path / "a") == expected
    assert not (tmp_path / "a" / LOCK).exists()


def test_an_unfinished_run_goes_on_with_the_same_configuration(tmp_path):
    broken_run(tmp_path / "a")
    with take(tmp_path / "a") as (run, resumed):
        assert resumed
        assert run.resumable
        assert state(run.path) == "running"


def test_an_unfinished_run_does_not_go_on_with_other_settings(tmp_path):
    broken_run(tmp_path / "a")
    other = {"data": {"source": "b.csv"}, "seed": 0}
    with (
        pytest.raises(RunDirectoryError, match=r"data\.source was 'a\.csv' and is now 'b\.csv'.*--overwrite"),
        take(tmp_path / "a", other),
    ):
        pass
    assert state(tmp_path / "a") == "failed"


def test_an_unfinished_run_does_not_go_on_when_told_not_to(tmp_path):
    broken_run(tmp_path / "a")
    with pytest.raises(RunDirectoryError, match=r"unfinished run .failed."), take(tmp_path / "a", resume=False):
        pass


def test_a_run_killed_before_any_training_gives_way_to_any_other(tmp_path):
    path = tmp_path / "a"
    path.mkdir()
    (path / "run.json").write_text('{"state": "running"}')  # as kill -9 leaves it
    (path / "rows.csv").write_text("old")
    with take(path, {"seed": 7}) as (run, resumed):
        assert not resumed
        assert not (path / "rows.csv").exists()
        assert yaml.safe_load((run.path / "config.yaml").read_text()) == {"seed": 7}


def test_a_finished_run_is_replaced_only_when_asked(tmp_path):
    with take(tmp_path / "a") as (run, _):
        run.write_json("old.json", 1)
        run.set_state("finished")
    with pytest.raises(RunDirectoryError, match="holds a finished run; choose another --out"), take(tmp_path / "a"):
        pass
    assert (tmp_path / "a" / "old.json").exists()
    with take(tmp_path / "a", overwrite=True) as (run, resumed):
        assert not resumed
        assert not (run.path / "old.json").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_that_are_not_a_run_are_left_alone(tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunDirectoryError, match="files that are not a run"), take(tmp_path, overwrite=overwrite):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_place_of_the_directory_is_refused(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(RunDirectoryError, match="is a file; choose another --out"), take(tmp_path / "a"):
        pass


def test_two_processes_do_not_write_to_one_run(tmp_path):
    with FileLock(tmp_path / LOCK), pytest.raises(RunDirectoryError, match="another process"), take(tmp_path):
        pass


def test_a_file_is_whole_or_the_old_one(tmp_path, monkeypatch):
    run = RunDirectory(tmp_path)
    run.write_csv("scores.csv", pd.DataFrame({"a": [1]}))

    def fail(self, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        run.write_csv("scores.csv", pd.DataFrame({"a": [2]}))
    assert [entry.name for entry in tmp_path.iterdir()] == ["scores.csv"]
    assert (tmp_path / "scores.csv").read_text() == "a\n1\n"


def test_the_environment_names_versions_and_threads():
    facts = environment()
    assert facts["packages"]["torch"]
    assert facts["threads"] >= 1
    json.dumps(facts)
