"""One self-contained HTML page per run: ``render`` reads a run directory and nothing else."""

from sciformer.report.page import render

__all__ = ["render"]
