"""Starting from a checkpoint: which of its weights learn again, and how fast."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from torch import Tensor

from sciformer import lowrank, models
from sciformer.adapter import DomainAdapter
from sciformer.checkpoint import load_checkpoint
from sciformer.ensemble import Member
from sciformer.foundation import Foundation
from sciformer.model import SciformerConfig
from sciformer.nn import lora
from sciformer.optim import layer_rates
from sciformer.pretrained import foundation_of
from sciformer.transfer import TransferReport, transfer

Mode = Literal["full", "head", "lora", "gradual", "scratch"]


@dataclass(frozen=True)
class Start:
    """Where a model starts from, and which of its weights learn.

    Attributes:
        checkpoint: Name (see ``sciformer models list``) or directory of the checkpoint to start from; by default a
            random start.
        mode: "full" trains all weights; "head" only the task, on what the backbone says as it is; "lora" the task and
            low-rank updates of the blocks (Hu et al. 2021, arXiv:2106.09685); "gradual" all weights, each epoch one
            layer more from the top (Howard & Ruder 2018, arXiv:1801.06146); "scratch" takes the shape of the checkpoint
            and none of its weights, to compare with.
        rate: Learning rate of the backbone relative to that of the task, in the modes "full" and "gradual": what was
            learned from much shall not be forgotten over little. What starts at random learns like the task.
        decay: Learning rate of each layer relative to the one above it; 1 is the same for all.
        frozen: How the names of weights begin that do not learn, separated by commas, as in
            model.embedders,model.blocks.0.
        rank: Of low-rank updates.
        alpha: Low-rank updates are scaled by alpha / rank.
        labels: What labels of the data (a band, a variable) are called in the checkpoint where it has another name for
            them; '' lets one start at random, and ``*`` stands for all that it does not know.
    """

    checkpoint: str = ""
    mode: Mode = "full"
    rate: float = 0.25
    decay: float = 1.0
    frozen: str = ""
    rank: int = 8
    alpha: float = 16.0
    labels: dict[str, str] = field(default_factory=dict)

    def __post_init__(self):
        layer_rates(1, self.decay, self.rate)  # raises where it cannot be
        if self.rank < 1 or not self.alpha > 0:
            raise ValueError(f"start.rank must be at least 1 and start.alpha positive, got {self.rank}, {self.alpha}")
        if not self.checkpoint and self.mode != "full":
            raise ValueError(
                f"start.mode {self.mode!r} needs something to start from: name it with --start.checkpoint (see "
                "`sciformer models list`)"
            )


@dataclass(frozen=True)
class Origin:
    """A checkpoint to start from, verified and read."""

    start: Start
    foundation: Foundation
    sha256: str
    """Of its manifest, which has those of all its files."""

    @classmethod
    def of(cls, start: Start) -> "Origin | None":
        """None where a model starts at random.

        Raises ``FileNotFoundError`` or ``IntegrityError`` for a checkpoint that is not there or damaged.
        """
        if not start.checkpoint:
            return None
        checkpoint = load_checkpoint(models.find(start.checkpoint))
        return cls(start, foundation_of(checkpoint), checkpoint.sha256)

    def shape(self, asked: SciformerConfig) -> SciformerConfig:
        """That of the checkpoint, with what is not in the weights as it is asked for."""
        return replace(self.foundation.model.config, dropout=asked.dropout, context=asked.context)

    def adapter(self, adapter: DomainAdapter) -> DomainAdapter:
        """The adapter of new data, made to read them as the backbone has learned to.

        Raises ``ValueError`` for a domain that the checkpoint does not read, or data that it would misread.
        """
        known = self.foundation.adapters
        if adapter.name not in known:
            raise ValueError(
                f"{self.start.checkpoint} does not read records of the domain {adapter.name!r}, but of "
                f"{', '.join(sorted(known))}; start from another checkpoint (`sciformer models list`)"
            )
        return adapter.continuing(known[adapter.name])

    def begin(self, member: Member[Any], adapter: DomainAdapter) -> TransferReport | None:
        """Fill a model and freeze what shall not learn. None where only the shape was taken."""
        if self.start.mode == "scratch":
            return None
        report = transfer(self.foundation, member, adapter, self.start.labels)
        if self.start.mode == "lora":
            lora.inject(member.model, self.start.rank, self.start.alpha)
        elif self.start.mode == "head":
            member.model.requires_grad_(False)
        prefixes = tuple(name.strip() for name in self.start.frozen.split(",") if name.strip())
        names = [name for name, _ in member.named_parameters()]
        for prefix in prefixes:
            if not any(name.startswith(prefix) for name in names):
                raise ValueError(
                    f"start.frozen {prefix!r} is no weight of this model; its names begin with {_heads(names)}"
                )
        for name, parameter in member.named_parameters():
            if name in report.new:  # has to be learned, whatever the mode
                parameter.requires_grad_(True)
            if name.startswith(prefixes):
                parameter.requires_grad_(False)
        return report

    def rates(self, report: TransferReport | None) -> Callable[[str], float] | None:
        """The factor of the learning rate of every weight of a model that has begun: what starts at random learns like
        the task, which starts at random too. None where only the shape was taken."""
        if report is None:
            return None
        rate = self.start.rate if self.start.mode in ("full", "gradual") else 1.0  # low-rank updates are new, too
        slower = layer_rates(self.foundation.model.config.depth, self.start.decay, rate)
        return lambda name: 1.0 if name in report.new else slower(name)

    def callbacks(self) -> list[Any]:
        """What goes on while such a model is trained."""
        from sciformer.unfreezing import GradualUnfreezing

        return [GradualUnfreezing()] if self.start.mode == "gradual" else []

    def end(self, member: Member[Any]) -> dict[str, Tensor]:
        """Merge low-rank updates into the blocks, and what was added to the checkpoint if that is all."""
        if self.start.mode != "lora":
            return {}
        added = lowrank.learned(member)
        lora.merge(member.model)
        return added

    def summary(self, report: TransferReport) -> str:
        """The checkpoint, the shape that a model takes from it, and what became of the weights, in a line."""
        model = self.foundation.model.config
        shape = f"width {model.width}, depth {model.depth}, heads {model.heads}"
        return f"{self.start.checkpoint} ({shape}); {'; '.join(report.lines())}"

    def to_json(self) -> dict[str, Any]:
        """Where a model started from, for its checkpoint."""
        return {**asdict(self.start), "sha256": self.sha256}

    def told(self, member: Member[Any], report: TransferReport) -> dict[str, Any]:
        """That, and what became of the weights of a model that has begun, for its run directory."""
        learning = sum(x.numel() for x in member.parameters() if x.requires_grad)
        return {**self.to_json(), **report.to_json(), "learning": learning}


def _heads(names: list[str]) -> str:
    return ", ".join(sorted({".".join(name.split(".")[:2]) for name in names}))
