"""A checkpoint is read back exactly, or refused with the name of the file and what to do."""

import hashlib
import json
import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import torch
from torch import nn

from sciformer.checkpoint import (
    FILES,
    MANIFEST,
    MODEL_LIMITS,
    IntegrityError,
    check_fields,
    compare_weights,
    load_checkpoint,
    load_strict,
    refused,
    save_checkpoint,
)

CONFIG = {"schema_version": 1, "model": {"width": 8, "depth": 2}, "unit": "mol/L · 10³"}


def weights(scale=1.0):
    return {
        "a.weight": scale * torch.arange(6.0).reshape(2, 3),
        "a.bias": torch.ones(2),
        "n": torch.tensor(3),
    }


def save(path, **changes):
    given = {"config": CONFIG, "weights": weights(), "calibration": {"y": [0.1, 2.0]}, "card": "# Modèle\n"}
    return save_checkpoint(path, **{**given, **changes})


@pytest.fixture
def saved(tmp_path):
    return save(tmp_path / "model")


def reseal(folder):
    """What a forger would do: change a file and make the manifest agree."""
    files = {
        name: {
            "bytes": (folder / name).stat().st_size,
            "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
        }
        for name in FILES
    }
    (folder / MANIFEST).write_text(json.dumps({"files": files}))


def test_what_is_saved_is_what_is_loaded(saved):
    loaded = load_checkpoint(str(saved))
    assert loaded.config == CONFIG
    assert loaded.calibration == {"y": [0.1, 2.0]}
    assert loaded.path == saved
    assert loaded.weights.keys() == weights().keys()
    assert all(torch.equal(loaded.weights[name], x) for name, x in weights().items())
    assert {p.name for p in saved.iterdir()} == {*FILES, MANIFEST}


@pytest.mark.parametrize("name", ["with space", "模型", "a.b[1]"])
def test_any_directory_name_works(name, tmp_path):
    load_checkpoint(save(tmp_path / "new" / "parents" / name))


def test_shared_and_strided_weights_are_saved(tmp_path):
    tied = torch.randn(4, 3)
    path = save(tmp_path / "m", weights={"in": tied, "out": tied, "view": tied.t()})
    assert torch.equal(load_checkpoint(path).weights["view"], tied.t())


def test_replacing_leaves_the_new_one_and_nothing_else(saved):
    save(saved, weights=weights(2.0))
    assert load_checkpoint(saved).weights["a.weight"][1, 2] == 10
    assert [p.name for p in saved.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("failing", ["fsync", "rename"])
def test_a_failed_save_leaves_the_old_checkpoint(saved, failing, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    else:
        rename = type(saved).rename
        monkeypatch.setattr(type(saved), "rename", lambda a, b: fail() if a.suffix == ".tmp" else rename(a, b))
    with pytest.raises(OSError, match="the disk is full"):
        save(saved, weights=weights(2.0))
    monkeypatch.undo()
    assert torch.equal(load_checkpoint(saved).weights["a.weight"], weights()["a.weight"])
    assert [p.name for p in saved.parent.iterdir()] == ["model"]


def test_a_save_killed_between_its_two_renames_says_where_the_whole_one_is(saved):
    saved.rename(saved.with_name(".model.123.old"))
    with pytest.raises(FileNotFoundError, match=r"\.model\.123\.old: rename that to model"):
        load_checkpoint(saved)
    save(saved)
    assert [p.name for p in saved.parent.iterdir()] == ["model"]


def test_a_run_is_told_from_its_checkpoint(tmp_path):
    save(tmp_path / "mine" / "checkpoint")
    with pytest.raises(IntegrityError, match=r"mine is no checkpoint but a run: give .*mine.checkpoint$"):
        load_checkpoint(tmp_path / "mine")


def test_other_things_are_never_overwritten(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name in ("thesis", "file"):
        with pytest.raises(FileExistsError, match="is not a checkpoint"):
            save(tmp_path / name)
    assert (tmp_path / "thesis" / "chapter.tex").read_text() == "precious"


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), {1, 2}, torch.ones(1)])
def test_only_plain_finite_json_is_written(bad, tmp_path):
    with pytest.raises(ValueError, match="calibration of a checkpoint must be plain JSON"):
        save(tmp_path / "m", calibration={"x": bad})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("fault", ["cut", "grown", "flipped", "empty", "missing", "directory"])
def test_every_fault_in_every_file_is_named(saved, name, fault):
    file = saved / name
    data = bytearray(file.read_bytes())
    if fault == "flipped":
        data[len(data) // 2] ^= 1
    file.write_bytes({"cut": data[:-1], "grown": data + b" ", "empty": b""}.get(fault, data))
    if fault in ("missing", "directory"):
        file.unlink()
    if fault == "directory":
        file.mkdir()
    with pytest.raises(IntegrityError, match=name) as caught:
        load_checkpoint(saved)
    assert "copy the checkpoint again" in str(caught.value)


def test_weights_of_another_checkpoint_are_noticed(saved, tmp_path):
    other = save(tmp_path / "other", weights=weights(2.0))
    (saved / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    with pytest.raises(IntegrityError, match=r"model\.safetensors does not have the sha256"):
        load_checkpoint(saved)


def test_without_its_manifest_it_is_no_checkpoint(saved):
    (saved / MANIFEST).unlink()
    with pytest.raises(IntegrityError, match=r"has no manifest\.json"):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "null",
        "{}",
        '{"files": {}}',
        '{"files": {"../../etc/passwd": {"bytes": 1, "sha256": ""}}}',
        '{"files": [1]}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_a_damaged_manifest_is_refused(saved, text):
    (saved / MANIFEST).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(IntegrityError, match=r"manifest\.json"):
        load_checkpoint(saved)


def test_a_manifest_without_sizes_is_refused(saved):
    (saved / MANIFEST).write_text(json.dumps({"files": {name: {} for name in FILES}}))
    with pytest.raises(IntegrityError, match="no size"):
        load_checkpoint(saved)


def test_unlisted_files_are_tolerated_and_not_read(saved):
    (saved / ".DS_Store").write_bytes(b"\x00")
    (saved / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    load_checkpoint(saved)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"schema_version": 1, "__class__": "os.system"}', "'__class__' is not allowed"),
        ('{"schema_version": 1, "model": {"_instantiator": "x"}}', "'_instantiator' is not allowed"),
        ('{"schema_version": 1, "model": [{"class_path": "x"}]}', "'class_path' is not allowed"),
        ('{"schema_version": 1, "width": 1' + "0" * 400 + "}", "beyond 2"),
        ('{"schema_version": 1, "width": 1' + "0" * 5000 + "}", "cannot be read"),
        ('{"schema_version": 1, "lr": NaN}', "NaN is not JSON"),
        ('{"schema_version": 1, "lr": 1e999}', "not finite"),
        ('{"schema_version": 1, "x": ' + "[" * 50 + "]" * 50 + "}", "nested deeper"),
        ('{"schema_version": 1, "x": ' + "[" * 100_000 + "]" * 100_000 + "}", "cannot be read"),
        ("[1]", "must be an object"),
        ("{}", "no schema_version"),
        ('{"schema_version": true}', "no schema_version"),
        ('{"schema_version": "1"}', "no schema_version"),
        ('{"schema_version": 0}', "no schema_version"),
        ('{"schema_version": 2}', "install a newer sciformer"),
    ],
)
def test_a_hostile_or_newer_config_is_refused_even_with_a_matching_manifest(saved, text, reason):
    (saved / "config.json").write_text(text)
    reseal(saved)
    with pytest.raises(IntegrityError, match=reason):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 64,
        (2**60).to_bytes(8, "little") + b"{}",
        (101).to_bytes(8, "little")
        + b'{"x":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]}}'.ljust(101)
        + b"0000",
    ],
)
def test_hostile_weights_are_refused_even_with_a_matching_manifest(saved, data):
    (saved / "model.safetensors").write_bytes(data)
    reseal(saved)
    with pytest.raises(IntegrityError, match="not a safetensors file"):
        load_checkpoint(saved)


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".bin", ".pkl"])
def test_pickles_are_refused_unopened(suffix, tmp_path):
    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickle.dumps(1))
    with pytest.raises(IntegrityError, match="pickle, which can run any code"):
        load_checkpoint(path)


def test_files_urls_and_empty_places_are_refused(tmp_path, saved):
    for url in ("http://localhost/model", "hf://user/model", "file:///model"):
        with pytest.raises(IntegrityError, match="local directories"):
            load_checkpoint(url)
    with pytest.raises(IntegrityError, match="is a file"):
        load_checkpoint(saved / "config.json")
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*; `sciformer models list` names those"):
        load_checkpoint(tmp_path / "absent")
    with pytest.raises(ValueError, match="schema_version 1, got 7"):
        save(tmp_path / "m", config={"schema_version": 7})


@dataclass(frozen=True)
class Shape:
    width: int
    norm: Literal["layer", "rms"] = "layer"
    dropout: float = 0.1
    bias: bool = True
    note: str | None = None
    names: tuple[str, ...] = ()
    sizes: Sequence[float] = ()
    units: Mapping[str, str] | None = None
    anything: Any = None


HONEST = {
    "width": 192,
    "norm": "rms",
    "dropout": 0,
    "note": None,
    "names": ["a"],
    "sizes": [1, 2.5],
    "units": {"a": "m"},
}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colour": 1}, "model has unknown fields colour; known are width, norm"),
        ({"width": 10**12}, r"model\.width must be a number in 1\.\.16384, got 1000000000000"),
        ({"width": 0}, r"model\.width must be a number in"),
        ({"width": True}, r"model\.width must be of type int, got True"),
        ({"width": "4"}, r"model\.width must be of type int, got '4'"),
        ({"width": 4.0}, r"model\.width must be of type int"),
        ({"dropout": 1.5}, r"model\.dropout must be a number in 0\.\.1"),
        ({"dropout": float("nan")}, r"model\.dropout"),
        ({"norm": "batch"}, r"model\.norm must be of type Literal\['layer', 'rms'\], got 'batch'"),
        ({"norm": ["layer"]}, r"model\.norm .* got list"),
        ({"bias": 1}, r"model\.bias must be of type bool, got 1"),
        ({"note": 1}, r"model\.note must be of type str \| None"),
        ({"names": "a"}, r"model\.names"),
        ({"names": ["a", 1]}, r"model\.names"),
        ({"sizes": [True]}, r"model\.sizes"),
        ({"units": {"a": 1}}, r"model\.units"),
        ({"names": 4 * ["a"]}, r"model\.names must have a length in 0\.\.3, got 4"),
    ],
)
def test_sections_are_checked_before_anything_is_built_from_them(change, message):
    limits = {**MODEL_LIMITS, "names": (0, 3)}
    assert check_fields(HONEST, Shape, "model", limits) is HONEST
    with pytest.raises(ValueError, match=message):
        check_fields({**HONEST, **change}, Shape, "model", limits)


@pytest.mark.parametrize("section", [None, [], "width", {}, {"norm": "rms"}])
def test_a_section_that_is_missing_or_lacks_a_field_is_refused(section):
    with pytest.raises(ValueError, match=r"model must be an object, got|model\.width is missing"):
        check_fields(section, Shape, "model")


@pytest.mark.parametrize("error", [KeyError("kind"), TypeError("x\ny"), ValueError("z"), RuntimeError("u")])
def test_a_failure_to_rebuild_names_the_place_in_one_line(error):
    with (
        pytest.raises(IntegrityError, match=r"^config\.json: ('kind' is missing|x y|z|u); this is not as"),
        refused("config.json"),
    ):
        raise error


def test_fitting_weights_are_loaded():
    source, target = nn.Linear(3, 2), nn.Linear(3, 2)
    assert str(load_strict(target, source.state_dict())) == "all weights fit"
    assert torch.equal(source.weight, target.weight)


def test_all_misfits_are_told_at_once_and_nothing_is_loaded():
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    before = {name: x.clone() for name, x in module.state_dict().items()}
    wrong = {**before, "0.weight": torch.zeros(5, 3), "extra": torch.zeros(1), "0.bias": torch.zeros(2)}
    del wrong["1.bias"]
    with pytest.raises(IntegrityError) as caught:
        load_strict(module, wrong)
    for part in ("missing: 1.bias", "unexpected: extra", "0.weight (saved (5, 3), needed (2, 3))"):
        assert part in str(caught.value)
    many = {f"extra{i}": torch.zeros(1) for i in range(1000)}
    assert str(compare_weights(module, {**before, **many})).endswith("extra101, ... (1000 in all)")
    assert all(torch.equal(x, before[name]) for name, x in module.state_dict().items())
    assert not compare_weights(module, wrong).ok
