"""Whatever a biologist's file contains, every row comes back: as a protein or with a reason in one line."""

import gzip
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd
import pytest
from Bio.Seq import Seq
from Bio.SeqRecord import SeqRecord

from sciformer.adapter import Record
from sciformer.domains.protein import reader
from sciformer.tokens import Target

WILD = "MKVLAAGIC"
SS = Target("ss", "multiclass", classes=("H", "E", "C"))
YES = Target("binds", "binary", classes=("0", "1"))
DEPTH = Target("depth")


def read(source: object, **options: object) -> list[Record]:
    return list(reader.read(source, **options))


def residues(source: object, **options: object) -> list[str]:
    records = read(source, **options)
    assert [record.problem for record in records] == [""] * len(records)
    return [record.data.residues for record in records]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pdb(x: float = 0.0) -> str:
    rows = enumerate(("MET", "LYS", "VAL"), start=1)
    line = "ATOM  {0:>5}  CA  {1} A{0:>4}    {2:8.3f}   0.000   0.000  1.00  0.00           C\n"
    return "".join(line.format(i, name, x + 3.8 * i) for i, name in rows)


@pytest.fixture
def mirror(mirror: Path) -> Path:
    return mirror / "mirror" / "raw.githubusercontent.com"


# --- sources ---------------------------------------------------------------------------------------------


def test_every_source_gives_the_same_records(tmp_path: Path):
    sequences = ["MKVLA", "MKV"]
    table = pd.DataFrame({"id": ["a", "b"], "sequence": sequences})
    table.to_parquet(tmp_path / "x.parquet")
    csv, fasta = table.to_csv(index=False), ">a\nMKVLA\n>b\nMK\nV\n"
    named = [
        table,
        write(tmp_path, "x.csv", csv),
        write(tmp_path, "y.csv.gz", gzip.compress(b"\xef\xbb\xbf" + csv.replace("\n", "\r\n").encode())),
        write(tmp_path, "x.tsv", table.to_csv(index=False, sep="\t")),
        write(tmp_path, "s.txt", table.to_csv(index=False, sep=";")),
        tmp_path / "x.parquet",
        str(write(tmp_path, "x.fasta", fasta)),
        write(tmp_path, "x.aln.fasta.gz", gzip.compress(fasta.encode())),
        write(tmp_path, "f.txt", fasta),
        [SeqRecord(Seq(text), id=key) for key, text in zip("ab", sequences, strict=True)],
    ]
    for source in named:
        assert [(r.key, r.data.residues, r.group) for r in read(source)] == [
            ("a", "MKVLA", "MKVLA"),
            ("b", "MKV", "MKV"),
        ]
    for source in (sequences, tuple(sequences), pd.Series(sequences), np.array(sequences), map(Seq, sequences)):
        assert [(r.key, r.data.residues) for r in read(source)] == [("1", "MKVLA"), ("2", "MKV")]
    for source in ("MKVLA", Seq("MKVLA"), SeqRecord(Seq("MKVLA"))):
        assert residues(source) == ["MKVLA"]


def test_policy_for_letters():
    assert residues(["mkvla", "MKVLA*", "MK-V.LA-", "MKVLA KLM\n", "UOBZJX", "MK*LA"]) == [
        *("MKVLA", "MKVLA", "MKVLA", "MKVLAKLM", "UOBZJX", "MK*LA"),
    ]


def test_columns_of_an_alignment_are_places():
    (record,) = read("--MK V-LA*", aligned=True)
    assert record.data.residues == "MKVLA"
    assert record.data.order.tolist() == [2, 3, 4, 6, 7]
    assert read("--MKV")[0].data.positions is None


def test_columns_are_found_by_name_or_named():
    table = pd.DataFrame({"Seq": ["MKV"], "mutated_sequence": ["MKL"], "mutant": ["K2R"], "x": ["AAA"]})
    assert residues(table) == ["MKV"]
    assert residues(table, sequence="x") == ["AAA"]
    assert residues(table, variant="mutant", wild_type="MKV") == ["MRV"]
    assert residues(table[["mutated_sequence", "mutant"]], wild_type="MKV") == ["MKL"]
    assert residues(table[["mutant"]], wild_type="MKV") == ["MRV"]


def test_rows_are_called_by_their_id_or_counted(tmp_path: Path):
    table = pd.DataFrame({"id": ["a", "b"], "name": ["007", "008"], "seq": ["MK", "MV"]})
    assert [r.key for r in read(table)] == ["a", "b"]
    assert [r.key for r in read(table, id="name")] == ["007", "008"]
    assert [r.key for r in read(table, id="")] == ["1", "2"]
    path = write(tmp_path, "x.csv", "id,name,seq\n01,007,MK\n")
    assert [r.key for r in read(path)] == ["01"]
    assert [r.key for r in read(path, id="name")] == ["007"]


def test_targets_are_read_from_headers_as_from_columns(tmp_path: Path):
    fasta = write(tmp_path, "x.fasta", ">a TARGET=0.5 binds=1\nMK\n>b TARGET=NA binds=0\nMV\n>c\nML\n")
    csv = write(tmp_path, "x.csv", "id,seq,TARGET,binds\na,MK,0.5,1\nb,MV,NA,0\nc,ML,,\n")
    for path in (fasta, csv):
        records = read(path, targets=(Target("TARGET"), YES))
        assert [dict(r.targets) for r in records] == [{"TARGET": 0.5, "binds": 1.0}, {"binds": 0.0}, {}]


# --- variants --------------------------------------------------------------------------------------------


def test_variants_and_sequences_of_one_wild_type_have_one_group():
    records = read(["K2R,A5*", "MRVL*AGIC", "A5*:K2R", "WT", WILD], wild_type=WILD)
    assert [r.group for r in records] == [*["K2R,A5*"] * 3, "wild type", "wild type"]
    assert records[0].data.residues == records[1].data.residues == "MRVL*AGIC"


def test_what_has_another_length_than_the_wild_type_is_no_variant_of_it():
    deleted, whole = read(["MRVLAGI", WILD], wild_type=WILD)
    assert whole.ok
    assert deleted.problem.startswith(f"7 residues, but the wild type has {len(WILD)}: give a variant of it")


def test_residues_are_called_as_the_notation_counts_them():
    (record,) = read("K31R", wild_type=WILD, first="30")
    assert record.data.numbers[:2] == ("30", "31")
    assert record.group == "K31R"
    assert read("K2R", wild_type=WILD.lower())[0].data.numbers == ()


def test_an_empty_variant_is_the_wild_type_and_a_missing_one_is_not():
    table = pd.DataFrame({"variant": ["", None, "K2R"]})
    records = read(table, wild_type=WILD)
    assert records[0].group == "wild type"
    assert records[1].problem == "missing: no variant; fill the cell or delete the row"


def test_groups_tell_long_sequences_apart():
    one, other = "MKVLAAGICR" * 5, "MKVLAAGICR" * 4 + "MKVLAAGICK"
    groups = [record.group for record in read([one, other, one, one.lower()])]
    assert groups[0] == groups[2] == groups[3] != groups[1]
    assert groups[0].startswith("MKVLAAGICRMK…")
    assert len(groups[0]) == 25


# --- what is said of every residue -----------------------------------------------------------------------


def test_labels_features_and_masks_follow_the_residues():
    table = pd.DataFrame(
        {
            "sequence": ["MKVL", "MK-V*", "MK-V*"],
            "ss": ["HE?C", "HEC", ["H", "E", None, "C", "C"]],
            "depth": ["1, 2 NA;4", [1.0, 2.0, 3.0], np.arange(5.0)],
            "mask": ["0111", None, [1, 1, 1, 0, 1]],
            "plddt": ["[0.1, 0.2, nan, 0.4]", None, [1, 2, 3, 4, 5]],
        }
    )
    one, two, three = read(table, labels=(SS, DEPTH), features=("plddt",), mask="mask")
    for record, name, known in [
        (one, "ss", [np.nan, 1, np.nan, 2]),
        (one, "depth", [np.nan, 2, np.nan, 4]),
        (two, "ss", [0, 1, 2]),
        (two, "depth", [1, 2, 3]),
        (three, "ss", [0, 1, np.nan]),
        (three, "depth", [0, 1, np.nan]),
    ]:
        assert np.array_equal(record.data.labels[name], known, equal_nan=True), (record.key, name)
    assert np.array_equal(one.data.features["plddt"], [0.1, 0.2, np.nan, 0.4], equal_nan=True)
    assert np.isnan(two.data.features["plddt"]).all()
    assert three.data.features["plddt"].tolist() == [1, 2, 4]
    assert read("MKV", labels=(SS,))[0].data.labels == {}  # nobody asks a new sequence for its answers


def test_labels_stay_text_in_files(tmp_path: Path):
    csv = write(tmp_path, "x.csv", "seq,binds,mask\nMKV,010,011\n")
    fasta = write(tmp_path, "x.fasta", ">a binds=010 mask=011\nMKV\n")
    for path in (csv, fasta):
        (record,) = read(path, labels=(YES,), mask="mask")
        assert np.array_equal(record.data.labels["binds"], [np.nan, 1, 0], equal_nan=True)


def test_a_class_may_be_called_like_what_is_unknown_or_by_several_letters():
    dssp = Target("ss", "multiclass", classes=("-", "E", "H"))
    assert read(pd.DataFrame({"seq": ["MKV"], "ss": ["-H?"]}), labels=(dssp,))[0].data.labels["ss"][:2].tolist() == [
        0,
        2,
    ]
    words = Target("ss", "binary", classes=("in", "out"))
    found = read(pd.DataFrame({"seq": ["MKV"], "ss": ["in out,in"]}), labels=(words,))[0].data.labels["ss"]
    assert found.tolist() == [0, 1, 0]


def test_letters_of_a_biopython_record_may_be_labelled():
    record = SeqRecord(Seq("MKV"), id="a", letter_annotations={"ss": "HEC"})
    assert read([record], labels=(SS,))[0].data.labels["ss"].tolist() == [0, 1, 2]


# --- structures ------------------------------------------------------------------------------------------


def test_structures_are_read_alone_listed_or_from_a_table(tmp_path: Path):
    one, two = write(tmp_path, "1abc.pdb", pdb()), write(tmp_path, "2xyz.ent.gz", gzip.compress(pdb().encode()))
    table = write(tmp_path, "x.csv", "structure,y,ss\n1abc.pdb,1.5,HEC\n2xyz.ent.gz,2.5,HE\nno.pdb,3.5,\n")
    assert [(r.key, r.data.residues) for r in read(one)] == [("1abc", "MKV")]
    assert [r.key for r in read([one, str(two)])] == ["1abc", "2xyz"]
    records = read(table, targets=(Target("y"),), labels=(SS,))
    assert [r.targets["y"] for r in records] == [1.5, 2.5, 3.5]
    assert records[0].data.labels["ss"].tolist() == [0, 1, 2]
    assert records[1].problem == "'ss' has 2 entries for 3 residues; give one for each"
    assert "no.pdb does not exist" in records[2].problem
    assert read(one, chains="A", model="1")[0].data.residues == "MKV"
    assert "1abc.pdb has no chain 'B'; chains: A" in read(one, chains="A,B")[0].problem


# --- the table behind a source, and remarks --------------------------------------------------------------


def test_the_table_has_a_row_per_record_and_cells_as_they_stand(tmp_path: Path):
    csv = write(tmp_path, "x.csv", "seq,y\nMK,1.50\nM1,NA\n")
    table = reader.table(csv, sequence="seq")
    assert table is not None
    assert table.to_numpy().tolist() == [["MK", "1.50"], ["M1", "NA"]]
    fasta = reader.table(write(tmp_path, "x.fasta", ">a\nMK\n>b\n1\n"))
    assert fasta is not None
    assert fasta["id"].tolist() == ["a", "b"]
    assert len(reader.table(write(tmp_path, "x.pdb", pdb()))) == 1  # pyright: ignore[reportArgumentType]
    assert reader.table(table) is table
    assert reader.table(["MK"]) is None


def test_remarks_count_what_is_odd(tmp_path: Path):
    records = read(["ACGTN" * 8, "acgu" * 8, "GATTACA", "MKX", "MK*L", "M1"])
    assert reader.remarks(records) == [
        "2 of 6 records have the letters A, C, G, T, U and N alone: these look like nucleotides; translate them first",
        "2 of 6 records have letters for unusual or unknown residues (U, O, B, Z, J or X)",
        "1 of 6 records has a stop (*) inside",
    ]
    twice = write(tmp_path, "x.pdb", pdb() + pdb(9).splitlines()[0])
    (remark,) = reader.remarks(read(twice))
    assert remark.startswith("x: faults of the file were passed over")
    assert len(reader.remarks(read(pd.DataFrame({"structure": [str(twice)] * 7})))) == 6
    assert reader.remarks(read(["MKVLA"])) == []


# --- real data and size ----------------------------------------------------------------------------------


def test_a_proteome_is_read_at_once(mirror: Path):
    path = next(mirror.glob("fteufel/signalp-6.0/*/data/reference_genomes/ecoli_proteins.faa"))
    begun = perf_counter()
    records = read(path)
    assert perf_counter() - begun < 10  # half a second, where nothing else runs
    assert len(records) == 4242
    assert all(record.ok for record in records)
    assert records[0].key == "NP_414542.1"
    assert len({record.group for record in records}) == len({record.data.residues for record in records})


def test_all_variants_of_a_real_scan_are_read(mirror: Path):
    wild_type = (
        "SKGEELFTGVVPILVELDGDVNGHKFSVSGEGEGDATYGKLTLKFICTTGKLPVPWPTLVTTLSYGVQCFSRYPDHMKQHDFFKSAMPEGYVQERTIFFKDDGNY"
        "KTRAEVKFEGDTLVNRIELKGIDFKEDGNILGHKLEYNYNSHNVYIMADKQKNGIKVNFKIRHNIEDGSVQLADHYQQNTPIGDGPVLLPDNHYLSTQSALSKDP"
        "NEKRDHMVLLEFVTAAGITHGMDELYK"
    )
    path = next(mirror.glob("gitter-lab/nn4dms/*/data/avgfp/avgfp.tsv"))
    table = pd.read_csv(path, sep="\t").iloc[::20]
    records = read(table, wild_type=wild_type, first=0, targets=(Target("score"),))
    assert [record.group for record in records] == table["variant"].tolist()


def test_the_longest_protein_takes_no_time():
    begun = perf_counter()
    (record,) = read("MKVLAAGICR" * 3500, aligned=True)
    assert perf_counter() - begun < 1
    assert len(record.data) == 35_000
