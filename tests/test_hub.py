"""Checkpoints on the hub: a server of the few routes that are asked stands in for huggingface.co."""

import base64
import hashlib
import json
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import yaml

import sciformer
from sciformer import hub, models
from sciformer.checkpoint import FILES, MANIFEST, IntegrityError, load_checkpoint

SMILES = ["CCO", "c1ccccc1O"]


class Repositories:
    """What the server holds: by repository and commit the files, and which commit each branch is at."""

    def __init__(self):
        self.files: dict[str, dict[str, dict[str, bytes]]] = {}
        self.refs: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []
        self.refused: dict[str, tuple[int, str]] = {}
        self.url = ""

    def commit(self, repository: str, files: dict[str, bytes], branch: str = "main") -> str:
        told = [(name, hashlib.sha256(data).hexdigest()) for name, data in sorted(files.items())]
        commit = hashlib.sha1(json.dumps(told).encode()).hexdigest()
        self.files.setdefault(repository, {})[commit] = files
        self.refs.setdefault(repository, {})[branch] = commit
        return commit

    def publish(self, repository: str, folder: Path, branch: str = "main") -> str:
        return self.commit(repository, {path.name: path.read_bytes() for path in folder.iterdir()}, branch)


class Handler(BaseHTTPRequestHandler):
    held: Repositories

    def log_message(self, *args):
        pass

    def answer(self, code: int, body: bytes | dict | list, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = unquote(urlsplit(self.path).path)
        self.held.asked.append(path)
        words = path.strip("/").split("/")
        api = words[:2] == ["api", "models"]
        repository = "/".join(words[2:4] if api else words[:2])
        if repository in self.held.refused:
            code, why = self.held.refused[repository]
            return self.answer(code, {}, X_Error_Code=why)
        if repository not in self.held.files:
            return self.answer(404, {}, X_Error_Code="RepoNotFound")
        revision = (words[5] if len(words) > 5 else "main") if api else words[3]
        commit = self.held.refs[repository].get(revision, revision)
        files = self.held.files[repository].get(commit)
        if files is None:
            return self.answer(404, {}, X_Error_Code="RevisionNotFound")
        if api and "tree" in words:
            found = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in files.items()
            ]
            return self.answer(200, found)
        if api:
            return self.answer(200, {"id": repository, "sha": commit, "siblings": [], "tags": []})
        data = files["/".join(words[4:])]
        etag = f'"{hashlib.sha1(data).hexdigest()}"'
        return self.answer(200, data, ETag=etag, X_Repo_Commit=commit)

    def do_POST(self):
        path = unquote(urlsplit(self.path).path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        if path == "/api/repos/create":
            sent = json.loads(body)
            name = f"{sent['organization']}/{sent['name']}"
            if name in self.held.refused:
                return self.answer(self.held.refused[name][0], {})
            if name in self.held.files:
                return self.answer(409, {"url": f"{self.held.url}/{name}"})
            self.held.commit(name, {})
            return self.answer(200, {"url": f"{self.held.url}/{name}"})
        repository = "/".join(path.split("/")[3:5])
        if "/preupload/" in path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self.answer(200, {"files": files})
        lines = [json.loads(line) for line in body.splitlines()]
        files = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"
        }
        commit = self.held.commit(repository, files)
        return self.answer(200, {"commitUrl": f"{self.held.url}/{repository}/commit/{commit}", "commitOid": commit})


@pytest.fixture
def held(tmp_path, monkeypatch):
    """A hub of one's own, with an empty cache."""
    from huggingface_hub import constants

    repositories = Repositories()
    handler = type("Bound", (Handler,), {"held": repositories})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    repositories.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", repositories.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", repositories.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield repositories
    server.shutdown()
    server.server_close()


@pytest.fixture
def cached(held, foundation_path):
    """A backbone on the hub as ``lab/tiny`` and in the cache."""
    held.publish("lab/tiny", foundation_path)
    return hub.fetch("hf://lab/tiny")


# --- from the hub ----------------------------------------------------------------------------------------


def test_what_is_loaded_from_the_hub_answers_as_the_files_do(held, foundation_path):
    held.publish("lab/tiny", foundation_path)
    found = sciformer.load("hf://lab/tiny", domain="molecule").embed(SMILES)
    np.testing.assert_array_equal(found, sciformer.load(foundation_path, domain="molecule").embed(SMILES))


def test_a_trained_model_is_loaded_from_the_hub_too(held, finished_run, predictor):
    held.publish("lab/solubility", finished_run / "checkpoint")
    found = sciformer.load("hf://lab/solubility").predict(SMILES)
    assert found.equals(predictor.predict(SMILES))


def test_a_revision_chooses_branch_or_commit(held, make_foundation, foundation_path, tmp_path):
    first = held.publish("lab/tiny", foundation_path)
    other = make_foundation(tmp_path / "other", "protein", seed=1)
    held.publish("lab/tiny", other, branch="proteins")
    assert load_checkpoint(models.find("hf://lab/tiny@proteins")).config["adapters"][0]["name"] == "protein"
    held.publish("lab/tiny", other)
    assert len(load_checkpoint(models.find(f"hf://lab/tiny@{first}")).config["adapters"]) == 2
    assert len(load_checkpoint(models.find("hf://lab/tiny")).config["adapters"]) == 1


def test_nothing_but_the_files_of_a_checkpoint_is_fetched(held, foundation_path):
    files = {path.name: path.read_bytes() for path in foundation_path.iterdir()}
    held.commit("lab/tiny", {**files, "pytorch_model.bin": b"pickle", "README.md": b"hello", "a/config.json": b"{}"})
    folder = hub.fetch("hf://lab/tiny")
    assert sorted(path.name for path in folder.rglob("*")) == sorted((*FILES, MANIFEST))


def test_a_repository_of_something_else_is_refused_before_its_weights_are_fetched(held):
    held.commit("lab/other", {"model.safetensors": b"large", "config.json": b"{}"})
    with pytest.raises(IntegrityError, match=r"hf://lab/other is no sciformer checkpoint: it has no manifest\.json"):
        sciformer.load("hf://lab/other")
    assert not any("resolve" in path for path in held.asked)


def test_a_repository_that_lacks_a_file_is_refused_by_name(held, foundation_path):
    files = {path.name: path.read_bytes() for path in foundation_path.iterdir() if path.name != "calibration.json"}
    held.commit("lab/tiny", files)
    with pytest.raises(IntegrityError, match=r"hf://lab/tiny is no whole checkpoint: it lacks calibration\.json"):
        sciformer.load("hf://lab/tiny")


def test_a_bit_that_flips_in_the_cache_is_refused_by_the_name_of_the_file(cached):
    file = (cached / "model.safetensors").resolve()  # the cache has links to what it holds
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(IntegrityError, match=r"model\.safetensors does not have the sha256 in manifest\.json"):
        sciformer.load("hf://lab/tiny", domain="protein")


def test_without_a_connection_the_cache_is_read(held, cached, monkeypatch):
    from huggingface_hub import constants

    before = len(held.asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert sciformer.load("hf://lab/tiny", domain="protein").adapter.name == "protein"
    assert len(held.asked) == before
    with pytest.raises(FileNotFoundError, match=r"hf://lab/else is not in the cache, and the hub cannot be reached"):
        sciformer.load("hf://lab/else")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("hf://lab/none", r"the hub has no repository lab/none that you may read: .*\(hf auth login\)"),
        ("hf://lab/tiny@gone", r"hf://lab/tiny has no branch, tag or commit gone"),
        ("hf://lab/gated", r"the owner of hf://lab/gated gives it to those who asked"),
        ("hf://lab/down", r"the hub (cannot be reached|refused)|cannot be reached"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(address, message, held, foundation_path):
    held.publish("lab/tiny", foundation_path)
    held.refused = {"lab/gated": (403, "GatedRepo"), "lab/down": (501, "")}
    with pytest.raises(OSError, match=message) as caught:
        sciformer.load(address)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["hf://tiny", "hf://a/b/c", "hf://lab/tiny@", "hf://lab/ti ny", "hf://"])
def test_what_is_no_address_is_told_how_one_is_written(address):
    with pytest.raises(ValueError, match=r"an address on the hub is hf://owner/name or hf://owner/name@revision, got"):
        sciformer.load(address)


@pytest.mark.parametrize("address", ["https://huggingface.co/lab/tiny", "s3://lab/tiny"])
def test_other_addresses_are_refused_as_before(address):
    with pytest.raises(IntegrityError, match="checkpoints are read from local directories"):
        sciformer.load(address)


def test_a_missing_package_names_what_to_install(monkeypatch, foundation_path):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for use in (lambda: sciformer.load("hf://lab/tiny"), lambda: hub.push(foundation_path, "lab/tiny")):
        with pytest.raises(ImportError, match=r'pip install "sciformer\[hub\]"'):
            use()


# --- to the hub ------------------------------------------------------------------------------------------


def test_what_was_pushed_is_loaded_again(held, foundation_path):
    backbone = sciformer.load(foundation_path, domain="molecule")
    address = backbone.push_to_hub("lab/mine")
    assert address == "hf://lab/mine"
    np.testing.assert_array_equal(sciformer.load(address, domain="molecule").embed(SMILES), backbone.embed(SMILES))


def test_files_are_pushed_as_they_are_with_the_card_as_the_page(held, foundation_path):
    hub.push(foundation_path, "lab/mine")
    files = held.files["lab/mine"][held.refs["lab/mine"]["main"]]
    assert set(files) == {*FILES, MANIFEST, "README.md"}
    assert all(files[name] == (foundation_path / name).read_bytes() for name in (*FILES, MANIFEST))
    _, head, page = files["README.md"].decode().split("---\n", 2)
    assert yaml.safe_load(head) == {
        "library_name": "sciformer",
        "license": "cc-by-4.0",
        "tags": ["sciformer", "molecule", "protein"],
    }
    assert page.count("# Tiny") == 1
    assert 'sciformer.load("hf://lab/mine")' in page
    assert "license: cc-by-4.0" not in page


def test_a_licence_that_is_given_stands_in_the_head(held, predictor):
    predictor.push_to_hub("lab/solubility", licence="apache-2.0")
    page = held.files["lab/solubility"][held.refs["lab/solubility"]["main"]]["README.md"].decode()
    assert yaml.safe_load(page.split("---\n")[1])["license"] == "apache-2.0"


def test_a_second_push_replaces_the_first(held, foundation_path, make_foundation, tmp_path):
    hub.push(foundation_path, "lab/mine")
    hub.push(make_foundation(tmp_path / "other", "protein"), "lab/mine")
    assert len(load_checkpoint(models.find("hf://lab/mine")).config["adapters"]) == 1


def test_a_damaged_checkpoint_is_not_published(held, foundation_path, tmp_path):
    damaged = tmp_path / "damaged"
    shutil.copytree(foundation_path, damaged)
    (damaged / "MODEL_CARD.md").write_text("another card")
    with pytest.raises(IntegrityError, match=r"MODEL_CARD\.md has"):
        hub.push(damaged, "lab/mine")
    assert "lab/mine" not in held.files


def test_a_model_that_was_changed_in_memory_is_not_published(predictor):
    import dataclasses

    changed = dataclasses.replace(predictor, level=0.8)
    with pytest.raises(ValueError, match="made or changed in memory"):
        changed.push_to_hub("lab/mine")


def test_who_may_not_write_is_told_to_log_in(held, foundation_path):
    held.refused = {"lab/mine": (403, "")}
    with pytest.raises(PermissionError, match=r"you may not write to hf://lab/mine: log in"):
        hub.push(foundation_path, "lab/mine")


@pytest.mark.parametrize("name", ["mine", "hf://lab/mine", "a/b/c", ""])
def test_what_is_no_repository_is_refused(name, foundation_path):
    with pytest.raises(ValueError, match="a repository on the hub is called owner/name, got"):
        hub.push(foundation_path, name)
