"""What commands are given: files, and checkpoints of the right kind."""

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from sciformer.checkpoint import Checkpoint

T = TypeVar("T")


def answering(checkpoint: str) -> "Checkpoint":
    """The verified files of a model that answers something; a backbone is refused with what makes one of it."""
    from sciformer.checkpoint import load_checkpoint
    from sciformer.foundation import is_foundation
    from sciformer.models import find

    files = load_checkpoint(find(checkpoint))
    if is_foundation(files):
        raise ValueError(
            f"{checkpoint} is a pretrained backbone, which answers nothing yet: fine-tune it first, with "
            f"sciformer train RECIPE --start.checkpoint {checkpoint}"
        )
    return files


def loaded(checkpoint: str, kind: type[T], instead: str) -> T:
    """A trained model of one kind; ``instead`` is said of any other that answers something."""
    from sciformer.pretrained import restore

    trained = restore(answering(checkpoint))
    if not isinstance(trained, kind):
        raise ValueError(f"{checkpoint} {instead}")
    return trained


def file(name: str) -> Path:
    """A path, because a name alone could also be read as a record (``CCO`` is ethanol)."""
    if not Path(name).exists():
        raise FileNotFoundError(f"there is no file {name}; check the path (working directory {Path.cwd()})")
    return Path(name)
