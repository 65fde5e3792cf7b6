"""The command line. Heavy imports wait until a command needs them: ``--help`` is instant."""

import contextlib
import dataclasses
import importlib.util
import inspect
import os
import shlex
import signal
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, get_type_hints

from sciformer import catalogue, commands, exploration

if TYPE_CHECKING:
    from sciformer.pretraining import PretrainOptions
    from sciformer.recipe import RunOptions


DESCRIPTION = "One transformer for scientific sequences: train, predict, and know how sure to be."


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the console script. Exit codes: 0 done, 1 error, 2 wrong usage, 130 or 143 after a signal,
    141 where nobody reads on (``| head``)."""
    args = list(sys.argv[1:] if argv is None else argv)
    plain = [arg for arg in args if arg != "--debug"]
    if plain[:1] in (["train"], ["compare"]) and len(plain) > 1 and not plain[1].startswith("-"):
        carry_out = run_recipe if plain[0] == "train" else compare_recipe
        carry_out(plain[1], plain[2:] + ["--debug"] * ("--debug" in args))
        return
    if plain[:1] == ["probe"] and len(plain) > 2 and not any(arg.startswith("-") for arg in plain[1:3]):
        run_probe(plain[1], plain[2], plain[3:] + ["--debug"] * ("--debug" in args))
        return
    with friendly_errors(args):
        if "--version" in args:
            from sciformer import __version__

            print(f"sciformer {__version__}")
            return
        _dispatch(args)


def _dispatch(args: list[str]) -> None:
    """Every command is a function: its signature gives the options, its docstring the help."""
    from sciformer.data.commands import build, fetch, overview, show
    from sciformer.usage import Parser

    properties = (commands.evaluate, commands.predict, commands.residues, exploration.mutate)
    uses = (*properties, commands.forecast, exploration.embed, catalogue.info)
    verbs = {function.__name__: function for function in (train, compare, *uses, probe)}
    groups = {
        "data": ("Public data sets by name", {"list": overview, "show": show, "fetch": fetch, "build": build}),
        "models": (
            "Pretrained backbones",
            {"list": catalogue.overview, "show": catalogue.show, "push": catalogue.push, "convert": catalogue.convert},
        ),
    }
    # In YAML, the usual mode, '#' and '~' are nothing: no comment character, no separator.
    parser = Parser(allow_abbrev=False, prog="sciformer", description=DESCRIPTION, parser_mode="json")
    parser.add_argument("--version", action="store_true", help="Print the version.")
    parser.add_argument("--debug", action="store_true", help="Show a traceback where an error gives one line.")
    known = parser.add_subcommands(dest="command")
    for name, function in verbs.items():
        known.add_subcommand(name, _parser(function), help=_first_line(function))
    for group, (what, sets) in groups.items():
        inner = Parser(allow_abbrev=False, description=f"{what}.")
        known.add_subcommand(group, inner, help=f"{what}: {', '.join(sets)}.")
        actions = inner.add_subcommands(dest="action")
        for name, function in sets.items():
            actions.add_subcommand(name, _parser(function), help=_first_line(function))
    parsed = parser.parse_args(args)
    chosen = parsed[parsed.command]
    function = verbs.get(parsed.command)
    if function is None:
        function, chosen = groups[parsed.command][1][chosen.action], chosen[chosen.action]
    given = chosen.as_dict()
    if "from" in given:  # which no parameter of a Python function can be called
        given["folder"] = given.pop("from")
    function(**given)


def _parser(function: Callable[..., None]) -> Any:
    from sciformer.usage import Parser

    parser = Parser(allow_abbrev=False, description=_first_line(function))
    takes = inspect.signature(function).parameters
    optional = "input" in takes and takes["input"].default is None
    skipped = ("output", "folder", *(("input",) if optional else ()))
    parser.add_function_arguments(function, as_positional=True, skip=set(skipped))
    if optional:
        parser.add_argument("input", type=str, nargs="?", help="File of one record; by default what was learned.")
    if "folder" in takes:
        parser.add_argument("--from", type=str, required=True, metavar="FOLDER", help="Folder of the clone.")
    if "output" in takes:
        parser.add_argument("-o", "--output", type=str, required=True, help="Table to write (.csv or .parquet).")
    return parser


def _first_line(function: Callable[..., None]) -> str:
    return (function.__doc__ or "").strip().splitlines()[0]


@contextlib.contextmanager
def friendly_errors(args: list[str]) -> Iterator[None]:
    """One line instead of a traceback, which ``--debug`` shows. Takes ``--debug`` out of ``args``.

    SIGINT and SIGTERM unwind the program, so that files are closed and states are noted.
    """
    debug = "--debug" in args
    if debug:
        args.remove("--debug")
    before = {signum: signal.signal(signum, _stop) for signum in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        with contextlib.suppress(OSError):  # so that the interpreter has nothing to complain of when it ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + 13) from None  # as one that SIGPIPE had ended
    except Stopped as stop:
        _fail(str(stop), stop.code)  # pyright: ignore[reportArgumentType]
    except Exception as error:
        if debug:
            raise
        message = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, ValueError | OSError | ArithmeticError | RuntimeError) and not hasattr(
            error, "exit_code"
        ):
            message = f"unexpected {type(error).__name__}: {message} (a traceback comes with --debug)"
        _fail(message, getattr(error, "exit_code", 1))
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


class Stopped(SystemExit):
    """A signal that asked the program to end. No ``KeyboardInterrupt``, which libraries catch."""

    def __init__(self, signum: int):
        super().__init__(128 + signum)
        self.signum = signum

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.signum).name}"


def _stop(signum: int, frame: object) -> None:
    raise Stopped(signum)


def _fail(message: str, code: int) -> None:
    print(f"sciformer: error: {message}", file=sys.stderr)
    raise SystemExit(code)


# --- train -----------------------------------------------------------------------------------------------


def train(recipe: str) -> None:
    """Train a recipe: a path to its .py file or a name such as molecule/esol. Its options: train RECIPE --help.

    Args:
        recipe: Path or name of the recipe.
    """


def probe(checkpoint: str, recipe: str) -> None:
    """See what a frozen backbone knows of the question of a recipe. Its options: probe CHECKPOINT RECIPE --help.

    Args:
        checkpoint: Directory of the checkpoint, its address hf://owner/name, or the name of one that comes with
            sciformer.
        recipe: Path or name of the recipe, whose data and split are taken.
    """


def run_probe(checkpoint: str, name: str, args: list[str]) -> None:
    """Probe a checkpoint with the data and the split of a recipe, whose settings are options."""
    with friendly_errors(args):
        from sciformer.probe import ProbeOptions, probe_recipe
        from sciformer.recipe import Recipe

        module = _load_recipe(name)
        command = f"sciformer probe {checkpoint} {name}"
        recipe, options = parse_recipe(module, args, command, ProbeOptions, ("data", "split", "seed"))
        if not isinstance(recipe, Recipe):
            raise ValueError(f"{name} is a recipe of pretraining and asks nothing: name one with targets")
        probe_recipe(checkpoint, recipe, options, say=lambda line: print(line, flush=True))


def run_recipe(name: str, args: Sequence[str] | None = None) -> None:
    """Train the recipe in a file, with its settings as options: what every recipe script calls."""
    command = Path(sys.argv[0]).name if args is None else f"sciformer train {name}"
    args = list(sys.argv[1:] if args is None else args)
    with friendly_errors(args):
        recipe, options = parse_recipe(_load_recipe(name), args, command)
        from sciformer.pretraining import Pretraining, pretrain
        from sciformer.recipe import train

        _carry_out(pretrain if isinstance(recipe, Pretraining) else train, recipe, options, ["train", name, *args])


def compare(recipe: str) -> None:
    """Does pretraining help on your data? A recipe from scratch and from a checkpoint. Options: compare RECIPE --help.

    Args:
        recipe: Path or name of the recipe.
    """


COMPARE = """Does pretraining help on these data? Trains the recipe below from scratch and from --start.checkpoint, with
more and more records, and the classical baselines beside them; writes compare.html with a verdict.

    sciformer compare RECIPE --start.checkpoint NAME [--seeds 5] [--sizes 50,200,all] [--modes scratch,full]
"""


def compare_recipe(name: str, args: Sequence[str]) -> None:
    """Compare the recipe in a file, from scratch and from a checkpoint, with its settings as options."""
    args = list(args)
    with friendly_errors(args):
        module = _load_recipe(name)
        from sciformer.comparison import CompareOptions
        from sciformer.comparison import compare as carry_out
        from sciformer.recipe import Recipe

        module.__doc__ = f"{COMPARE}\n{module.__doc__ or ''}"
        command = f"sciformer compare {name}"
        recipe, options = parse_recipe(module, args, command, CompareOptions, prefix="compare-")
        if not isinstance(recipe, Recipe):
            raise ValueError(f"{name} pretrains a backbone: compare a recipe that predicts something")
        _carry_out(carry_out, recipe, options, ["compare", name, *args])


def _carry_out(function: Callable[..., Path], recipe: Any, options: Any, words: Sequence[str]) -> None:
    """Run a recipe; where it is stopped and can go on, say how."""
    _check_accelerator(options.accelerator)
    from sciformer.rundir import RunDirectory, stopped

    try:
        function(recipe, options, say=lambda line: print(line, flush=True))
    except BaseException as error:
        if stopped(error) and RunDirectory(Path(options.out)).resumable:
            print(f"To go on: {_resume_command(words, options)}", flush=True)
        raise


def _check_accelerator(name: str) -> None:
    import torch

    if name == "gpu" and not (torch.cuda.is_available() or torch.backends.mps.is_available()):
        raise ValueError("--accelerator gpu needs a GPU and PyTorch finds none; use auto or cpu, or check the driver")


def _resume_command(words: Sequence[str], options: "RunOptions | PretrainOptions") -> str:
    undo = ["--overwrite", "false"] if options.overwrite else []
    undo += ["--resume", "auto"] if options.resume != "auto" else []
    return shlex.join(["sciformer", *words, *undo])


def parse_recipe(
    module: ModuleType,
    args: Sequence[str],
    command: str = "sciformer train RECIPE",
    kind: type | None = None,
    only: Collection[str] = (),
    prefix: str = "",
) -> tuple[Any, Any]:
    """The recipe of a module with the options of a command line applied, and those of ``kind``, a dataclass, by default
    those of such a run. ``only`` names the parts of the recipe that have options where not all have; the directory is
    called after the recipe, with a ``prefix``."""
    from argparse import RawDescriptionHelpFormatter

    from jsonargparse import ActionConfigFile, DefaultHelpFormatter  # pyright: ignore[reportPrivateImportUsage]

    from sciformer.pretraining import Pretraining, PretrainOptions
    from sciformer.recipe import RunOptions
    from sciformer.usage import Parser

    class Formatter(RawDescriptionHelpFormatter, DefaultHelpFormatter):
        """Keeps the lines of the recipe's docstring."""

    recipe = module.recipe()
    parser = Parser(allow_abbrev=False, prog=command, description=module.__doc__, formatter_class=Formatter)
    parser.add_argument("--config", action=ActionConfigFile, help="Settings from a YAML file.")
    names = [f.name for f in dataclasses.fields(recipe) if f.name != "title" and getattr(recipe, f.name) is not None]
    names = [name for name in names if name in only or not only]
    kind = kind or (PretrainOptions if isinstance(recipe, Pretraining) else RunOptions)
    options = [f.name for f in dataclasses.fields(kind)]
    for name in names:
        _add_settings(parser, name, getattr(recipe, name))
    parser.add_class_arguments(kind, skip={"output"})
    if "output" in options:
        parser.add_argument("-o", "--output", type=str, default="", help="Table to write (.csv or .parquet).")
    if "out" in options:
        parser.set_defaults({"out": f"runs/{prefix}{Path(str(module.__file__)).stem}"})
    parsed = parser.instantiate(parser.parse_args(list(args)))
    given = {name: _settings(parsed, name, getattr(recipe, name)) for name in names}
    return dataclasses.replace(recipe, **given), kind(**{name: getattr(parsed, name) for name in options})


def _add_settings(parser: Any, name: str, value: Any, kind: Any = None) -> None:
    """The options of a part of a recipe; those of a stream are about its data, its split and itself. ``kind`` is the
    type of a plain value, where it is not that of ``value``."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            _add_settings(parser, f"{name}.{key}", part)
    elif _holds_abstract(value):
        kinds = get_type_hints(type(value))
        for f in dataclasses.fields(value):
            _add_settings(parser, f"{name}.{f.name}", getattr(value, f.name), kinds[f.name])
    elif dataclasses.is_dataclass(value):
        parser.add_class_arguments(type(value), name)
        parser.set_defaults(_leaves(name, value))
    else:
        parser.add_argument(f"--{name}", type=kind or type(value), default=value, help=_HELP.get(name.split(".")[-1]))


_HELP = {
    "seed": "Seed of all that is random.",
    "steps": "Batches of an epoch.",
    "objective": "What is learned: masked, descriptors or forecast.",
    "weight": "How many of the batches are of this stream, relative to the others.",
    "share": "Share of the tokens that is hidden.",
}


def _holds_abstract(value: Any) -> bool:
    """Whether a part of it is of a kind that only the recipe knows: the data of a domain."""
    return dataclasses.is_dataclass(value) and any(f.name == "data" for f in dataclasses.fields(value))


def _settings(parsed: Any, name: str, value: Any) -> Any:
    """A part of a recipe with the options of a command line."""
    if isinstance(value, Mapping):
        return {key: _settings(parsed, f"{name}.{key}", part) for key, part in value.items()}
    if _holds_abstract(value):
        names = [f.name for f in dataclasses.fields(value)]
        parts = {part: _settings(parsed, f"{name}.{part}", getattr(value, part)) for part in names}
        return dataclasses.replace(value, **parts)
    return parsed[name]


def _leaves(name: str, value: Any) -> dict[str, Any]:
    """Every setting below a part of a recipe by its full name."""
    if not dataclasses.is_dataclass(value):
        return {name: value}
    fields = ((f"{name}.{f.name}", getattr(value, f.name)) for f in dataclasses.fields(value))
    return {key: leaf for field in fields for key, leaf in _leaves(*field).items()}


def _load_recipe(name: str) -> ModuleType:
    path = _find_recipe(name)
    spec = importlib.util.spec_from_file_location(f"recipe_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "recipe"):
        raise ValueError(f"{path} is no recipe: it must define `def recipe() -> Recipe`")
    return module


def _find_recipe(name: str) -> Path:
    """A path, else a name below the folders of recipes in the checkout or the installed package."""
    if Path(name).suffix == ".py":
        if Path(name).is_file():
            return Path(name)
        raise FileNotFoundError(f"there is no recipe file {name}")
    package = Path(__file__).resolve().parent
    folders = [folder for folder in (package / "_recipes", package.parent / "recipes") if folder.is_dir()]
    for folder in folders:
        if (folder / f"{name}.py").is_file():
            return folder / f"{name}.py"
    found = sorted(str(p.relative_to(f).with_suffix("")) for f in folders for p in f.glob("*/*.py"))
    raise FileNotFoundError(f"there is no recipe {name!r}; known: {', '.join(found)}, or give the path of a .py file")


if __name__ == "__main__":
    main()
