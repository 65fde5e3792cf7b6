"""A run directory says truthfully what state it is in, and never mixes two runs."""

import errno
import itertools
import json
import os
from importlib import metadata
from pathlib import Path

import pandas as pd
import pytest
import yaml
from filelock import FileLock

from sciformer.files import write_text
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


def no_space(*args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_said_plainly_of_any_file_and_leaves_the_old_one(tmp_path, monkeypatch):
    write_text(tmp_path / "splits.json", "old")
    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(OSError, match=r"the disk is full: .*splits\.json could not be written.*free some space"):
        write_text(tmp_path / "splits.json", "new")
    assert [entry.name for entry in tmp_path.iterdir()] == ["splits.json"]
    assert (tmp_path / "splits.json").read_text() == "old"


def test_a_state_that_cannot_be_written_does_not_hide_the_error(tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="what went wrong"), take(tmp_path / "a") as (run, _):
        save_training(run)
        monkeypatch.setattr("os.fsync", no_space)
        raise RuntimeError("what went wrong")


def test_a_signal_after_the_end_does_not_undo_the_run(tmp_path):
    with pytest.raises(KeyboardInterrupt), take(tmp_path / "a") as (run, _):
        run.set_state("finished")
        raise KeyboardInterrupt
    assert state(tmp_path / "a") == "finished"


def finished(path, *names):
    with take(path) as (run, _):
        for name in names:
            run.write_json(name, {})
        (path / "checkpoint").mkdir()
        (path / "checkpoint" / "model").write_text("weights")
        run.set_state("finished")


def files(path):
    return {p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("*") if p.is_file()}


@pytest.mark.parametrize("error", [ValueError("unknown split kind"), KeyboardInterrupt()])
def test_a_run_is_not_lost_to_a_mistake_in_the_one_that_should_replace_it(tmp_path, error):
    finished(tmp_path / "a", "old.json")
    before = files(tmp_path / "a")
    for _ in range(2):
        with pytest.raises(type(error)), take(tmp_path / "a", overwrite=True) as (run, _):
            assert not (run.path / "old.json").exists()
            run.write_json("splits.json", {})
            raise error
        assert files(tmp_path / "a") == before


def test_a_replaced_run_goes_when_the_new_one_is_finished(tmp_path):
    finished(tmp_path / "a", "old.json")
    with take(tmp_path / "a", overwrite=True) as (run, _):
        assert b"weights" in files(run.path).values()
        run.set_state("finished")
    assert files(tmp_path / "a").keys() == {"run.json", "config.yaml"}


def test_a_new_run_that_has_trained_keeps_the_old_one_until_it_is_finished_or_replaced_by_a_failure(tmp_path):
    path = tmp_path / "a"
    finished(path, "old.json")
    before = files(path)
    with pytest.raises(RuntimeError), take(path, overwrite=True) as (run, _):
        save_training(run)
        raise RuntimeError("no power")
    assert state(path) == "failed"
    unfinished = files(path)
    with pytest.raises(ValueError, match="typo"), take(path, {"seed": 2}, overwrite=True):
        raise ValueError("typo")
    assert files(path) == unfinished  # and in it still the finished one
    with pytest.raises(RuntimeError), take(path) as (run, resumed):
        assert resumed
        (path / RESUME / "member-0" / "last.ckpt").unlink()
        raise RuntimeError("the states are gone")
    assert files(path) == before


def killed(real, left):
    """The operation ``real`` until no more are ``left``: a dead process does nothing any more."""

    def operation(*args, **options):
        if next(left) <= 0:
            raise ConnectionError("killed")
        return real(*args, **options)

    return operation


@pytest.mark.parametrize("operations", range(24))
def test_a_kill_at_any_moment_of_replacing_a_run_does_not_cost_it(operations, tmp_path, monkeypatch):
    finished(tmp_path, *"abcd")
    before = files(tmp_path)
    left = itertools.count(operations, -1)
    with monkeypatch.context() as patch:
        for name in ("rename", "replace", "unlink", "rmdir", "mkdir"):
            patch.setattr(Path, name, killed(getattr(Path, name), left))
        with pytest.raises((ConnectionError, ValueError)), take(tmp_path, overwrite=True):
            raise ValueError("unknown split kind")
    with pytest.raises(RunDirectoryError, match="holds a finished run"), take(tmp_path):
        pass
    assert files(tmp_path) == before


def test_folders_of_other_people_are_not_taken_for_a_replaced_run(tmp_path):
    (tmp_path / ".previous-run").mkdir()
    (tmp_path / ".previous-run" / "run.json").write_text("{}")
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunDirectoryError, match="files that are not a run"), take(tmp_path, overwrite=True):
        pass
    assert files(tmp_path).keys() == {"thesis.tex", ".previous-run/run.json"}


def test_what_a_killed_writer_left_is_not_taken_for_files_of_other_people(tmp_path):
    left = tmp_path / "a" / f".run.json.{'0f' * 16}.tmp"
    left.parent.mkdir()
    left.write_text("{")
    with take(tmp_path / "a") as (run, resumed):
        assert not resumed
        assert not left.exists()
        run.set_state("finished")


def test_the_environment_names_threads_and_the_version_of_every_dependency():
    facts = environment()
    assert facts["threads"] >= 1
    assert facts["packages"]["torch"] == metadata.version("torch")
    assert {"rdkit", "jsonargparse", "pytorch-lightning"} <= facts["packages"].keys()
    assert "pytest" not in facts["packages"], "what only developers need has no part in a result"
    required = [line for line in metadata.requires("sciformer") if "extra" not in line]
    assert len(facts["packages"]) == len(required)
    json.dumps(facts)


def test_a_run_that_goes_on_keeps_the_environment_it_began_in(tmp_path, monkeypatch):
    run = RunDirectory(tmp_path)
    for place in ("first", "second", "third"):
        monkeypatch.setattr("sciformer.rundir.environment", lambda place=place: {"device": place})
        run.note_environment()
    assert run.read_json("environment.json") == {
        "device": "first",
        "resumed": [{"device": "second"}, {"device": "third"}],
    }
