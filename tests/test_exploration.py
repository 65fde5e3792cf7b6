"""What commands tell of a backbone: vectors of records, and effects of substitutions."""

import numpy as np
import pandas as pd
import pytest

import sciformer
from sciformer.cli import main


@pytest.fixture(scope="module")
def backbone(foundation_path):
    return sciformer.load(foundation_path, domain="protein", device="cpu")


def fails(*args: str) -> None:
    """A command ends with an error, in one line."""
    with pytest.raises(SystemExit) as end:
        main(list(args))
    assert end.value.code == 1


def test_a_backbone_embeds_the_records_of_the_domain_that_is_named(
    foundation_path, finished_run, table_file, tmp_path, capsys
):
    out = str(tmp_path / "e.csv")
    main(["embed", str(foundation_path), str(table_file), "-o", out, "--domain", "molecule"])
    table = pd.read_csv(out)
    assert list(table.columns) == ["record", *map(str, range(16)), "status"]
    assert "68 rows of 16 numbers, 2 unreadable" in capsys.readouterr().out
    fails("embed", str(foundation_path), str(table_file), "-o", out)
    assert "this backbone reads several domains, molecule, protein: say which" in capsys.readouterr().err
    fails("embed", str(finished_run / "checkpoint"), str(table_file), "-o", out, "--domain", "protein")
    assert "this model reads the domain 'molecule', not 'protein'" in capsys.readouterr().err
    fails("embed", str(foundation_path), str(table_file), "-o", out, "--domain", "climate")
    assert "does not read the domain 'climate'; it reads molecule, protein" in capsys.readouterr().err


def test_effects_are_written_from_the_command_line(foundation_path, backbone, tmp_path, capsys):
    (tmp_path / "wild.fasta").write_text(">wild\nMKTXAYW\n")
    args = ["mutate", str(foundation_path), str(tmp_path / "wild.fasta"), "--domain", "protein"]
    main([*args, "-o", str(tmp_path / "m.csv")])
    table = pd.read_csv(tmp_path / "m.csv")
    np.testing.assert_allclose(table["effect"], backbone.scan(["MKTXAYW"])["effect"], atol=1e-4)
    said = capsys.readouterr().out
    assert "Note: effects are log odds of a backbone that has met no measured effect" in said
    assert "Note: 1 site without effects: X4" in said
    assert "  log odds [nat]: up " in said
    assert "134 substitutions at 7 sites of" in said
    main([*args, "-o", str(tmp_path / "s.csv"), "--sites", "M1,K2"])
    assert len(pd.read_csv(tmp_path / "s.csv")) == 38


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--domain", "protein", "--level", "0.8"), "without intervals: leave --level out"),
        ((), "reads several domains, molecule, protein: say which"),
    ],
)
def test_what_cannot_be_asked_of_a_backbone_is_one_line(options, message, foundation_path, tmp_path, capsys):
    (tmp_path / "wild.fasta").write_text(">wild\nMKT\n")
    with pytest.raises(SystemExit):
        main(["mutate", str(foundation_path), str(tmp_path / "wild.fasta"), "-o", str(tmp_path / "m.csv"), *options])
    assert message in capsys.readouterr().err
