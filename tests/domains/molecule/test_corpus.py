"""Molecules for pretraining: every structure once, and none that is tested elsewhere."""

import pytest

from sciformer.domains.molecule.corpus import MoleculeCorpus
from sciformer.domains.molecule.reader import read
from sciformer.domains.molecule.scaffold import structure, uncharged


@pytest.fixture
def corpus(tmp_path):
    """Makes a corpus of some SMILES, apart from others."""

    def make(*smiles: str, apart: tuple[str, ...] = (), **options):
        path = tmp_path / "corpus.smi"
        path.write_text("".join(f"{line}\n" for line in smiles))
        if apart:
            (tmp_path / "tested.csv").write_text("smiles,y\n" + "".join(f"{line},1\n" for line in apart))
            options["apart"] = str(tmp_path / "tested.csv")
        return MoleculeCorpus(source=str(path), **options)

    return make


def kept(data) -> list[str]:
    return [structure(record) for record in data.records if record.ok]


def test_a_structure_that_is_written_in_many_ways_is_there_once(corpus):
    data = corpus("CCO", "OCC", "C(C)O", "C[C@H](N)O", "C[C@@H](N)O", "c1ccccc1").load()
    assert kept(data) == ["CCO", "CC(N)O", "c1ccccc1"]
    assert data.notes == ("3 molecules are copies of others: left out",)
    assert data.targets == ()
    assert not data.simulated


def test_what_is_tested_elsewhere_is_left_out_in_any_form(corpus):
    data = corpus(
        "CCO", "CC(=O)[O-]", "C[NH3+]", "C[C@@H](F)Cl", "c1ccccc1", "OCC",
        apart=("OCC", "CC(=O)O", "CN", "C[C@H](F)Cl", "not a molecule"),
    ).load()  # fmt: skip
    assert kept(data) == ["c1ccccc1"]
    told = [note.split(" ", 2)[:2] for note in data.notes]
    assert told == [["4", "molecules"], ["1", "molecules"]]
    assert "tested.csv: left out" in data.notes[0]


def test_several_sets_are_left_out(corpus, tmp_path):
    for name, smiles in (("a", "CCO"), ("b", "CCN")):
        (tmp_path / f"{name}.smi").write_text(smiles + "\n")
    both = ", ".join(str(tmp_path / f"{name}.smi") for name in "ab")
    data = MoleculeCorpus(source=corpus("CCO", "CCN", "CCC").source, apart=both).load()
    assert kept(data) == ["CCC"]


def test_molecules_of_a_data_card_are_left_out(corpus, mirror, monkeypatch, tmp_path):
    monkeypatch.setenv("SCIFORMER_CACHE", str(tmp_path / "cache"))
    path = corpus("ClC(Cl)(Cl)Cl", "c1ccccc1", "CCCCC[Si](C)(C)C").source
    data = MoleculeCorpus(source=path, apart="esol").load()
    assert kept(data) == ["CCCCC[Si](C)(C)C"]
    assert data.notes == ("2 molecules are in esol: left out",)


def test_large_molecules_are_not_read_but_are_told_from_the_tested_all_the_same(corpus):
    data = corpus("C" * 20, "CCO", max_atoms=10).load()
    assert [record.ok for record in data.records] == [False, True]
    assert "20 atoms" in data.records[0].problem
    assert kept(corpus("C" * 20, "CCO", apart=("C" * 20,), max_atoms=128).load()) == ["CCO"]


def test_unreadable_rows_stay_and_say_why(corpus):
    data = corpus("CCO", "C1CC", "C1CC", "CCN").load()
    assert [record.ok for record in data.records] == [True, False, False, True]
    assert all(record.problem for record in data.records[1:3])
    assert data.notes == ()


def test_only_the_first_rows_are_read(corpus):
    assert kept(corpus("CCO", "OCC", "CCN", "CCC", rows=3).load()) == ["CCO", "CCN"]
    with pytest.raises(ValueError, match=r"data\.rows must be 0 \(all\) or a number of rows, got -1"):
        corpus("CCO", rows=-1)


@pytest.mark.parametrize("field", ["source", "apart"])
def test_a_data_card_of_another_domain_is_refused(field, corpus):
    options = {"source": corpus("CCO").source, field: "avgfp"}
    with pytest.raises(ValueError, match="the data card 'avgfp' belongs to the domain 'protein', not to molecules"):
        MoleculeCorpus(**options).load()


@pytest.mark.parametrize("field", ["source", "apart"])
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "does not exist"),
        ("empty.csv", b"", "is empty; it needs one row per molecule"),
        ("wrong.csv", b"x,y\nhello,1\n", "no column is known to hold SMILES"),
        ("binary.csv", b"smiles,y\n\x00\x01\x02", "is binary"),
        ("zinc_smile", None, "zinc_smile"),
    ],
)
def test_a_file_that_is_none_is_told(field, name, content, message, corpus, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    options = {"source": corpus("CCO").source, field: str(tmp_path / name)}
    with pytest.raises((ValueError, OSError), match=message):
        MoleculeCorpus(**options).load()


def test_the_column_of_the_smiles_may_be_named(tmp_path):
    (tmp_path / "a.csv").write_text("smiles,other\nCCO,CCN\n")
    assert kept(MoleculeCorpus(source=str(tmp_path / "a.csv"), smiles="other").load()) == ["CCN"]


def test_a_column_cannot_split_a_corpus(corpus):
    with pytest.raises(ValueError, match="split at random or by scaffold, not by a column"):
        corpus("CCO").load("part")


@pytest.mark.parametrize(
    ("charged", "neutral"),
    [("CC(=O)[O-]", "CC(=O)O"), ("C[NH3+]", "CN"), ("[NH3+]CC(=O)[O-]", "NCC(=O)O"), ("C[N+](C)(C)C", "C[N+](C)(C)C")],
)
def test_an_acid_and_its_anion_are_one(charged, neutral):
    first, second = (next(read([smiles])) for smiles in (charged, neutral))
    assert uncharged(first) == uncharged(second) == structure(second)
