"""Published protein language models: the weights of ESM-2 (Lin et al. 2023, doi:10.1126/science.ade2574).

ESM-2 is a pre-norm transformer with rotary positions and a masked-letter head, so it is this backbone with certain
weights, ``Protein`` with certain settings, and ``Reconstruct``: states after every block and logits are those of
``transformers.EsmForMaskedLM`` but for the rounding of float32, masked residues included.

===================  ==========================================================================================
``<cls>`` ``<eos>``  ``<start>`` and ``<end>``
``<mask>``           id 0, a hidden residue
letters              the same letters
``<unk>``            ``J`` and ``*`` share its vector and its logit: ESM-2 has no token of theirs, and its tokenizer
                     reads what it does not know as ``<unk>``
the rest             ``<pad>``, ``.``, ``-`` and ``<null_1>`` are left out: here padding is not read, and a gap is no
                     residue. Probabilities are therefore shared out among 30 ids instead of 33
===================  ==========================================================================================

Two things are not as formulas say. The rotary frequencies are those stored in the file, which for the published models
were once rounded to float16. And embeddings are scaled by how much of a record is masked: ``Protein.dropped``.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from sciformer.checkpoint import PICKLES, IntegrityError, Limits, LoadReport, check_fields, load_strict
from sciformer.domains.protein import Protein
from sciformer.domains.protein.alphabet import END, LABELS, STANDARD, START
from sciformer.foundation import Foundation, save
from sciformer.model import Sciformer, SciformerConfig
from sciformer.tasks.reconstruct import Reconstruct

VOCABULARY = ("<cls>", "<pad>", "<eos>", "<unk>", *"LAGVSERTIDPKQNFYMHWCXBUZO.-", "<null_1>", "<mask>")
"""Tokens of ESM-2 by id, for a directory without ``vocab.txt``."""
DROPPED = 0.15 * 0.8
"""Share of the tokens that ESM-2 was shown as ``<mask>``."""
EXAMPLE = "facebook/esm2_t6_8M_UR50D"

LIMITS: Limits = {
    "hidden_size": (2, 16384),
    "num_hidden_layers": (1, 512),
    "num_attention_heads": (1, 1024),
    "intermediate_size": (2, 2**17),
    "vocab_size": (1, 2**16),
}
"""Far beyond any model that is published."""

BLOCK = {
    "norm_attention": ("attention.LayerNorm",),
    "attention.qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention.out": ("attention.output.dense",),
    "norm_feed_forward": ("LayerNorm",),
    "feed_forward.up": ("intermediate.dense",),
    "feed_forward.down": ("output.dense",),
}
"""Layers of a block, and those of ESM-2 that are laid end to end to make them."""
ENDS = {
    "model.norm": ("esm.encoder.emb_layer_norm_after",),
    "task.head.hidden": ("lm_head.dense",),
    "task.head.norm": ("lm_head.layer_norm",),
}
LETTERS, DECODER, BIAS = "esm.embeddings.word_embeddings.weight", "lm_head.decoder.weight", "lm_head.bias"
FREQUENCIES = "rotary_embeddings.inv_freq"
"""Ends the name of rotary frequencies: of every block, or of the whole model."""
IGNORED = ("esm.contact_head.", "esm.embeddings.position_ids", "esm.embeddings.position_embeddings.")
"""Begin the names of weights that have no part in states and logits: a regression on attention, and positions that a
rotary model does not read."""


@dataclass(frozen=True)
class _Config:
    """What in ``config.json`` says what is computed; the defaults are those of ``transformers.EsmConfig``."""

    model_type: str
    vocab_size: int
    mask_token_id: int
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_dropout_prob: float | None = 0.1
    layer_norm_eps: float | None = 1e-12
    position_embedding_type: str | None = "absolute"
    rope_theta: float = 10000.0
    emb_layer_norm_before: bool | None = None
    token_dropout: bool | None = False
    tie_word_embeddings: bool = True
    is_decoder: bool | None = False
    is_folding_model: bool | None = False

    @property
    def shape(self) -> SciformerConfig:
        return SciformerConfig(
            width=self.hidden_size,
            depth=self.num_hidden_layers,
            heads=self.num_attention_heads,
            expansion=self.intermediate_size / self.hidden_size,
            dropout=self.hidden_dropout_prob or 0.0,
        )


REQUIRED: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "model_type": (("esm",), "this is another kind of model"),
    "position_embedding_type": (("rotary",), "ESM-1 and ESM-1b have learned positions, which this backbone has not"),
    "emb_layer_norm_before": ((False, None), "this backbone has no norm before its first block"),
    "layer_norm_eps": ((1e-5,), "this backbone's norms have no other"),
    "is_decoder": ((False, None), "a decoder sees only what stands before"),
    "is_folding_model": ((False, None), "ESMFold has a folding trunk"),
}
"""Settings that all ESM-2 models share, and why others are refused."""


def read_esm(path: str | Path) -> tuple[Protein, Sciformer, Reconstruct]:
    """ESM-2 from a local directory in the form of Hugging Face: ``config.json``, ``model.safetensors`` (or its parts
    and ``model.safetensors.index.json``) and, where there is one, ``vocab.txt``.

    The model is in evaluation mode. The letter table and the last layer of the head, which ESM-2 ties, are two
    parameters of equal value. In training, dropout (that of the config; 0 in published models) also falls on the
    embedding and never on attention weights.

    Nothing is downloaded or unpickled. Checkpoints of fair-esm (``.pt``) and ``pytorch_model.bin`` are pickles and
    refused; transformers turns the latter into safetensors (``save_pretrained``).
    Raises ``FileNotFoundError`` for a file that is missing, ``IntegrityError`` (a ``ValueError``) for a pickle and for
    weights that are missing, unexpected or of another shape, ``ValueError`` for a model that is no ESM-2.
    """
    folder = _directory(Path(path))
    config = _config(folder / "config.json")
    letters = _letters(folder / "vocab.txt", config)
    weights = _weights(folder)
    periods = _periods([weights.pop(name) for name in list(weights) if name.endswith(FREQUENCIES)], config)
    adapter = Protein(periods=periods, dropped=DROPPED if config.token_dropout else 0.0)
    with torch.random.fork_rng(devices=[]):  # the caller's seed is not ours to spend
        model = Sciformer(config.shape, {adapter.name: adapter})
        task = Reconstruct(config.shape, adapter.schema, adapter.name)
    whole = nn.ModuleDict({"model": model, "task": task})
    empty = {name: x for name, x in whole.state_dict().items() if not x.numel() or name.endswith(".fitted")}
    load_strict(whole, empty | _translated(weights, config, letters))
    whole.eval()
    return adapter, model, task


def convert(source: str | Path, path: str | Path) -> None:
    """ESM-2 from a local directory (``read_esm``) to a checkpoint of this package, which ``sciformer.load``, recipes
    (``start.checkpoint``), probes and scans take like any other backbone.

    Raises what ``read_esm`` raises, and ``FileExistsError`` where something else than a checkpoint is at ``path``.
    """
    adapter, model, task = read_esm(source)
    title = f"ESM-2 from {Path(source).resolve().name}"
    save(
        Foundation({adapter.name: adapter}, model, {"masked": task}),
        Path(path),
        title=title,
        card=f"# {title}\n\nPublished weights (Lin et al. 2023, doi:10.1126/science.ade2574), converted as they are.\n",
        trained={},
    )


# --- what is in the directory ----------------------------------------------------------------------------


def _directory(path: Path) -> Path:
    if path.suffix.lower() in PICKLES and not path.is_dir():
        raise IntegrityError(
            f"{path} is a pickle, which can run any code when it is opened, so it is never loaded: give a directory "
            f"with config.json and model.safetensors, as {EXAMPLE} is published on huggingface.co"
        )
    if not path.is_dir():
        raise FileNotFoundError(
            f"there is no directory {path}: nothing is downloaded; fetch a model such as {EXAMPLE} from huggingface.co "
            "first and give its directory"
        )
    return path


def _config(file: Path) -> _Config:
    known = [column.name for column in fields(_Config)]
    read = _json(file)
    try:
        config = _Config(
            **check_fields({name: read[name] for name in known if name in read}, _Config, "config", LIMITS)
        )
    except ValueError as error:
        raise ValueError(f"{file}: {error}; give the directory of an ESM-2 model, such as {EXAMPLE}") from error
    for name, (allowed, reason) in REQUIRED.items():
        if getattr(config, name) not in allowed:
            raise ValueError(
                f"{file}: {name} must be {allowed[0]!r}, got {getattr(config, name)!r}: {reason}; give the directory "
                f"of an ESM-2 model, such as {EXAMPLE}"
            )
    return config


def _json(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise FileNotFoundError(f"{file} is missing: a directory of Hugging Face has it; fetch the whole of it again")
    try:
        parsed = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file} is no JSON: {error}; fetch it again") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"{file} must hold an object, got {type(parsed).__name__}; fetch it again")
    return parsed


def _letters(file: Path, config: _Config) -> Tensor:
    """Rows of the letter table of ESM-2 by the ids of ``Protein``."""
    vocabulary = (
        [line.strip() for line in file.read_text(encoding="utf-8").splitlines()] if file.is_file() else VOCABULARY
    )
    where = file if file.is_file() else f"the vocabulary of ESM-2 ({file} is missing)"
    place = {token: i for i, token in enumerate(vocabulary)}
    if len(place) != config.vocab_size:
        raise ValueError(f"{where} must have vocab_size = {config.vocab_size} different tokens, got {len(place)}")
    if lacking := [name for name in ("<cls>", "<eos>", "<unk>", "<mask>", *STANDARD) if name not in place]:
        raise ValueError(f"{where} lacks {', '.join(lacking)}: this is no vocabulary of proteins, residue by residue")
    if place["<mask>"] != config.mask_token_id:
        raise ValueError(f"{where} has <mask> at {place['<mask>']}, and config.json at {config.mask_token_id}")
    called = {START: "<cls>", END: "<eos>"}
    names = ("<mask>", *(called.get(label, label) for label in LABELS))
    return torch.tensor([place.get(name, place["<unk>"]) for name in names])


def _weights(folder: Path) -> dict[str, Tensor]:
    """All weights in float32, but for those that are ignored, by the names that ``EsmForMaskedLM`` has for them."""
    weights: dict[str, Tensor] = {}
    for file in _parts(folder):
        if not file.is_file():
            raise FileNotFoundError(
                f"{file} is missing, and pickles (pytorch_model.bin) are never loaded: fetch the safetensors of the "
                "model, or have transformers write them (save_pretrained)"
            )
        try:
            found = safetensors.torch.load_file(file)
        except safetensors.SafetensorError as error:
            raise IntegrityError(f"{file} is not a safetensors file: {error}; fetch it again") from error
        for name, x in found.items():
            if not name.startswith(IGNORED):
                # Norms have the names of the first BERT in files that transformers 5 writes.
                weights[name.replace(".gamma", ".weight").replace(".beta", ".bias")] = x.float()
    return weights


def _parts(folder: Path) -> list[Path]:
    """The files of weights, beside their index wherever it points."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return [folder / "model.safetensors"]
    parts = _json(index).get("weight_map")
    if not isinstance(parts, dict) or not parts:
        raise IntegrityError(f"{index} must have a weight_map from weights to files, got {parts!r}; fetch it again")
    return [folder / Path(str(part)).name for part in sorted(set(parts.values()), key=str)]


# --- from ESM-2 to the backbone --------------------------------------------------------------------------


def _periods(stored: Sequence[Tensor], config: _Config) -> tuple[float, ...]:
    """Of the rotary positions, exact enough that the frequencies come back to the last bit of float32.

    The published models were trained with frequencies in float16, which differ from the formula by up to 5e-4: half a
    radian at residue 1,000.
    """
    half = config.shape.width // config.shape.heads // 2
    formula = 1.0 / config.rope_theta ** (torch.arange(0, 2 * half, 2, dtype=torch.float) / (2 * half))
    used = stored[0] if stored else formula
    if any(not torch.equal(x, used) for x in stored):
        raise IntegrityError(f"the blocks differ in {FREQUENCIES}, but all turn alike here: this is no ESM-2")
    if used.shape != formula.shape or not torch.allclose(used, formula, rtol=1e-2, atol=0):
        raise IntegrityError(
            f"{FREQUENCIES} must be the {half} frequencies of rope_theta {config.rope_theta:g} within 1 %, got "
            f"{used.tolist()}: the file was damaged; fetch it again"
        )
    return tuple((2 * math.pi / used.double()).tolist())


def _translated(weights: Mapping[str, Tensor], config: _Config, letters: Tensor) -> dict[str, Tensor]:
    """Weights by the names and in the shapes of the backbone and the task."""
    layers = ENDS | {
        f"model.blocks.{i}.{own}": tuple(f"esm.encoder.layer.{i}.{name}" for name in names)
        for i in range(config.num_hidden_layers)
        for own, names in BLOCK.items()
    }
    sources = {
        f"{own}.{x}": [f"{name}.{x}" for name in names] for own, names in layers.items() for x in ("weight", "bias")
    }
    tied = config.tie_word_embeddings
    by_letter = {
        f"model.embedders.{Protein.name}.ids.weight": LETTERS,
        "task.head.out.weight": LETTERS if tied else DECODER,
        "task.head.out.bias": BIAS,
    }
    needed = {name for names in sources.values() for name in names} | set(by_letter.values())
    report = LoadReport(
        missing=tuple(sorted(needed - weights.keys())),
        unexpected=tuple(sorted(weights.keys() - needed - {DECODER})),
    )
    if not report.ok:
        raise IntegrityError(f"the weights are not those of EsmForMaskedLM with this config.json: {report}")
    if tied and not torch.equal(weights.get(DECODER, weights[LETTERS]), weights[LETTERS]):
        raise IntegrityError(f"config.json ties {DECODER} to {LETTERS}, but they differ: fetch the model again")
    for name in set(by_letter.values()):
        if len(weights[name]) != config.vocab_size:
            raise IntegrityError(f"{name} must have vocab_size = {config.vocab_size} rows, got {len(weights[name])}")
    laid = {own: _laid(own, [weights[name] for name in names]) for own, names in sources.items()}
    return laid | {own: weights[name][letters] for own, name in by_letter.items()}


def _laid(own: str, parts: Sequence[Tensor]) -> Tensor:
    if len({x.shape for x in parts}) > 1:
        shapes = ", ".join(str(tuple(x.shape)) for x in parts)
        raise IntegrityError(f"{own} cannot be laid end to end from weights of different shapes {shapes}")
    return torch.cat(list(parts))
