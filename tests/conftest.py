"""What holds for every test: no network, no display, one thread."""

import importlib.util
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from jaxtyping import install_import_hook

# Before torch is imported. One thread keeps results equal on every machine and lets tests share the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

PACKAGE = Path(__file__).resolve().parent.parent / "sciformer"
SHAPED = [
    ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
    for file in sorted(PACKAGE.rglob("*.py"))
    if "from jaxtyping import" in file.read_text("utf-8")
]
"""Modules that name shapes of arrays: all their annotations are checked at every call, with beartype. Checking every
other module too would take the tests that write pages a quarter of their time."""
install_import_hook(SHAPED, "beartype.beartype")

LOOPBACK = ("127.0.0.1", "::1", "localhost")


LONGEST = ("test_readme.py", "test_recipes_run.py")
"""Modules whose tests take longest: begun last, one of them would keep a core busy while the others wait."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first; all others keep their order."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


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


BLANK = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'></svg>"


@pytest.fixture(autouse=True, scope="session")
def paint():
    """Figures are blank and resamples few, for both are most of what a run of a few records takes.

    ``paint(patch)`` has figures drawn, as they are outside of tests, until that ``MonkeyPatch`` is undone.
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    drawing = {(Figure, "savefig"): Figure.savefig, (FigureCanvasSVG, "print_svg"): FigureCanvasSVG.print_svg}

    def restore(patch: pytest.MonkeyPatch) -> None:
        for place, draw in drawing.items():
            patch.setattr(*place, draw)

    with pytest.MonkeyPatch.context() as patch:
        for place in drawing:
            patch.setattr(*place, lambda figure, file, **options: file.write(BLANK))
        patch.setattr("sciformer.evaluation.RESAMPLES", 40)
        yield restore


@pytest.fixture
def painted(paint, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are drawn."""
    paint(monkeypatch)


@pytest.fixture
def mirror() -> Path:
    """A folder with local copies of the public data sets, laid out ``mirror/<host>/<path>``."""
    folders = [Path(name) for name in os.environ.get("SCIFORMER_MIRROR", "").split(os.pathsep) if name]
    found = next((folder.resolve() for folder in folders if (folder / "mirror").is_dir()), None)
    if found is None:
        pytest.skip("needs real data: SCIFORMER_MIRROR names no folder that holds mirror/<host>/<path>")
    return found


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Run ``sciformer ARGS`` in a folder; in this process, for another takes seconds to start."""
    from sciformer.cli import main

    def run(folder: Path, *args: str) -> Done:
        monkeypatch.chdir(folder)
        capsys.readouterr()
        code = 0
        try:
            main(list(args))
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return run


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


# --- a small model of residues ---------------------------------------------------------------------------


@pytest.fixture(scope="session")
def protein_samples() -> ModuleType:
    """Proteins that the laws are tried on; by path, because tests are no package."""
    spec = importlib.util.spec_from_file_location("protein_samples", ROOT / "tests/domains/protein/samples.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def make_residues():
    """Proteins with a class and a number for every residue that follow from its letter, some unknown."""
    import numpy as np
    import pandas as pd

    letters = "ACDEFGHIKLMNPQRSTVWY"

    def make(n: int, seed: int) -> pd.DataFrame:
        rng = np.random.default_rng(seed)
        rows = []
        for i in range(n):
            sequence = "".join(rng.choice(list(letters), rng.integers(6, 30)))
            states = ("H" if x in "AELMQKRH" else "E" if x in "VIYFW" else "C" for x in sequence)
            exposure = (letters.index(x) / 10 + rng.normal() / 20 for x in sequence)
            rows.append(
                {
                    "id": f"p{i}",
                    "sequence": sequence,
                    "state": "".join("-" if rng.random() < 0.2 else x for x in states),
                    "exposure": " ".join(f"{x:.2f}" for x in exposure),
                    "resolved": "".join("0" if rng.random() < 0.1 else "1" for _ in sequence),
                }
            )
        return pd.DataFrame(rows)

    return make


@pytest.fixture(scope="session")
def residues(make_residues):
    """48 proteins, two of which cannot be read."""
    table = make_residues(48, seed=0)
    table.loc[5, "sequence"], table.loc[9, "state"] = "MK1", "HHH"
    return table


@pytest.fixture(scope="session")
def residue_options(residues, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Options of a run that learns ``residues``."""
    path = tmp_path_factory.mktemp("data") / "residues.csv"
    residues.to_csv(path, index=False)
    data = ["--data.source", str(path), "--data.labels", "state,exposure", "--data.mask", "resolved"]
    fast = ["--optim.epochs", "6", "--optim.lr", "0.01", "--batch.records", "4"]
    return [*data, *TINY, *fast, "--split.fractions", "[0.4,0.1,0.25,0.25]"]


@pytest.fixture(scope="session")
def annotated_run(residue_options: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run on ``residues``; treat it as read-only."""
    from sciformer.cli import run_recipe

    out = tmp_path_factory.mktemp("runs") / "residues"
    run_recipe(str(ROOT / "recipes" / "protein" / "property.py"), [*residue_options, "--out", str(out)])
    return out


@pytest.fixture(scope="session")
def annotator(annotated_run: Path):
    """The model of ``annotated_run``."""
    import sciformer

    return sciformer.load(annotated_run / "checkpoint")


# --- a small backbone, as pretraining leaves it, with random weights --------------------------------------


@pytest.fixture(scope="session")
def make_foundation(molecules):
    """Save a backbone of random weights that reads these domains, with an objective of masked tokens for each."""
    import torch

    from sciformer import foundation
    from sciformer.data.examples import example_of
    from sciformer.discovery import adapter_class
    from sciformer.model import Sciformer, SciformerConfig
    from sciformer.tasks.reconstruct import Reconstruct

    sources = {"molecule": list(molecules["smiles"].dropna()[:20]), "protein": ["MKTAYIAKQR", "GAVLIPFW"]}

    def make(path: Path, *domains: str, seed: int = 0) -> Path:
        shape = SciformerConfig(width=16, depth=2, heads=2, dropout=0.0)
        adapters = {name: adapter_class(name)() for name in domains}
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = Sciformer(shape, adapters)
            tasks = {f"masked_{name}": Reconstruct(shape, x.schema, name) for name, x in adapters.items()}
        for name, adapter in adapters.items():
            records = [record for record in adapter.read(sources[name]) if record.ok]
            examples = [example_of(adapter, record) for record in records]
            model.fit(examples)
            tasks[f"masked_{name}"].fit(examples)
        card = "---\nlicense: cc-by-4.0\n---\n\n# Tiny\n\nRandom weights."
        trained = {
            "steps": 7,
            "minutes": 0.1,
            "streams": {
                task: {"source": "nowhere", "records": 20, "objective": "masked", "weight": 1.0, "validation": {}}
                for task in tasks
            },
        }
        whole = foundation.Foundation(adapters, model, tasks)
        foundation.save(whole, path, title="Tiny backbone", card=card, trained=trained)
        return path

    return make


@pytest.fixture(scope="session")
def foundation_path(make_foundation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a backbone that reads molecules and proteins; treat it as read-only."""
    return make_foundation(tmp_path_factory.mktemp("backbones") / "tiny", "molecule", "protein")
