"""The tables that commands write: nothing is overwritten that is not theirs, and a table is whole or absent."""

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciformer.files import atomic_file

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".parquet")
GRIDS = (".nc",)
"""Where answers may be written that are no table."""
RUN_TABLES = ("rows.csv", "metrics.csv", "predictions.csv", "scores.csv", "comparison.csv")
"""Tables of a run directory, which its report and its reader rely on."""


def check_output(name: str, source: str, more: Collection[str] = ()) -> None:
    """Refuse a place for a table before any work is done.

    Raises ``ValueError`` or ``OSError`` where ``name`` is no table, is the file ``source`` that the command
    reads, belongs to a run, or cannot be written.
    """
    path = Path(name)
    known = (*SUFFIXES, *more)
    if path.suffix not in known:
        raise ValueError(f"output must end in {' or '.join(known)}, got {name}")
    if path.is_dir():
        raise IsADirectoryError(f"output must be a file, but {name} is a directory; name a file in it")
    if path.exists() and Path(source).exists() and path.samefile(source):
        raise ValueError(f"output {name} is the input itself, which would be lost; choose another name")
    whole = path.resolve()
    if whole.name in RUN_TABLES and (whole.parent / "run.json").is_file():
        raise ValueError(f"output {name} is a table of the run in {whole.parent}; choose another name: predicted.csv")
    above = next(folder for folder in whole.parents if folder.exists())
    if not above.is_dir():
        raise NotADirectoryError(f"output {name} cannot be written: {above} is a file; choose another folder")
    if not os.access(above, os.W_OK):
        raise PermissionError(f"output {name} cannot be written: {above} is read-only; choose another folder")


def write_answers(answers: Any, output: str) -> Any:
    """Write an xarray Dataset as netCDF, or as a table; a table of answers is given back to be written.

    Raises ``ValueError`` for a table that shall be netCDF.
    """
    import pandas as pd

    path = Path(output).resolve()
    if isinstance(answers, pd.DataFrame):
        if path.suffix in GRIDS:
            raise ValueError(f"the answers are a table: write them to {' or '.join(SUFFIXES)}, not to {path.suffix}")
        return answers
    path.parent.mkdir(parents=True, exist_ok=True)
    sizes = ", ".join(f"{name} {size}" for name, size in answers.sizes.items())
    if path.suffix in GRIDS:
        with atomic_file(path) as file:
            file.write(answers.to_netcdf())
    else:
        write_table(answers.to_dataframe().reset_index(), output, exact=[str(name) for name in answers.coords])
    print(f"{', '.join(map(str, answers.data_vars))} forecast ({sizes}): {output}")
    return None


def write_table(table: "pd.DataFrame", output: str, exact: Collection[str] = ()) -> None:
    """Write a whole table or none. CSV has six digits of a number, but for the columns ``exact``."""
    path = Path(output).resolve()  # through a link, which stays one
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        texts = {str(name): table[name].map(_six_digits) for name in table.columns if name not in exact}
        with atomic_file(path) as file:
            file.write(table.assign(**texts).to_csv(index=False).encode())
        return
    from pandas.api.types import infer_dtype

    mixed = [str(name) for name in table if infer_dtype(table[name], skipna=True).startswith("mixed")]
    texts = {name: table[name].map(str, na_action="ignore") for name in mixed}  # a Parquet column has one type
    with atomic_file(path) as file:
        table.assign(**texts).to_parquet(file, index=False)


def _six_digits(cell: Any) -> Any:
    """A float as text of six digits, a list as its entries between spaces. NaN stays, so that it becomes an empty
    cell."""
    if isinstance(cell, list):
        return " ".join(str(_six_digits(entry)) for entry in cell)
    return f"{cell:.6g}" if isinstance(cell, float) and cell == cell else cell


def say_notes(notes: Iterable[str]) -> None:
    """Print what must be known of a table of answers, as training does."""
    for note in notes:
        print(f"Note: {note}")


def say_unreadable(statuses: Any, where: str, noun: str = "row", most: int = 5) -> int:
    """Print the first reasons of a mapping of record to status, and count them; ``where`` has the others."""
    bad = [(key, status) for key, status in statuses.items() if status != "ok"]
    for key, status in bad[:most]:
        print(f"  {noun} {key}: {status}")
    if len(bad) > most:
        print(f"  and {len(bad) - most} more: {where}")
    return len(bad)


def counted(n: int, noun: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{n} {noun}" + ("" if n == 1 else "s")
