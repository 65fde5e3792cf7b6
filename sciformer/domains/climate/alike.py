"""Whether a series is of the kind that a model learned."""

from typing import TYPE_CHECKING

from sciformer.domains.climate.series import YEAR, Series

if TYPE_CHECKING:
    from sciformer.domains.climate.adapter import Climate


def unlike(adapter: "Climate", series: Series) -> str:
    """Why it is not, and what to do; "" where it is."""
    units = {variable.name: variable.unit for variable in series.variables}
    learned = dict(zip(adapter.every, (*adapter.units, *adapter.known_units), strict=True))
    if lost := [name for name in learned if name not in units]:
        return f"has no variable {lost[0]!r}, which the model learned; it has {', '.join(units)}"
    for name, unit in learned.items():
        if units[name] != unit and unit and units[name]:
            return f"gives {name} in {units[name]}, the model learned {unit}: convert it"
    if series.cells != (adapter.rows, adapter.columns):
        return f"is a grid of {series.cells} cells, the model learned {(adapter.rows, adapter.columns)}: regrid it"
    if series.calendar != adapter.calendar and (series.calendar in YEAR or adapter.calendar in YEAR):
        return f"has the calendar {series.calendar}, the model learned {adapter.calendar}: convert it"
    if len(series) > 1 and not 0.8 < series.pace / adapter.step < 1.25:
        return f"has steps of {series.pace:g} days, the model learned {adapter.step:g}: resample it"
    return ""
