"""XML: VOTables, and the VOSOURCE files of the classification project at Berkeley (Debosscher's stars).

A document type or an entity is refused: neither is needed, and both can be made to swallow all memory.
"""

import dataclasses
import io
import re
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sciformer.data.targets import listed
from sciformer.domains.lightcurve.clean import Found
from sciformer.domains.lightcurve.columns import Options
from sciformer.domains.lightcurve.sheet import Sheet, astropy_sheet, objects_in
from sciformer.domains.lightcurve.table import decode, read_bytes, stem_of
from sciformer.domains.lightcurve.times import Scale, named, parse_scale

SUFFIXES = (".xml", ".vot", ".votable")


def read_file(path: Path, options: Options, *, alone: bool = True) -> list[Found]:
    """The light curves of an XML file.

    Raises ``OSError`` or ``ValueError`` with one line that names the file and the remedy.
    """
    text, root = _parse(path)
    if _tag(root) == "VOTABLE":
        return objects_in(_votable(path, text, root), options, alone=alone)
    return objects_in(_vosource(path, root), dataclasses.replace(options, object=""), alone=alone)


def load_vosource(path: Path) -> Sheet:
    """The rows of a VOSOURCE file as they stand there, text and all; raises like ``read_file``."""
    return _vosource(path, _parse(path)[1])


def _parse(path: Path) -> tuple[str, ElementTree.Element]:
    text = decode(path, read_bytes(path))
    if re.search("<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise ValueError(f"{path} defines a document type or entities, which are not read; delete that line")
    try:
        return text, ElementTree.fromstring(text)  # from text: no declared encoding can hide an entity
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is no well-formed XML ({error}); it may be cut off: fetch it again") from None


def _votable(path: Path, text: str, root: ElementTree.Element) -> Sheet:
    from astropy.io import votable

    content = re.sub(r"^\s*<\?xml[^>]*\?>", "", text).encode()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deviations from the standard that astropy can read
        try:
            file = votable.parse(io.BytesIO(content), verify="ignore")
            found = [table for table in file.iter_tables() if not table.is_empty()]
            table = found[0].to_table(use_names_over_ids=True) if found else None
        except Exception as error:  # whatever the parser stumbles over
            reason = " ".join(str(error).split())
            raise ValueError(f"{path} cannot be read as a VOTable ({reason:.100}); write it again") from None
    if table is None:
        raise ValueError(f"{path} holds no table with rows; it needs observations")
    if len(found) > 1:
        raise ValueError(f"{path} holds {len(found)} tables; write the one of observations to a file of its own")
    sheet = astropy_sheet(table, str(path), stem_of(path))
    return dataclasses.replace(sheet, scale=sheet.scale or _time_origin(root), header={})


def _time_origin(root: ElementTree.Element) -> Scale | None:
    """The day count of a TIMESYS element (VOTable 1.4), where there is exactly one."""
    found = [element for element in root.iter() if _tag(element) == "TIMESYS" and element.get("timeorigin")]
    if len(found) != 1:
        return None
    text = str(found[0].get("timeorigin")).strip()
    base = "BJD" if found[0].get("refposition", "").upper() == "BARYCENTER" else "JD"
    if text in ("MJD-origin", "JD-origin"):
        return parse_scale("MJD" if text.startswith("MJD") else base)
    try:
        return named(base, float(text))
    except ValueError:
        return None


def _vosource(path: Path, root: ElementTree.Element) -> Sheet:
    """The tables of a VOSOURCE file, one per band, as one."""
    elements: dict[str, list[ElementTree.Element]] = {}
    for element in root.iter():
        elements.setdefault(_tag(element), []).append(element)
    parts = [part for table in elements.get("TABLE", []) if (part := _part(path, table)) is not None]
    if not parts:
        raise ValueError(f"{path} holds no TABLE with FIELDs and rows (its root is {_tag(root)}); it is no light curve")
    frame, units = pd.concat([frame for frame, _ in parts], ignore_index=True), parts[0][1]
    if any(other != units for _, other in parts):
        raise ValueError(f"{path} has tables of different fields or units; bring them to one unit")
    return Sheet(
        frame=frame,
        where=str(path),
        name=stem_of(path),
        identity=_text(elements.get("ID", [])),
        units=units,
        scale=_time_system(elements),
        header=_header(elements),
    )


def _part(path: Path, table: ElementTree.Element) -> tuple[pd.DataFrame, dict[str, str]] | None:
    """Rows of a TABLE, whose name begins with the band, and units by column."""
    fields = [element for element in table if _tag(element) == "FIELD"]
    names = [str(field.get("name")) for field in fields]
    rows = [[(cell.text or "").strip() for cell in row] for row in table.iter() if _tag(row) == "TR"]
    if not names or not rows:
        return None
    for i, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise ValueError(f"{path} has {len(row)} cells in row {i} for the fields {listed(names)}; correct it")
    band = str(table.get("name") or "").partition(":")[0].strip()
    units = {name: str(field.get("unit")) for name, field in zip(names, fields, strict=True) if field.get("unit")}
    return pd.DataFrame(rows, columns=names).assign(band=band), units


def _time_system(elements: Mapping[str, Sequence[ElementTree.Element]]) -> Scale | None:
    base = parse_scale(_text(elements.get("TimeType", [])))
    if base is None:
        return None
    try:
        return named(base.name, base.origin + float(_text(elements.get("TimeZero", [])) or 0))
    except (ValueError, KeyError):
        return base


def _header(elements: Mapping[str, Sequence[ElementTree.Element]]) -> dict[str, Any]:
    header: dict[str, Any] = {}
    for element in elements.get("Value2", [])[:1]:
        for name, tag in (("ra", "c1"), ("dec", "c2")):
            header[name] = _text([child for child in element if _tag(child) == tag])
    labels = [str(element.get("name")) for element in elements.get("class", []) if element.get("name")]
    return header | ({"label": labels[0]} if labels else {})


def _text(elements: Sequence[ElementTree.Element]) -> str:
    """Content of the first of these elements, "" where there is none."""
    return (elements[0].text or "").strip() if elements else ""


def _tag(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
