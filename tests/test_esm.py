"""ESM-2 in this backbone is ESM-2: the reference is transformers, with random weights of small configurations."""

import dataclasses
import json

import pytest
import safetensors.torch
import torch
from torch.testing import assert_close
from transformers import EsmConfig, EsmForMaskedLM
from transformers.models.esm.configuration_esm import get_default_vocab_list

import sciformer
from sciformer import discovery
from sciformer.adapter import Record
from sciformer.checkpoint import IntegrityError
from sciformer.domains.protein import Protein
from sciformer.domains.protein.alphabet import LABELS
from sciformer.domains.protein.chains import Chains
from sciformer.esm import DROPPED, VOCABULARY, convert, read_esm
from sciformer.foundation import Foundation
from sciformer.model import Sciformer
from sciformer.nn.positions import frequencies
from sciformer.tokens import Example, collate

WIDTH, DEPTH, HEADS = 48, 3, 4
SEQUENCES = ("MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ", "W", "MUXBZOAC", "ACDEFGHIKLMNPQRSTVWYJ*A")
MASKED = ((3, 4, 17), (), (2,), (1, 20))
"""Residues, from 0, that are hidden."""
BLOCK_FREQUENCIES = "esm.encoder.layer.{}.attention.self.rotary_embeddings.inv_freq"
EXACT = {"rtol": 0, "atol": 1e-5}
CALLED = {"<cls>": "<start>", "<eos>": "<end>"}


def config(**changes) -> EsmConfig:
    """The settings of ESM-2, small."""
    settings = {
        "vocab_size": 33,
        "mask_token_id": 32,
        "pad_token_id": 1,
        "hidden_size": WIDTH,
        "num_hidden_layers": DEPTH,
        "num_attention_heads": HEADS,
        "intermediate_size": 4 * WIDTH,
        "hidden_dropout_prob": 0.0,
        "position_embedding_type": "rotary",
        "emb_layer_norm_before": False,
        "token_dropout": True,
        "layer_norm_eps": 1e-5,
    }
    return EsmConfig(**settings | changes)


def published(folder, **changes) -> EsmForMaskedLM:
    """A model whose weights are all random, norms and biases too, with frequencies in float16, saved under the names of
    the published files."""
    torch.manual_seed(0)
    model = EsmForMaskedLM(config(**changes))
    with torch.no_grad():
        for name, x in model.named_parameters():
            x.copy_(torch.randn_like(x) * (0.2 if x.ndim == 1 else x.shape[-1] ** -0.5))
            if "norm" in name.lower() and name.endswith("weight"):
                x.add_(1.0)
        turned = model.esm.rotary_embeddings.inv_freq
        turned.copy_(turned.half().float())
    folder.mkdir(exist_ok=True)
    model.config.architectures = ["EsmForMaskedLM"]
    (folder / "config.json").write_text(json.dumps(model.config.to_dict()))
    (folder / "vocab.txt").write_text("\n".join(get_default_vocab_list()))
    weights = {name: x.clone() for name, x in model.state_dict().items() if name != "esm.rotary_embeddings.inv_freq"}
    if model.config.tie_word_embeddings:
        del weights["lm_head.decoder.weight"]
    weights |= {BLOCK_FREQUENCIES.format(i): turned.clone() for i in range(DEPTH)}
    weights["esm.embeddings.position_ids"] = torch.arange(10)
    safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return model.eval()


@pytest.fixture(scope="module")
def esm(tmp_path_factory):
    return tmp_path_factory.mktemp("esm") / "esm2"


@pytest.fixture(scope="module")
def reference(esm) -> EsmForMaskedLM:
    return published(esm)


def reference_ids(sequence: str, masked=()) -> list[int]:
    letters = ["<mask>" if i in masked else letter for i, letter in enumerate(sequence)]
    place = {token: i for i, token in enumerate(VOCABULARY)}
    return [place.get(token, place["<unk>"]) for token in ("<cls>", *letters, "<eos>")]


def batch_of(adapter: Protein, sequences, masked, row=0):
    """Tokens of all sequences, with the chosen residues hidden."""
    examples = []
    for i, (sequence, hidden) in enumerate(zip(sequences, masked, strict=True)):
        tokens = adapter.tokenize(Record(key=str(i), data=Chains(residues=sequence)))
        where = torch.zeros(tokens.size, dtype=torch.bool)
        where[[j + 1 for j in hidden]] = True
        examples.append(Example(key=str(i), tokens={adapter.name: tokens.hide(where)}))
    return collate(examples, row=row)


def own_states(adapter, model, task, batch):
    """States after every block and after the norm, and logits, of all existing tokens, record by record."""
    seen = []
    hooks = [block.register_forward_hook(lambda _, __, out: seen.append(out)) for block in model.blocks]
    with torch.no_grad():
        encoded = model(batch.tokens)
        layers = [model.embed(batch.tokens), *seen, encoded.states, task.head(encoded)]
    for hook in hooks:
        hook.remove()
    sample = batch.tokens[adapter.name].sample
    return [[x[row][sample[row] == slot] for x in layers] for row, slot in batch.place.tolist()]


def reference_states(reference, sequences, masked):
    """The same of transformers, in one padded batch."""
    ids = [reference_ids(*case) for case in zip(sequences, masked, strict=True)]
    longest = max(len(x) for x in ids)
    padded = torch.tensor([x + [1] * (longest - len(x)) for x in ids])
    seen = []
    layers = [reference.esm.embeddings, *reference.esm.encoder.layer, reference.esm.encoder.emb_layer_norm_after]
    hooks = [layer.register_forward_hook(lambda _, __, out: seen.append(out)) for layer in layers]
    with torch.no_grad():
        logits = reference(padded, attention_mask=(padded != 1).long()).logits
    for hook in hooks:
        hook.remove()
    return [[x[i, : len(row)] for x in (*seen, logits)] for i, row in enumerate(ids)]


def by_letter(logits: torch.Tensor) -> torch.Tensor:
    """Logits of the reference by the ids of the protein domain."""
    place = {CALLED.get(token, token): i for i, token in enumerate(VOCABULARY)}
    return logits[:, [place["<mask>"], *(place.get(label, place["<unk>"]) for label in LABELS)]]


def assert_equal(found, expected, exact=EXACT):
    for own, other in zip(found, expected, strict=True):
        for layer, (x, y) in enumerate(zip(own[:-1], other[:-1], strict=True)):
            assert_close(x, y, **exact, msg=lambda text, layer=layer: f"layer {layer}: {text}")
        assert_close(own[-1], by_letter(other[-1]), **exact)


# --- equal to the reference ------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["eager", "sdpa"])
@pytest.mark.parametrize("masked", [((),) * 4, MASKED], ids=["visible", "masked"])
def test_states_of_every_block_and_logits_are_those_of_the_reference(esm, reference, kernel, masked):
    reference.set_attn_implementation(kernel)
    adapter, model, task = read_esm(esm)
    expected = reference_states(reference, SEQUENCES, masked)
    assert max(x.abs().max().item() for x in expected[0]) > 1  # equal is more than near 0
    assert_equal(own_states(adapter, model, task, batch_of(adapter, SEQUENCES, masked)), expected)


def test_effects_of_substitutions_are_those_of_the_reference(esm, reference):
    adapter, model, task = read_esm(esm)
    backbone = Foundation({adapter.name: adapter}, model, {"masked": task}).backbone()
    sequence, place = "MKTAYI", {letter: i for i, letter in enumerate(VOCABULARY)}

    def gains(changes):
        (states,) = reference_states(reference, [sequence], [tuple(changes)])
        logs = states[-1].log_softmax(-1)
        return sum((logs[i + 1, place[to]] - logs[i + 1, place[sequence[i]]]).item() for i, to in changes.items())

    table = backbone.scan([sequence])
    expected = [gains({int(row.site[1:]) - 1: row.to}) for row in table.itertuples()]
    assert table["effect"].tolist() == pytest.approx(expected, abs=1e-5)
    (effect,) = backbone.variants([sequence], ["K2A,Y5G"])["effect"]
    assert effect == pytest.approx(gains({1: "A", 4: "G"}), abs=1e-5)


def test_records_that_share_a_row_or_are_alone_answer_the_same(esm, reference):
    adapter, model, task = read_esm(esm)
    expected = reference_states(reference, SEQUENCES, MASKED)
    packed = batch_of(adapter, SEQUENCES, MASKED, row=100)
    assert len(packed.tokens[adapter.name].sample) == 1
    assert_equal(own_states(adapter, model, task, packed), expected)
    for sequence, masked, alone in zip(SEQUENCES, MASKED, expected, strict=True):
        assert_equal(own_states(adapter, model, task, batch_of(adapter, [sequence], [masked])), [alone])


def test_a_long_chain_answers_the_same_and_only_with_the_frequencies_of_the_file(esm, reference):
    torch.manual_seed(1)
    chain = "".join("ACDEFGHIKLMNPQRSTVWY"[i] for i in torch.randint(20, (1022,)).tolist())
    adapter, model, task = read_esm(esm)
    batch = batch_of(adapter, [chain], [range(0, 1022, 7)])
    expected = reference_states(reference, [chain], [range(0, 1022, 7)])
    assert_equal(own_states(adapter, model, task, batch), expected)
    model.rotary(["protein"]).frequencies[0] = 10000 ** (-torch.arange(0, WIDTH // HEADS, 2) / (WIDTH // HEADS))
    by_formula = own_states(adapter, model, task, batch)[0][-1]
    assert (by_formula - by_letter(expected[0][-1])).abs().max() > 1e-4


@pytest.mark.parametrize("changes", [{"token_dropout": False}, {"tie_word_embeddings": False}], ids=str)
def test_settings_that_published_models_do_not_need_are_followed_too(tmp_path, changes):
    reference = published(tmp_path, **changes)
    adapter, model, task = read_esm(tmp_path)
    assert adapter.dropped == (0.0 if "token_dropout" in changes else DROPPED)
    expected = reference_states(reference, SEQUENCES, MASKED)
    assert_equal(own_states(adapter, model, task, batch_of(adapter, SEQUENCES, MASKED)), expected)


def test_frequencies_are_those_of_the_file_to_the_last_bit_and_survive_json(esm, reference):
    adapter, model, _ = read_esm(esm)
    stored = reference.esm.rotary_embeddings.inv_freq
    assert torch.equal(model.rotary(["protein"]).frequencies[0], stored)
    again = discovery.from_json(json.loads(json.dumps(discovery.to_json(adapter))))
    assert again == adapter
    assert torch.equal(frequencies(again.schema.axes, WIDTH // HEADS)[0], stored)


def test_a_file_without_frequencies_turns_by_the_formula(esm, tmp_path, reference):
    copy(esm, tmp_path, lambda weights: {n: x for n, x in weights.items() if "inv_freq" not in n})
    formula, _ = reference.esm.rotary_embeddings.compute_default_rope_parameters(reference.config)
    assert torch.equal(read_esm(tmp_path)[1].rotary(["protein"]).frequencies[0], formula)
    assert not torch.equal(formula, reference.esm.rotary_embeddings.inv_freq)


# --- forms of the files ----------------------------------------------------------------------------------


def copy(esm, folder, change=dict, **settings):
    """The same directory with other weights or settings."""
    for name in ("config.json", "vocab.txt"):
        (folder / name).write_text((esm / name).read_text())
    changed = json.loads((esm / "config.json").read_text()) | settings
    (folder / "config.json").write_text(json.dumps(changed))
    weights = change(safetensors.torch.load_file(esm / "model.safetensors"))
    safetensors.torch.save_file(weights, folder / "model.safetensors")
    return folder


def parameters(folder) -> list[torch.Tensor]:
    _, model, task = read_esm(folder)
    return [*model.state_dict().values(), *task.state_dict().values()]


def assert_same(found, expected):
    assert all(torch.equal(x, y) for x, y in zip(found, expected, strict=True))


def test_what_transformers_saves_is_read_in_parts_too(esm, tmp_path, reference):
    reference.save_pretrained(tmp_path, max_shard_size="40KB")
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    assert not (tmp_path / "vocab.txt").exists()
    assert_same(parameters(tmp_path), parameters(esm))
    assert torch.equal(
        read_esm(tmp_path)[1].rotary(["protein"]).frequencies, read_esm(esm)[1].rotary(["protein"]).frequencies
    )
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"index.json must have a weight_map from weights to files, got None"):
        read_esm(tmp_path)


def test_weights_in_half_precision_are_read_as_float32(esm, tmp_path):
    copy(esm, tmp_path, lambda weights: {name: x.half() for name, x in weights.items()})
    assert_same(parameters(tmp_path), [x.half().float() if x.is_floating_point() else x for x in parameters(esm)])


def test_the_vocabulary_is_that_of_the_reference_or_of_the_file(esm, tmp_path):
    assert get_default_vocab_list() == VOCABULARY
    order = torch.randperm(33, generator=torch.Generator().manual_seed(3))
    by_row = ("esm.embeddings.word_embeddings.weight", "lm_head.bias")
    place = order.tolist().index(32)
    copy(esm, tmp_path, lambda w: {n: x[order] if n in by_row else x for n, x in w.items()}, mask_token_id=place)
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY[i] for i in order))
    assert_same(parameters(tmp_path), parameters(esm))


# --- use -------------------------------------------------------------------------------------------------


def test_hidden_residues_are_asked_for_and_the_mask_learns_nothing_as_an_input(esm):
    adapter, model, task = read_esm(esm)
    assert not model.training
    assert not task.training
    batch = batch_of(adapter, SEQUENCES, [()] * 4)
    problem = task.pose(batch, torch.Generator().manual_seed(0))
    scores = task.score(task(model, problem), problem)
    scores["loss"].backward()
    assert 1 < scores["loss"].item() < 10
    gradient = model.embedders[adapter.name].ids.weight.grad
    assert not gradient[0].any()
    assert gradient[1].any()


def test_letters_that_esm_lacks_are_its_unknown_token(esm, reference):
    _, model, task = read_esm(esm)
    unknown = reference.esm.embeddings.word_embeddings.weight[VOCABULARY.index("<unk>")]
    for letter in "J*":
        assert torch.equal(model.embedders["protein"].ids.weight[LABELS.index(letter) + 1], unknown)
        assert torch.equal(task.head.out.weight[LABELS.index(letter) + 1], unknown)


def test_the_seed_of_the_caller_is_not_spent(esm):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    read_esm(esm)
    assert torch.equal(torch.rand(3), expected)


# --- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"position_embedding_type": "absolute"}, r"must be 'rotary', got 'absolute': ESM-1 and ESM-1b have learned"),
        (
            {"emb_layer_norm_before": True},
            r"emb_layer_norm_before must be False, got True: .* no norm before its first",
        ),
        ({"layer_norm_eps": 1e-12}, r"layer_norm_eps must be 1e-05, got 1e-12"),
        ({"model_type": "bert"}, r"model_type must be 'esm', got 'bert': .*esm2_t6_8M_UR50D"),
        ({"is_decoder": True}, r"is_decoder must be False"),
        ({"is_folding_model": True}, r"ESMFold has a folding trunk"),
        ({"hidden_size": "wide"}, r"config.hidden_size must be of type int, got 'wide'"),
        ({"hidden_size": 10**9}, r"config.hidden_size must be a number in 2..16384"),
        ({"num_attention_heads": 5}, r"width must be a multiple of heads"),
        ({"vocab_size": 34}, r"vocab.txt must have vocab_size = 34 different tokens, got 33"),
        ({"mask_token_id": 31}, r"vocab.txt has <mask> at 32, and config.json at 31"),
        ({"rope_theta": 5000.0}, r"must be the 6 frequencies of rope_theta 5000 within 1 %"),
        ({"num_hidden_layers": 2}, r"unexpected: esm.encoder.layer.2"),
        ({"num_hidden_layers": 4}, r"missing: esm.encoder.layer.3.LayerNorm.bias"),
        ({"intermediate_size": 100}, r"do not fit .* of another shape: model.blocks.0.feed_forward"),
        ({"tie_word_embeddings": False}, r"missing: lm_head.decoder.weight"),
    ],
    ids=str,
)
def test_another_model_is_refused(esm, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        read_esm(copy(esm, tmp_path, **settings))


FIRST = "esm.encoder.layer.0.attention.self.query.weight"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: {n: x for n, x in w.items() if n != FIRST}, rf"missing: {FIRST}$"),
        (lambda w: w | {"esm.pooler.dense.bias": torch.zeros(1)}, r"unexpected: esm.pooler.dense.bias$"),
        (lambda w: w | {"lm_head.bias": torch.zeros(30)}, r"lm_head.bias must have vocab_size = 33 rows, got 30"),
        (lambda w: w | {FIRST: torch.zeros(WIDTH, 2)}, r"blocks.0.attention.qkv.weight cannot be laid end to end"),
        (
            lambda w: w | {"lm_head.decoder.weight": torch.zeros(33, WIDTH)},
            r"ties lm_head.decoder.weight .* they differ",
        ),
        (
            lambda w: w | {BLOCK_FREQUENCIES.format(1): torch.ones(6)},
            r"the blocks differ in rotary_embeddings.inv_freq",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused(esm, tmp_path, change, message):
    with pytest.raises(IntegrityError, match=message):
        read_esm(copy(esm, tmp_path, change))


def test_pickles_are_never_opened(esm, tmp_path):
    (tmp_path / "esm2_t6_8M_UR50D.pt").write_bytes(b"anything")
    with pytest.raises(IntegrityError, match=r"\.pt is a pickle, which can run any code .*: give a directory"):
        read_esm(tmp_path / "esm2_t6_8M_UR50D.pt")
    copy(esm, tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"model.safetensors is missing, and pickles .* are never loaded"):
        read_esm(tmp_path)


def test_files_that_are_missing_or_broken_are_named(esm, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no directory .*/none: nothing is downloaded"):
        read_esm(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"config.json is missing"):
        read_esm(tmp_path)
    copy(esm, tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(t if t != "W" else "<w>" for t in VOCABULARY))
    with pytest.raises(ValueError, match=r"vocab.txt lacks W: this is no vocabulary of proteins"):
        read_esm(tmp_path)
    (tmp_path / "vocab.txt").unlink()
    (tmp_path / "model.safetensors").write_bytes(b"short")
    with pytest.raises(IntegrityError, match=r"is not a safetensors file"):
        read_esm(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json is no JSON"):
        read_esm(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ValueError, match=r"config.json must hold an object, got list"):
        read_esm(tmp_path)


def test_an_adapter_keeps_to_the_settings_of_its_weights(esm):
    adapter, model, _ = read_esm(esm)
    with pytest.raises(
        ValueError, match=r"'order' names 6 periods, but heads of width 12 leave it 2 beside 3 other axes"
    ):
        Sciformer(model.config, {adapter.name: dataclasses.replace(adapter, coordinates=True)})
    with pytest.raises(ValueError, match=r"the share of hidden residues must lie in \[0, 1\), got 1"):
        Protein(dropped=1)
    with pytest.raises(ValueError, match=r"periods of the order axis must be positive, got -1"):
        Protein(periods=(6.3, -1.0))


def test_a_converted_model_is_a_backbone_like_any_other(esm, tmp_path):
    """Its vectors are the mean of the reference's states over all tokens; other adapters of proteins can read so."""
    reference = published(esm)
    convert(esm, tmp_path / "checkpoint")
    backbone = sciformer.load(tmp_path / "checkpoint")
    sequence = SEQUENCES[0]
    places = [VOCABULARY.index(token) for token in ("<cls>", *sequence, "<eos>")]
    with torch.no_grad():
        states = reference.esm(torch.tensor([places])).last_hidden_state[0]
    found = torch.tensor(backbone.embed([sequence]).to_numpy()[0])
    assert_close(found.float(), states.mean(0), **EXACT)
    assert len(backbone.scan("MKV")) == 3 * 19
    own = Protein(describe=True).continuing(backbone.adapter)
    assert own.schema.axes == backbone.adapter.schema.axes
