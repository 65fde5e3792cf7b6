"""What is said of checkpoints: those that come with the package, and backbones and models that are given."""

import shutil

import pytest

import sciformer
from sciformer import models
from sciformer.checkpoint import IntegrityError
from sciformer.cli import main


@pytest.fixture
def shelf(foundation_path, make_foundation, tmp_path, monkeypatch):
    """A package that comes with two backbones."""
    folder = tmp_path / "checkpoints"
    shutil.copytree(foundation_path, folder / "both-tiny")
    make_foundation(folder / "protein-tiny", "protein")
    monkeypatch.setattr(models, "FOLDER", folder)
    return folder


def fails(*args: str) -> None:
    """A command ends with an error, in one line."""
    with pytest.raises(SystemExit) as end:
        main(list(args))
    assert end.value.code == 1


# --- those that come with the package --------------------------------------------------------------------


def test_the_backbones_of_the_package_are_listed(shelf, capsys):
    main(["models", "list"])
    first, second = capsys.readouterr().out.splitlines()
    assert first.split()[:3] == ["both-tiny", "molecule,", "protein"]
    assert second.split()[:2] == ["protein-tiny", "protein"]
    for line in (first, second):
        assert "cc-by-4.0  Tiny backbone" in line
        assert " MB " in line
    parameters = sum(x.numel() for x in sciformer.load("protein-tiny").members[0].model.parameters())
    assert f" {parameters:,} parameters" in second


def test_the_list_is_of_one_domain_where_it_is_named(shelf, capsys):
    main(["models", "list", "--domain", "molecule"])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["both-tiny"]
    main(["models", "list", "--domain", "climate"])
    assert capsys.readouterr().out.startswith("No pretrained backbone that reads the domain 'climate' comes with")
    fails("models", "list", "--domain", "dogs")
    assert "no domain named 'dogs'; found: all, climate" in capsys.readouterr().err


def test_an_empty_shelf_says_so_and_where_else_to_look(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(models, "FOLDER", tmp_path)
    main(["models", "list"])
    said = capsys.readouterr().out
    assert said.startswith("No pretrained backbone comes with this version of sciformer.")
    assert "hf://owner/name" in said


def test_a_card_without_a_licence_is_under_that_of_the_package(shelf, foundation_path, capsys):
    from sciformer.checkpoint import load_checkpoint, save_checkpoint

    files = load_checkpoint(foundation_path)
    save_checkpoint(
        shelf / "plain", config=files.config, weights=files.weights, calibration={}, card="# A card without a head"
    )
    main(["models", "list"])
    assert "Apache-2.0  Tiny backbone" in capsys.readouterr().out


def test_one_of_the_package_is_shown_and_loaded_by_name(shelf, capsys):
    main(["models", "show", "protein-tiny"])
    assert capsys.readouterr().out.startswith("Tiny backbone: domain protein, sciformer ")
    assert sciformer.load("protein-tiny").adapter.name == "protein"
    fails("models", "show", "protein-tny")
    assert "no backbone 'protein-tny' comes with sciformer; known: both-tiny, protein-tiny" in capsys.readouterr().err
    with pytest.raises(FileNotFoundError, match="did you mean 'protein-tiny', which comes with sciformer"):
        sciformer.load("protein-tny")


def test_one_that_is_damaged_is_told_by_the_name_of_the_file(shelf):
    card = shelf / "both-tiny" / "MODEL_CARD.md"
    card.write_bytes(card.read_bytes().replace(b"Tiny", b"Tany"))
    with pytest.raises(IntegrityError, match=r"both-tiny/MODEL_CARD\.md does not have the sha256"):
        models_list()


def models_list() -> None:
    from sciformer.catalogue import overview

    overview()


# --- any checkpoint --------------------------------------------------------------------------------------


def test_info_says_what_a_backbone_has_learned(foundation_path, capsys):
    main(["info", str(foundation_path)])
    said = capsys.readouterr().out
    assert said.startswith("Tiny backbone: domains molecule, protein, sciformer ")
    assert "it answers nothing before sciformer train RECIPE --start.checkpoint fine-tunes it" in said
    assert "  masked_protein: reconstruct of 20 records of nowhere" in said
    assert "Trained for 7 steps in 0.1 minutes. Licence: cc-by-4.0" in said
    model = sciformer.load(foundation_path, domain="protein").members[0].model
    assert f"Backbone of {sum(x.numel() for x in model.parameters()):,} parameters" in said


@pytest.mark.parametrize("command", ["predict", "evaluate", "residues", "forecast"])
def test_commands_that_answer_refuse_a_backbone_with_the_remedy(command, foundation_path, table_file, tmp_path, capsys):
    fails(command, str(foundation_path), str(table_file), "-o", str(tmp_path / "o.csv"))
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{foundation_path} is a pretrained backbone, which answers nothing yet: fine-tune it first" in line
    assert line.endswith(f"sciformer train RECIPE --start.checkpoint {foundation_path}")
    assert not (tmp_path / "o.csv").exists()


def test_in_python_a_backbone_says_that_it_answers_nothing(foundation_path):
    backbone = sciformer.load(foundation_path, domain="molecule")
    for use in (backbone.predict, backbone.forecast, backbone.residues):
        with pytest.raises(TypeError, match=r"answers nothing before it is fine-tuned: \.embed"):
            use(["CCO"])


def test_a_checkpoint_is_pushed_from_the_command_line(foundation_path, monkeypatch, capsys):
    from sciformer import hub

    asked = []
    monkeypatch.setattr(hub, "push", lambda *args, **options: asked.append((args, options)) or "hf://lab/mine")
    main(["models", "push", str(foundation_path), "lab/mine", "--licence", "cc0-1.0"])
    assert asked == [((foundation_path, "lab/mine"), {"licence": "cc0-1.0", "private": False})]
    assert capsys.readouterr().out == "Published hf://lab/mine\n"
