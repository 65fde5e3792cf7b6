"""A fine-tuned model as what was added to its checkpoint: low-rank updates, the task, and no copy of the backbone."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from sciformer.adapter import DomainAdapter
from sciformer.checkpoint import load_strict
from sciformer.ensemble import Member
from sciformer.foundation import Foundation
from sciformer.nn import lora
from sciformer.transfer import transfer

EMBEDDERS = "model.embedders."


def learned(member: Member[Any]) -> dict[str, Tensor]:
    """Everything that was added: the updates, the task, and the embedders where they learned."""
    added = {f"task.{name}": x for name, x in member.task.state_dict().items()}
    if any(parameter.requires_grad for parameter in member.model.embedders.parameters()):
        added |= {f"{EMBEDDERS}{name}": x for name, x in member.model.embedders.state_dict().items()}
    updates = {f"model.{name}": x for name, x in lora.factors(member.model).items()}
    return {name: x.detach().clone() for name, x in (added | updates).items()}


def put_back(
    member: Member[Any],
    foundation: Foundation,
    adapter: DomainAdapter,
    start: Mapping[str, Any],
    added: Mapping[str, Tensor],
) -> None:
    """Make a new model the one that was fine-tuned: the checkpoint it started from, and what was added to it.

    Raises ``IntegrityError`` or ``ValueError`` where these are not of each other, naming what does not fit.
    """
    transfer(foundation, member, adapter, start["labels"])
    lora.inject(member.model, start["rank"], start["alpha"])
    load_strict(member.task, under("task.", added))
    if embedders := under(EMBEDDERS, added):
        load_strict(member.model.embedders, embedders)
    rest = {name: x for name, x in added.items() if not name.startswith(("task.", EMBEDDERS))}
    lora.load_factors(member.model, {name.removeprefix("model."): x for name, x in rest.items()})
    lora.merge(member.model)


def under(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights whose names begin so, by the rest of their names."""
    return {name.removeprefix(prefix): x for name, x in weights.items() if name.startswith(prefix)}
