"""The shape of the code: import direction, what imports cost, file size, docstrings, portability."""

import ast
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import sciformer

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "sciformer"
MODULES = sorted(PACKAGE.rglob("*.py"))
HOME = re.compile(r"(?<![\w.])(/(home|root|Users)/\w|[A-Z]:\\Users\\)")
HEAVY = ("torch", "pytorch_lightning", "pandas", "rdkit", "sklearn", "matplotlib", "xarray")


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def python(code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter at the root of the repository."""
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def loaded_by(code: str, *modules: str) -> list[str]:
    """Which of ``modules`` a fresh interpreter has imported after running ``code``."""
    done = python(f"{code}\nimport sys\nprint('loaded', *(m for m in {modules!r} if m in sys.modules))")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()[1:]


def test_imports_point_in_the_declared_direction():
    done = python("import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))")
    assert done.returncode == 0, done.stdout + done.stderr


def test_importing_the_package_loads_nothing_heavy_and_says_nothing():
    assert loaded_by("import sciformer", *HEAVY) == []
    assert python("import sciformer").stdout == ""


def test_prediction_does_not_load_lightning():
    assert loaded_by("import sciformer.predictor", "pytorch_lightning", "torch") == ["torch"]


HELP = """
import sys
from sciformer.cli import main
sys.argv = ["sciformer", "--help"]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


def test_help_loads_nothing_heavy():
    assert loaded_by(HELP, *HEAVY) == []


@pytest.mark.parametrize("name", sciformer.__all__)
def test_public_names_exist_and_are_listed(name):
    assert getattr(sciformer, name) is not None
    assert name in dir(sciformer)


def test_unknown_public_name_is_an_attribute_error_that_lists_the_names():
    with pytest.raises(AttributeError, match=r"no attribute 'Transformer'; it offers DomainAdapter, .*load"):
        sciformer.Transformer  # noqa: B018


def test_type_checkers_see_the_names_that_are_imported_lazily():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    froms = [node for node in guarded.body if isinstance(node, ast.ImportFrom)]
    imported = {alias.name: node.module for node in froms for alias in node.names}
    assert imported == sciformer._HOME
    assert {*imported, "__version__"} == set(sciformer.__all__)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_module_is_short_and_has_a_docstring(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400, "split it: a file has at most 400 lines"
    assert ast.get_docstring(ast.parse(text)), "say in a docstring what the module is for"


def test_no_file_names_a_home_directory():
    folders = ("sciformer", "recipes", "data_cards", "tests", "docs", "benchmarks", "scripts")
    nested = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    files = [p for p in (*ROOT.glob("*"), *nested) if p.is_file() and "__pycache__" not in p.parts]
    assert len(files) > len(MODULES)
    named = [
        f"{relative(path)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="ignore").splitlines(), 1)
        if HOME.search(line) and path != Path(__file__)
    ]
    assert not named, "\n".join(named)


def test_network_is_blocked_in_tests():
    with pytest.raises(RuntimeError, match=r"test reaches 'example\.org'"):
        socket.create_connection(("example.org", 80), timeout=1)
    with pytest.raises(RuntimeError, match=r"test reaches '192\.0\.2\.1'"), socket.socket() as plain:
        plain.connect(("192.0.2.1", 80))


def test_loopback_is_not_blocked():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
