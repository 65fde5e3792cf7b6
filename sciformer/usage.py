"""Wrong usage of the command line in one line: what was given, what is possible, what was probably meant."""

import difflib
import re
from collections.abc import Iterable
from typing import NoReturn

from jsonargparse import ArgumentParser


class UsageError(ValueError):
    """A command line that no command can be made of."""

    exit_code = 2


class Parser(ArgumentParser):
    """Raises ``UsageError`` where other parsers print every option and end the program."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if isinstance(ex, UsageError):  # of a parser inside this one, which knows more
            raise ex
        if not self.exit_on_error:
            super().error(message, ex)
        parser = getattr(ex, "subcommand_parser", None) or self
        options = [name for action in parser._actions for name in action.option_strings if name.startswith("--")]
        command = parser.prog.replace(" [options]", "")
        if inner := re.search(r"required: (\w+)\.", message):
            command += f" {inner[1]}"
        raise UsageError(f"{explained(message, options)} ({command} --help explains all)") from ex


def explained(message: str, options: Iterable[str]) -> str:
    """A message of the parser in the words of the command line, with the options of a like name."""
    text = " ".join(message.split())
    unknown = (
        r"(?:unrecognized arguments: |Option '|Group '(?P<group>[^']+)' does not accept option ')(?P<name>[^\s'=]+)"
    )
    if found := re.match(unknown, text):
        name = ".".join(part for part in (found["group"], found["name"]) if part)
        if name.startswith("-") or not text.startswith("unrecognized"):
            return f"there is no option --{name.lstrip('-')}" + _hint(like(name, options))
        return f"{name!r} is one argument too many"
    if found := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", text):
        choices = re.findall(r"[\w-]+", found[2])
        close = difflib.get_close_matches(found[1], choices, n=1)
        return f"there is no {found[1]!r}; choose from {', '.join(choices)}" + _hint(close)
    if found := re.match(r'Parser key "([^"]+)": (.*)', text):
        inner = sorted(option for option in options if option.startswith(f"--{found[1]}."))
        if "Unable to load config" in found[2] and inner:
            return f"--{found[1]} is a group of settings; give one of them: {', '.join(inner)}"
        told = _typed(found[2])
        return f"--{found[1]}{' ' if told.startswith('must') else ': '}{told}"
    if found := re.match(r'expected "([^"]+)" to be one of \{(.*)\}, but it was not provided', text):
        return f"no {found[1].split('.')[-1]} is given; choose from {', '.join(re.split(', ?', found[2]))}"
    if not text.startswith("the following"):
        return text
    return re.sub(r"(?<= )[\w.]+\.(?=\w)", "", text)


def _typed(text: str) -> str:
    """What the parser says of a value of the wrong type, without Python's way to write types."""
    text = re.sub(r"<class '(\w+)'>", r"\1", text).replace("typing.", "").replace("Literal", "one of ")
    if found := re.search(r"Given value: (.*)$", text):
        types = [name for name in re.findall(r"Expected an? (\w+)", text) if name != "NoneType"]
        return f"must be of type {' or '.join(dict.fromkeys(types))}, got {found[1]!r}"
    if found := re.match(r"Expected an? (.*?)\. Got value: (.*)$", text):
        kind = re.sub(r"[\[\]']", "", found[1]) if found[1].startswith("one of") else f"of type {found[1]}"
        if kind == "of type tuple":
            return f"must be a list in brackets, as [1,2], got {found[2]!r}"
        if kind == "of type dict":
            return f"must be given name by name, with .NAME VALUE behind it, got {found[2]!r}"
        return f"must be {kind}, got {found[2]!r}"
    return text


def like(name: str, options: Iterable[str], most: int = 3) -> list[str]:
    """Options that were probably meant: the same last word first, as in ``--optim.epochs`` for ``--epochs``."""
    wanted = name.lstrip("-")
    last = wanted.rsplit(".", 1)[-1]
    known = {option.lstrip("-"): option for option in options}
    words = {known_name: known_name.rsplit(".", 1)[-1] for known_name in known}
    near = difflib.get_close_matches(last, set(words.values()), n=2, cutoff=0.75)
    found = [
        *(known_name for known_name, word in words.items() if word == last),
        *difflib.get_close_matches(wanted, known, n=most, cutoff=0.75),
        *(known_name for known_name, word in words.items() if word in near),
    ]
    return [known[known_name] for known_name in dict.fromkeys(found)][:most]


def _hint(close: list[str]) -> str:
    return f"; did you mean {' or '.join(close)}?" if close else ""
