"""Finding the domains, and adapters to plain descriptions and back.

A domain is a package ``sciformer.domains.<name>`` (or an installed entry point in the group
``sciformer.domains``) whose module attribute ``adapter`` is a subclass of ``DomainAdapter``.
"""

import dataclasses
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Mapping
from typing import Any

from sciformer.adapter import DomainAdapter


def to_json(adapter: DomainAdapter) -> dict[str, Any]:
    """Plain description from which ``from_json`` rebuilds the adapter."""
    return {"name": adapter.name, **dataclasses.asdict(adapter)}  # type: ignore[call-overload]


def from_json(spec: Mapping[str, Any]) -> DomainAdapter:
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in spec.items() if key != "name"}
    return adapter_class(spec["name"])(**plain)


def adapter_names() -> tuple[str, ...]:
    """Names of all domains that can be found, without importing them."""
    import sciformer.domains

    inside = {module.name for module in pkgutil.iter_modules(sciformer.domains.__path__)}
    outside = {point.name for point in importlib.metadata.entry_points(group="sciformer.domains")}
    return tuple(sorted(inside | outside))


def adapter_class(name: str) -> type[DomainAdapter]:
    """The adapter class of a domain.

    Raises ``ValueError`` when no such domain is installed.
    """
    if name not in adapter_names():
        raise ValueError(f"no domain named {name!r}; found: {', '.join(adapter_names())}")
    for point in importlib.metadata.entry_points(group="sciformer.domains", name=name):
        return point.load()
    return importlib.import_module(f"sciformer.domains.{name}").adapter
