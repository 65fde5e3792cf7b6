"""Weights go where their names say, and nothing is loaded in part without being told."""

import dataclasses

import pytest
import torch
from torch.testing import assert_close

from sciformer.adapter import DomainAdapter
from sciformer.domains.climate import Climate
from sciformer.domains.lightcurve import LightCurve
from sciformer.domains.lightcurve.curve import RELATIVE
from sciformer.domains.molecule import Molecule
from sciformer.domains.protein import Protein
from sciformer.ensemble import Member
from sciformer.finetuning import Origin, Start
from sciformer.foundation import Foundation
from sciformer.model import Sciformer, SciformerConfig
from sciformer.nn.positions import frequencies
from sciformer.tasks.base import Task
from sciformer.tasks.describe import Describe
from sciformer.tasks.forecast import Forecast
from sciformer.tasks.property import Property
from sciformer.tasks.reconstruct import Reconstruct
from sciformer.tasks.token_property import TokenProperty
from sciformer.tokens import AXES, Target
from sciformer.transfer import transfer

SHAPE = SciformerConfig(width=16, depth=2, heads=2, dropout=0.0)
MASS, TOXIC = Target("mass", unit="g"), Target("toxic", kind="binary", classes=("no", "yes"))


def foundation(*adapters: DomainAdapter, objectives=None) -> Foundation:
    """Random weights, of which none is as in any other model."""
    torch.manual_seed(1)
    by_name = {adapter.name: adapter for adapter in adapters}
    made = Foundation(by_name, Sciformer(SHAPE, by_name), objectives or {})
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made


def member(adapter: DomainAdapter, task: Task | None = None) -> Member[Task]:
    torch.manual_seed(2)
    return Member(Sciformer(SHAPE, {adapter.name: adapter}), task or Property(SHAPE, [MASS]))


def table(model: Sciformer, adapter: DomainAdapter, column: str) -> dict[str, torch.Tensor]:
    """The vectors of the labels of a column; that of id 0 is called hidden."""
    start = 0
    for category in adapter.schema.ids:
        if category.name == column:
            rows = model.embedders[adapter.name].ids.weight[start : start + category.size]
            return dict(zip(("hidden", *category.labels), rows, strict=True))
        start += category.size if category.embedded else 0
    raise KeyError(column)


# --- the same data ---------------------------------------------------------------------------------------


def test_all_weights_of_the_backbone_are_those_of_the_checkpoint():
    known, new = foundation(Molecule()), member(Molecule())
    report = transfer(known, new, Molecule())
    for name, saved in known.model.state_dict().items():
        assert_close(new.model.state_dict()[name], saved, rtol=0, atol=0)
    assert not any(part.startswith(("embedder", "blocks", "pairs")) for part in report.fresh)


def test_every_weight_of_both_models_is_accounted_for():
    objectives = {
        "described": Describe(SHAPE, "molecule", ["a", "b"]),
        "masked": Reconstruct(SHAPE, Molecule().schema, "molecule"),
    }
    known, new = foundation(Molecule(), Protein(), objectives=objectives), member(Molecule())
    report = transfer(known, new, Molecule())
    assert sum(report.loaded.values()) + sum(report.fresh.values()) == sum(p.numel() for p in new.parameters())
    assert "objective masked" in report.unused
    assert "embedder protein" in report.unused
    assert report.fresh == {"task readouts": 2 * 16 + 2}
    assert report.new == {"task.readouts.0.weight", "task.readouts.0.bias"}


def test_another_shape_is_refused_and_leaves_the_model_as_it_was():
    known = foundation(Molecule())
    other = Member(Sciformer(dataclasses.replace(SHAPE, width=32), {"molecule": Molecule()}), Property(SHAPE, [MASS]))
    before = {name: x.clone() for name, x in other.state_dict().items()}
    with pytest.raises(ValueError, match="shape of the checkpoint"):
        transfer(known, other, Molecule())
    assert all(torch.equal(x, before[name]) for name, x in other.state_dict().items())


# --- labels and columns ----------------------------------------------------------------------------------


def test_bands_are_found_by_name_in_whatever_order():
    saved, own = LightCurve(bands=("g", "r", "i", "z")), LightCurve(bands=("z", "g"))
    known, new = foundation(saved), member(own)
    transfer(known, new, own)
    there, here = table(known.model, saved, "band"), table(new.model, own, "band")
    for label in ("hidden", "z", "g", "object"):
        assert_close(here[label], there[label], rtol=0, atol=0)


def test_a_band_that_the_checkpoint_does_not_know_must_be_told():
    saved, own = LightCurve(bands=("g", "r")), LightCurve(bands=("V", "g"))
    with pytest.raises(
        ValueError, match=r"band 'V' .* unknown to the checkpoint, which knows g, r, object.*start\.labels\.V"
    ):
        transfer(foundation(saved), member(own), own)


def test_a_band_takes_the_place_that_it_is_told_or_starts_at_random():
    saved, own = LightCurve(bands=("g", "r")), LightCurve(bands=("V", "w"))
    known, new = foundation(saved), member(own)
    before = table(new.model, own, "band")["w"].clone()
    report = transfer(known, new, own, {"V": "g", "w": ""})
    here = table(new.model, own, "band")
    assert_close(here["V"], table(known.model, saved, "band")["g"], rtol=0, atol=0)
    assert_close(here["w"], before, rtol=0, atol=0)
    assert report.fresh["embedder lightcurve"] == 16
    assert "model.embedders.lightcurve.ids.weight" in report.new
    assert "model.blocks.0.attention.qkv.weight" not in report.new


@pytest.mark.parametrize("mode", ["head", "lora"])
@pytest.mark.parametrize("told", ["g", ""])
def test_of_a_frozen_backbone_what_starts_at_random_learns_nevertheless(mode, told):
    own = LightCurve(bands=("w",))
    origin = Origin(Start("stars", mode=mode, labels={"w": told}), foundation(LightCurve(bands=("g", "r"))), "")
    new = member(own)
    origin.begin(new, own)
    learning = {name for name, x in new.model.named_parameters() if x.requires_grad and not name.startswith("blocks.")}
    assert learning == (set() if told else {"embedders.lightcurve.ids.weight"})
    assert all(x.requires_grad for x in new.task.parameters())


def test_values_in_another_unit_are_refused_unless_their_record_divides_it_out():
    with pytest.raises(ValueError, match="'level' is in 'nJy' and was in 'mJy'"):
        own = LightCurve(unit="nJy", level=True)
        transfer(foundation(LightCurve(unit="mJy", level=True)), member(own), own)
    own = LightCurve(unit="nJy")
    assert not transfer(foundation(LightCurve(unit="mJy")), member(own), own).fresh.get("embedder lightcurve")


def test_magnitudes_do_not_go_on_where_fluxes_were_learned_but_where_both_were():
    with pytest.raises(ValueError, match="these are magnitudes and the checkpoint learned fluxes: convert them"):
        LightCurve(unit="mag").continuing(LightCurve(unit="mJy"))
    assert LightCurve(unit="mag").continuing(LightCurve(unit=RELATIVE)).unit == "mag"


def test_a_column_that_the_checkpoint_has_never_met_starts_at_random_and_is_told():
    own = Protein(wild_type="MKV")
    known, new = foundation(Protein()), member(own)
    before = {label: x.clone() for label, x in table(new.model, own, "wild type").items()}
    report = transfer(known, new, own)
    assert_close(table(new.model, own, "residue")["A"], table(known.model, Protein(), "residue")["A"], rtol=0, atol=0)
    assert_close(table(new.model, own, "wild type")["A"], before["A"], rtol=0, atol=0)
    assert report.fresh["embedder protein"] > 0


def test_pairs_are_found_by_label_and_another_number_of_hops_is_refused():
    with pytest.raises(ValueError, match="hops '4', '5'"):
        transfer(foundation(Molecule(max_hops=3)), member(Molecule(max_hops=5)), Molecule(max_hops=5))


def test_scales_are_those_of_the_checkpoint():
    saved = own = Protein(features=("charge",))
    known, new = foundation(saved), member(own)
    known.model.embedders["protein"].scale.mean.fill_(3.0)
    transfer(known, new, own)
    assert new.model.embedders["protein"].scale.mean.item() == 3.0


# --- heads -----------------------------------------------------------------------------------------------


def test_a_property_starts_from_the_head_that_described_records():
    described = Describe(SHAPE, "molecule", ["a"])
    known = foundation(Molecule(), objectives={"described": described})
    new = member(Molecule(), Property(SHAPE, [MASS, TOXIC]))
    transfer(known, new, Molecule())
    for name, saved in described.head.state_dict().items():
        assert_close(new.task.head.state_dict()[name], saved, rtol=0, atol=0)
    first, second = new.task.questions
    assert (first - described.questions[0]).abs().max() < 0.2
    assert (first - second).abs().max() > 0


def test_labels_of_residues_start_from_the_head_that_found_hidden_ones_but_for_its_last_layer():
    own = Protein(labels={"helix": ["no", "yes"]})
    masked = Reconstruct(SHAPE, Protein().schema, "protein")
    known, new = foundation(Protein(), objectives={"masked": masked}), member(own, TokenProperty(SHAPE, own))
    before = new.task.head.out.weight.clone()
    transfer(known, new, own)
    assert_close(new.task.head.hidden.weight, masked.head.hidden.weight, rtol=0, atol=0)
    assert_close(new.task.head.out.weight, before, rtol=0, atol=0)


def test_forecasts_start_from_forecasts_with_their_answers():
    objective = Forecast(SHAPE, LightCurve())
    known = foundation(LightCurve(), objectives={"seen": objective})
    new = member(LightCurve(), Forecast(SHAPE, LightCurve()))
    report = transfer(known, new, LightCurve())
    assert not report.fresh
    assert_close(new.task.readout.weight, objective.readout.weight, rtol=0, atol=0)


def test_a_forecast_in_another_unit_keeps_answers_in_spreads_and_one_of_another_family_does_not():
    saved, own = LightCurve(unit=RELATIVE), LightCurve(unit="mag")
    objective = Forecast(SHAPE, saved)
    known = foundation(saved, objectives={"forecast": objective})
    for family, kept in {"gaussian": True, "quantile": False}.items():
        new = member(own, Forecast(SHAPE, own, family=family))
        transfer(known, new, own)
        weights = (new.task.readout.weight, objective.readout.weight)
        assert (weights[0].shape == weights[1].shape and torch.equal(*weights)) == kept


def test_targets_that_a_trained_model_answered_keep_their_answers_and_others_do_not():
    trained = Property(SHAPE, [TOXIC, MASS])
    known = foundation(Molecule(), objectives={"task": trained})
    heavier = dataclasses.replace(MASS, unit="kg")
    new = member(Molecule(), Property(SHAPE, [MASS, heavier]))
    before = new.task.readouts[1].weight.clone()
    transfer(known, new, Molecule())
    assert_close(new.task.readouts[0].weight, trained.readouts[1].weight, rtol=0, atol=0)
    assert_close(new.task.questions[0], trained.questions[1], rtol=0, atol=0)
    assert_close(new.task.readouts[1].weight, before, rtol=0, atol=0)


# --- what is told ----------------------------------------------------------------------------------------


def test_bands_and_answers_of_the_checkpoint_that_nobody_asks_for_are_told_as_not_used():
    saved, own = LightCurve(bands=("g", "r", "i", "z")), LightCurve(bands=("z", "g"))
    trained = Property(SHAPE, [TOXIC, MASS], extensive=False)
    known = foundation(saved, objectives={"task": trained})
    new = member(own, Property(SHAPE, [MASS], extensive=False))
    report = transfer(known, new, own)
    assert report.unused["embedder lightcurve"] == 2 * 16
    assert report.unused["objective task"] == 16 + trained.readouts[0].weight.numel() + 1
    assert not report.fresh


def test_a_question_that_the_checkpoint_was_never_asked_starts_at_random_and_is_told():
    known = foundation(Molecule(), objectives={"task": Property(SHAPE, [TOXIC])})
    report = transfer(known, member(Molecule(), Property(SHAPE, [MASS])), Molecule())
    assert report.fresh["task questions"] == 16


# --- how records are read --------------------------------------------------------------------------------


def test_steps_of_a_climate_series_are_turned_alike_whatever_their_length():
    """A backbone that learned from days meets hours, of other context: its second step is still its second step."""
    days, hours = Climate(step=1.0, context=60, horizon=12), Climate(step=1 / 24, context=24, horizon=6)
    meant = hours.continuing(days)
    turns = [frequencies(adapter.schema.axes, 8)[AXES.index("time")] for adapter in (days, meant)]
    assert_close(*turns)
    assert meant.continuing(hours).schema.axes[0].longest == 2 * 30


@pytest.mark.parametrize(
    ("own", "saved", "message"),
    [
        (Climate(patch=8), Climate(patch=4), r"data\.patch is 8 and was 4 .* --data\.patch 4"),
        (Climate(rows=2, columns=2), Climate(), "these are grids and the checkpoint was trained on stations"),
        (Protein(wild_type="MKV"), Protein(wild_type="MKL"), "trained on variants of MKL"),
    ],
)
def test_records_that_a_backbone_would_misread_are_refused(own, saved, message):
    with pytest.raises(ValueError, match=message):
        own.continuing(saved)


def test_what_is_not_in_the_data_is_read_as_the_backbone_has_learned_to():
    assert Molecule(max_hops=4).continuing(Molecule(max_hops=6)).max_hops == 6
    assert LightCurve().continuing(LightCurve(shortest=0.01)).shortest == 0.01
    published = Protein(periods=(1.0, 2.0), dropped=0.12)
    assert Protein(describe=True).continuing(published) == Protein(describe=True, periods=(1.0, 2.0), dropped=0.12)
