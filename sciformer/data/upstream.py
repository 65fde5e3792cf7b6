"""Where the files behind data cards come from, where they lie, and whether they are intact.

They are looked for in the cache (``SCIFORMER_CACHE``, else the user's cache folder), then in the folders of
``SCIFORMER_MIRROR``, then downloaded to the cache, unless one of those folders does not exist. Whatever the way, sha256
is checked every time.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

TIMEOUT = 30.0
"""Seconds without an answer after which a download is given up."""


class FetchError(OSError):
    """A file of a data set could be found nowhere."""


class HashError(OSError):
    """A file of a data set is not, byte for byte, the one its card describes."""


@dataclass(frozen=True)
class File:
    """One upstream file. ``url`` is its public address; a set without one was ``prepared`` from many
    small files and lies under that path in a mirror folder."""

    sha256: str
    bytes: int
    url: str | None = None
    prepared: str | None = None
    part: str = ""
    """What the file holds where it is not rows of the card's own table: ``observations`` of the objects there."""
    members: Mapping[str, str] = field(default_factory=dict)
    """Of a zip archive the files inside, by part; the archive is never unpacked."""
    marks: Mapping[str, str] = field(default_factory=dict)
    """Columns that say the same of every row of the file, as upstream says by its name: ``set: train``."""

    @property
    def parts(self) -> Mapping[str, str]:
        """The parts that the file holds, and the member of the archive that each is; "" for the file itself."""
        return self.members or {self.part: ""}

    @property
    def path(self) -> Path:
        """Where the file lies below the cache: ``<host>/<path of the URL>`` or ``prepared/<path>``."""
        if self.url is None:
            return Path("prepared", str(self.prepared))
        address = urlsplit(self.url)
        return Path(address.netloc, address.path.lstrip("/"))

    @property
    def mirrored(self) -> Path:
        """Where the file lies below a folder of ``SCIFORMER_MIRROR``."""
        return self.path if self.url is None else "mirror" / self.path


def cache_folder() -> Path:
    """Where downloads are kept: ``SCIFORMER_CACHE`` if set, else the user's cache folder."""
    if chosen := os.environ.get("SCIFORMER_CACHE"):
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("sciformer"))


def mirror_folders() -> list[Path]:
    """The existing or missing folders named by ``SCIFORMER_MIRROR``, in order."""
    return [Path(folder).expanduser() for folder in os.environ.get("SCIFORMER_MIRROR", "").split(os.pathsep) if folder]


def find(file: File) -> Path:
    """Path of the intact file, downloaded where it is in no folder.

    Raises ``HashError`` for a file that is not the card's, ``FetchError`` for one that can be had nowhere.
    """
    cached = cache_folder() / file.path
    if cached.is_file():
        _check(cached, file, "delete it and fetch again")
        return cached
    for folder in mirror_folders():
        if (path := folder / file.mirrored).is_file():
            _check(path, file, f"put the right file there, or take {folder} out of SCIFORMER_MIRROR")
            return path
    if missing := [str(folder) for folder in mirror_folders() if not folder.is_dir()]:
        raise FetchError(
            f"SCIFORMER_MIRROR names {', '.join(missing)}, which is no folder, and {file.path.name} is in no other: "
            "correct the variable, or unset it to download"
        )
    return _download(file, cached)


def _check(path: Path, file: File, remedy: str) -> None:
    with path.open("rb") as stream:
        got = hashlib.file_digest(stream, "sha256").hexdigest()
    if got != file.sha256:
        raise HashError(
            f"{path} is not the file of its data card: expected sha256 {file.sha256}, got {got} "
            f"({path.stat().st_size} of {file.bytes} bytes); {remedy}"
        )


def _download(file: File, target: Path) -> Path:
    """Download through a temporary file, which takes the final name only when its hash is right."""
    mirror = f"name in SCIFORMER_MIRROR a folder that has it as {file.mirrored}"
    if file.url is None:
        raise FetchError(
            f"{file.prepared} has no public address: put the file at {target}, or {mirror}, "
            "or build it, if its card says how"
        )
    import pooch

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        pooch.retrieve(
            file.url,
            known_hash=f"sha256:{file.sha256}",
            fname=target.name,
            path=target.parent,
            downloader=pooch.HTTPDownloader(timeout=TIMEOUT),  # pyright: ignore[reportArgumentType]
        )
    except ValueError as error:  # how pooch reports a wrong hash; it has removed what it downloaded
        raise HashError(
            f"what {file.url} sent is not the file of its data card (expected sha256 {file.sha256}); "
            f"try again, and if it stays so, put the right file at {target}, or {mirror}"
        ) from error
    except OSError as error:
        raise FetchError(
            f"cannot download {file.url} ({type(error).__name__}); check the connection, "
            f"or put the file at {target}, or {mirror}"
        ) from error
    _check(target, file, "delete it and fetch again")
    return target
