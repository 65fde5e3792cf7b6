"""What ``sciformer data`` prints. The signatures are the options and the docstrings the help."""

from pathlib import Path

from sciformer.data import cards


def overview(domain: str = "all") -> None:
    """List the data sets that have a card.

    Args:
        domain: Only those of one science, such as molecule.
    """
    if domain != "all":
        from sciformer.discovery import adapter_names  # brings torch, which a plain list does not need

        if domain not in adapter_names():
            raise ValueError(f"no domain named {domain!r}; found: all, {', '.join(adapter_names())}")
    for name in cards.names():
        card = cards.card(name)
        if domain in ("all", card.domain):
            print(f"{name:24} {card.rows:>7} rows  {card.title}")


def show(name: str) -> None:
    """Print a data card: what the data are, where they come from, and their traps.

    Args:
        name: Name of the data set.
    """
    card = cards.card(name)
    print(
        f"{card.title}\n{card.rows} rows, {card.task}. Licence: {card.licence}\nCite: {card.citation}\n\n{card.prose}\n"
    )
    for column in card.columns:
        print(f"  {column.role:10} {column.name}{f' [{column.unit}]' if column.unit else ''}: {column.meaning}")
    print("\nSplit: " + card.split)
    for trap in card.traps:
        print(f"Trap: {trap}")
    for file in card.files:
        print(f"File: {file.url or file.prepared} ({file.bytes} bytes, sha256 {file.sha256})")


def fetch(name: str) -> None:
    """Find or download the files of a data set, check their hashes, and say where they are.

    Args:
        name: Name of the data set.
    """
    for path in cards.fetch(name):
        print(path)


def build(name: str, folder: str, out: str | None = None) -> None:
    """Build the prepared files of a data set from a clone of the repository that its card names.

    Args:
        name: Name of the data set.
        folder: Folder of the clone.
        out: Folder to write to; by default the cache, which takes only files that equal those of the card.
    """
    from rich.console import Console
    from rich.progress import track

    from sciformer.data import build

    console = Console(stderr=True)
    built = build.build(
        name,
        Path(folder),
        None if out is None else Path(out),
        lambda paths: track(paths, name, console=console, transient=True, disable=not console.is_terminal),
    )
    for path in built.paths:
        print(path)
    told = f"not the files of the card: {built.difference}" if built.difference else "byte for byte as in the card"
    print(f"{built.objects} objects, {told}")
