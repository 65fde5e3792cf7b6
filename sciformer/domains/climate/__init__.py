"""Climate: stations and grids, several variables, gaps and calendars included."""

from sciformer.domains.climate.adapter import Climate

adapter = Climate

__all__ = ["Climate", "adapter"]
