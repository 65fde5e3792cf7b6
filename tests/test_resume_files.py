"""Training checkpoints as files: whole or absent, never executed, damage and a full disk said plainly."""

import contextlib
import multiprocessing
import os
import signal
import time

import pytest
import torch

from sciformer.checkpoint import IntegrityError
from sciformer.resume import AtomicCheckpointIO, newest_valid

resource = pytest.importorskip("resource", reason="signals and limits are tested on POSIX systems")


class Bomb:
    def __reduce__(self):
        return (os.system, ("touch canary",))


def test_a_pickle_is_never_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"x": Bomb()}, tmp_path / "bomb.ckpt")
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "bomb.ckpt", weights_only=False)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("url", ["http://localhost/x.ckpt", "s3://bucket/x.ckpt", "file:///x.ckpt"])
def test_urls_are_refused(url):
    with pytest.raises(IntegrityError, match="local files only"):
        AtomicCheckpointIO().load_checkpoint(url)


def test_damage_is_named_on_load(tmp_path):
    path = tmp_path / "x.ckpt"
    AtomicCheckpointIO().save_checkpoint({"x": torch.ones(1000)}, path)
    whole = path.read_bytes()
    for bad in (
        whole[:-10],
        whole[: len(whole) // 2],
        b"",
        whole.replace(b"\x00\x00\x80\x3f", b"\x00\x00\x81\x3f", 1),
    ):
        assert bad != whole
        path.write_bytes(bad)
        with pytest.raises(IntegrityError, match=r"x\.ckpt"):
            AtomicCheckpointIO().load_checkpoint(path)
    with pytest.raises(FileNotFoundError, match="no training checkpoint"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "absent.ckpt")


def save_with_little_room(path, answers):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        AtomicCheckpointIO().save_checkpoint({"x": torch.ones(1_000_000)}, path)
    except OSError as error:
        answers.send(error.strerror)


def save_for_ever(directory, answers):
    answers.send("ready")
    content = {"x": torch.randn(3_000_000)}
    while True:
        for name in "abc":
            AtomicCheckpointIO().save_checkpoint(content, directory / f"{name}.ckpt")


@contextlib.contextmanager
def child(function, place):
    """A process of its own for what must not happen to this one."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe()
    process = fork.Process(target=function, args=(place, there))
    process.start()
    try:
        yield process, here
    finally:
        process.kill()
        process.join()


def test_a_full_disk_is_said_plainly_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"x": torch.zeros(3)}, path)
    with child(save_with_little_room, path) as (process, answers):
        assert answers.poll(60)
        assert answers.recv().startswith("the disk is full")
        process.join()
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]
    assert AtomicCheckpointIO().load_checkpoint(path)["x"].tolist() == [0, 0, 0]


def test_a_kill_while_writing_leaves_only_whole_files(tmp_path):
    for i in range(4):
        with child(save_for_ever, tmp_path) as (_, answers):
            assert answers.recv() == "ready"
            time.sleep(0.3 + 0.07 * i)
        files = list(tmp_path.glob("*.ckpt"))
        assert files
        for path in files:
            assert AtomicCheckpointIO().load_checkpoint(path)["x"].shape == (3_000_000,)
    assert newest_valid(tmp_path) in files
