"""Proteins for pretraining: every sequence once, long ones in pieces, and none that is tested elsewhere."""

import pytest

from sciformer.domains.protein.corpus import ProteinCorpus


@pytest.fixture
def corpus(tmp_path):
    """Makes a corpus of some sequences, each with its species."""

    def make(*rows: tuple[str, str], **options):
        path = tmp_path / "corpus.csv"
        path.write_text("sequence,species\n" + "".join(f"{text},{species}\n" for text, species in rows))
        return ProteinCorpus(source=str(path), shortest=3, **options)

    return make


def kept(data) -> list[str]:
    return [record.data.residues for record in data.records if record.ok]


def test_a_sequence_is_there_once_and_short_ones_not_at_all(corpus):
    data = corpus(("MKTAY", "a"), ("MKTAY", "b"), ("MK", "a"), ("MSTNP", "b")).load()
    assert kept(data) == ["MKTAY", "MSTNP"]
    assert data.notes == ("1 rows repeat the sequence of another: left out",)
    assert data.targets == ()


def test_rows_are_left_out_by_what_a_column_says(corpus):
    data = corpus(("MKTAY", "mouse"), ("MSTNP", "man"), ("MAAAA", "fly"), apart={"species": "man, fly"}).load()
    assert kept(data) == ["MKTAY"]
    assert data.notes == ("2 rows are left out by species",)


def test_a_value_that_no_row_has_is_refused(corpus):
    with pytest.raises(ValueError, match=r"no row of .* has 'yeast' in column 'species'"):
        corpus(("MKTAY", "mouse"), apart={"species": "yeast"}).load()


def test_long_sequences_are_read_whole_in_pieces_of_like_length(corpus):
    text = "ACDEFGHIKLMNPQRSTVWYA"
    pieces = kept(corpus((text, "a"), longest=8).load())
    assert "".join(pieces) == text
    assert [len(piece) for piece in pieces] == [7, 7, 7]


def test_a_table_without_sequences_is_refused(tmp_path):
    (tmp_path / "other.csv").write_text("name,value\na,1\n")
    with pytest.raises(ValueError, match=r"no column of .*other\.csv is called like sequences.*name, value"):
        ProteinCorpus(source=str(tmp_path / "other.csv")).load()


def test_the_species_of_a_card_are_left_out(mirror, monkeypatch, tmp_path):
    monkeypatch.setenv("SCIFORMER_CACHE", str(tmp_path / "cache"))
    everything = ProteinCorpus(rows=50).load()
    data = ProteinCorpus(rows=50, apart={"species": "Bacillus subtilis"}).load()
    assert data.notes[0] == "4237 rows are left out by species"
    assert not set(kept(data)) & set(kept(everything))


def test_options_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="shortest must be at least 1 and at most longest, got 20 and 10"):
        ProteinCorpus(longest=10)
