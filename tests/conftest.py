"""What holds for every test: no network, no display, one thread."""

import os
import socket
from pathlib import Path

import pytest

# Before torch is imported. One thread keeps results equal on every machine and lets tests share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class NetworkBlockedError(RuntimeError):
    """Not an ``OSError``, so that code which handles a failed download cannot swallow it."""


@pytest.fixture(autouse=True)
def no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only tests marked ``network`` reach beyond this machine."""
    if request.node.get_closest_marker("network"):
        return
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def allow(host: object) -> None:
        if host is not None and host not in LOOPBACK:
            raise NetworkBlockedError(f"test reaches {host!r}: mark it `network` or use a local server")

    def guarded_connect(self: socket.socket, address):
        if self.family in (socket.AF_INET, socket.AF_INET6):
            allow(address[0])
        return connect(self, address)

    def guarded_resolve(host, *args, **kwargs):
        allow(host)
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_resolve)


@pytest.fixture
def mirror() -> Path:
    """A folder with local copies of the public data sets, laid out ``mirror/<host>/<path>``."""
    folders = [Path(name) for name in os.environ.get("SCIFORMER_MIRROR", "").split(os.pathsep) if name]
    found = next((folder.resolve() for folder in folders if (folder / "mirror").is_dir()), None)
    if found is None:
        pytest.skip("needs real data: SCIFORMER_MIRROR names no folder that holds mirror/<host>/<path>")
    return found


# --- a small model, for tests of everything around it ----------------------------------------------------

ROOT = Path(__file__).resolve().parent.parent
TINY = [
    "--model.width",
    "24",
    "--model.depth",
    "1",
    "--model.heads",
    "2",
    "--optim.epochs",
    "2",
    "--baselines",
    "false",
]


@pytest.fixture(scope="session")
def recipe_file() -> str:
    return str(ROOT / "recipes" / "molecule" / "property.py")


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Options of a training run of a second or two."""
    return list(TINY)


@pytest.fixture(scope="session")
def molecules():
    """70 molecules with a number, a yes-or-no and a three-class property, some unknown, and two bad rows."""
    from sciformer.domains.molecule.simulate import simulate

    table = simulate(70, seed=1)
    table["colour"] = [("red", "green", "blue")[i % 3] if i % 7 else None for i in range(len(table))]
    table.insert(0, "id", [f"m{i}" for i in range(len(table))])
    table.loc[3, "smiles"], table.loc[50, "smiles"] = "C1CC", None
    return table


@pytest.fixture(scope="session")
def table_file(molecules, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "molecules.csv"
    molecules.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def finished_run(recipe_file: str, table_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run on ``table_file``; treat it as read-only."""
    from sciformer.cli import run_recipe

    out = tmp_path_factory.mktemp("runs") / "mine"
    data = ["--data.source", str(table_file), "--data.id", "id"]
    targets = ["--data.targets", "logS_mol_per_L,crosses_membrane,colour"]
    run_recipe(recipe_file, [*data, *targets, *TINY, "--split.fractions", "[0.5,0.1,0.2,0.2]", "--out", str(out)])
    return out


@pytest.fixture(scope="session")
def predictor(finished_run: Path):
    """The model of ``finished_run``."""
    import sciformer

    return sciformer.load(finished_run / "checkpoint")
