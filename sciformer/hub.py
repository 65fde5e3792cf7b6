"""Checkpoints on the Hugging Face hub: fetched by address, published with their card.

Nothing is believed because it comes from there. Of a repository exactly the files of a checkpoint are fetched, never a
pickle, and only where it has the manifest of one; what is in them is then proved as from any other directory, every
time: a file that the hub's own cache holds damaged is refused (``checkpoint.load_checkpoint``).
"""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from sciformer.checkpoint import FILES, MANIFEST, IntegrityError, load_checkpoint

SCHEME = "hf://"
_ADDRESS = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@(\S+))?")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
CARD = "README.md"
"""What the hub shows of a repository: the model card, behind the head that the hub reads."""
_HEAD = re.compile(r"---\n(.*?)\n---\n+", re.DOTALL)


def is_address(place: str | os.PathLike[str]) -> bool:
    """Whether a place is on the hub."""
    return os.fspath(place).startswith(SCHEME)


def fetch(address: str) -> Path:
    """The directory, in the cache of the hub (``HF_HOME``), of the checkpoint at ``hf://owner/name`` or, of one branch,
    tag or commit, ``hf://owner/name@revision``. What is there already is not fetched again, and without a connection
    (or with ``HF_HUB_OFFLINE=1``) it is all that can be had.

    Raises ``ImportError`` where the package of the hub is missing, ``ValueError`` for what is no such address or no
    checkpoint, ``OSError`` for a repository or revision that is not there or cannot be reached.
    """
    if (found := _ADDRESS.fullmatch(address)) is None:
        raise ValueError(f"an address on the hub is hf://owner/name or hf://owner/name@revision, got {address}")
    repository, revision = found[1], found[2]
    hub = _package()
    with _explained(repository, revision):
        # 1. the manifest alone: a repository of something else may be very large
        folder = Path(hub.snapshot_download(repository, revision=revision, allow_patterns=[MANIFEST]))
        if not (folder / MANIFEST).is_file():
            raise IntegrityError(f"{address} is no sciformer checkpoint: it has no {MANIFEST}; name another repository")
        # 2. the files, of the same commit as the manifest
        hub.snapshot_download(repository, revision=folder.name, allow_patterns=[*FILES, MANIFEST])
    if missing := [name for name in FILES if not (folder / name).is_file()]:
        raise IntegrityError(f"{address} is no whole checkpoint: it lacks {', '.join(missing)}; publish it again")
    return folder


def push(path: str | os.PathLike[str], repository: str, *, licence: str = "", private: bool = False) -> str:
    """Publish a checkpoint directory as one commit of the repository ``owner/name``, which is made where there is none,
    and return its address for ``sciformer.load``. The files are verified first and published as they are, with the
    model card once more as the page of the repository.

    ``licence`` is the hub's name of the licence that the weights are given under (``apache-2.0``, ``cc-by-4.0``), by
    default what the head of the model card says, if it has one. ``private`` holds for a repository that is made.

    Raises ``ImportError`` where the package of the hub is missing, ``IntegrityError`` for a damaged checkpoint,
    ``ValueError`` for what is no name of a repository, ``OSError`` where it may not be written.
    """
    if _REPOSITORY.fullmatch(repository) is None:
        raise ValueError(f"a repository on the hub is called owner/name, got {repository}")
    hub = _package()
    checkpoint = load_checkpoint(path)
    files = {name: checkpoint.path / name for name in (*FILES, MANIFEST)}
    page = card(files["MODEL_CARD.md"].read_text(encoding="utf-8"), repository, domains(checkpoint.config), licence)
    contents: dict[str, Any] = {**files, CARD: page.encode()}
    api = hub.HfApi(library_name="sciformer")
    with _explained(repository, None):
        api.create_repo(repository, private=private, exist_ok=True)
        operations = [hub.CommitOperationAdd(name, content) for name, content in contents.items()]
        api.create_commit(repository, operations, commit_message="Publish a sciformer checkpoint")
    return f"{SCHEME}{repository}"


def domains(config: dict[str, Any]) -> list[str]:
    """The domains that the ``config.json`` of a checkpoint is of."""
    adapters = config["adapters"] if "adapters" in config else [config["adapter"]]
    return [adapter["name"] for adapter in adapters]


def card(text: str, repository: str, tags: list[str], licence: str = "") -> str:
    """A model card as the hub reads it: a head in YAML, the text, and how the model is loaded."""
    head, body = split_head(text)
    head = {**head, "library_name": "sciformer", "tags": list(dict.fromkeys(["sciformer", *tags]))}
    if licence:
        head["license"] = licence
    use = f'## Load it\n\n```python\nimport sciformer\n\nmodel = sciformer.load("{SCHEME}{repository}")\n```\n'
    return f"---\n{yaml.safe_dump(head, sort_keys=True)}---\n\n{body.rstrip()}\n\n{use}"


def split_head(text: str) -> tuple[dict[str, Any], str]:
    """The head of a model card, empty where it has none, and what follows."""
    if (found := _HEAD.match(text)) is None:
        return {}, text
    head = yaml.safe_load(found[1])
    return (head, text[found.end() :]) if isinstance(head, dict) else ({}, text)


def _package() -> Any:
    try:
        import huggingface_hub
    except ImportError as error:
        raise MissingExtraError(
            'models on the hub need a package that is not installed: pip install "sciformer[hub]"'
        ) from error
    return huggingface_hub


class MissingExtraError(ImportError):
    """An optional package is not installed."""

    exit_code = 1


@contextlib.contextmanager
def _explained(repository: str, revision: str | None) -> Iterator[None]:
    """The errors of the hub in one line each."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise PermissionError(
            f"the owner of {SCHEME}{repository} gives it to those who asked: ask on its page and log in (hf auth login)"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"the hub has no repository {repository} that you may read: check the name, and where it is private log in "
            "(hf auth login)"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise FileNotFoundError(
            f"{SCHEME}{repository} has no branch, tag or commit {revision}: see its page for those that it has"
        ) from error
    except errors.LocalEntryNotFoundError as error:
        raise FileNotFoundError(
            f"{SCHEME}{repository} is not in the cache, and the hub cannot be reached: check the connection, and that "
            "HF_HUB_OFFLINE is not set"
        ) from error
    except errors.HFValidationError as error:
        raise ValueError(f"{SCHEME}{repository} is no address on the hub: {error}") from error
    except errors.HfHubHTTPError as error:
        if error.response.status_code in (401, 403):
            raise PermissionError(
                f"you may not write to {SCHEME}{repository}: log in with a token that may (hf auth login)"
            ) from error
        raise OSError(f"the hub refused {SCHEME}{repository}: {str(error).splitlines()[0]}") from error
