"""Every data card is complete and true of its files; files are checked whatever way they came."""

import hashlib
import io
import os
import zipfile

import pytest

import sciformer.data as data
from sciformer.data import cards

NAMES = cards.names()
GRIDS = ("ersst", "era5_cities", "wfde5_uk", "cru_temperature", "darwin_soi")
RAW = ("debosscher_raw", "snpcc_raw", "stripe82_raw", "supernnova_des", *GRIDS)
"""Cards of files that only the reader of a domain can read."""
REAL = pytest.mark.skipif(not os.environ.get("SCIFORMER_MIRROR"), reason="SCIFORMER_MIRROR is not set: no real data")
CONTENT = b"smiles,y\nCCO ,1\nC#N,2\n"
HEAD = """\
---
name: tiny
title: Tiny
domain: molecule
task: regression
rows: 2
licence: none
citation: none
split: random
files:
  - {url: "%s", sha256: %s, bytes: 22}
columns:
  - {name: smiles, role: input, meaning: SMILES}
  - {name: y, role: target, kind: regression, unit: kcal/mol, meaning: a number}
%s---
Prose.
"""


def write(folder, url="https://nowhere.invalid/a/tiny.csv", content=CONTENT, more=""):
    path = folder / "tiny.md"
    path.write_text(HEAD % (url, hashlib.sha256(content).hexdigest(), more))
    return path


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A card of our own, an empty cache and an empty mirror; returns cache and mirror."""
    for name in ("cards", "cache", "mirror"):
        (tmp_path / name).mkdir()
    write(tmp_path / "cards")
    monkeypatch.setattr(cards, "_folder", lambda: tmp_path / "cards")
    monkeypatch.setenv("SCIFORMER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SCIFORMER_MIRROR", str(tmp_path / "mirror"))
    return (
        tmp_path / "cache" / "nowhere.invalid/a/tiny.csv",
        tmp_path / "mirror/mirror/nowhere.invalid/a/tiny.csv",
    )


def put(path, content=CONTENT):
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


def test_the_expected_cards_are_there():
    expected = (
        "bace bbbp clintox debosscher debosscher_raw esol esol_splits freesolv lipophilicity photoswitch snpcc "
        "snpcc_raw stripe82_raw stripe82_rrlyrae supernnova_des tox21 zinc_smiles"
    )
    assert set(expected.split()) <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_card_is_complete(name):
    card = cards.card(name)
    assert card.prose.startswith("# ")
    assert card.traps
    assert f'{"fetch" if name in RAW else "load"}("{name}")' in card.prose
    assert [target.label for target in card.targets()] == [
        f"{c.name} [{c.unit}]" if c.unit else c.name for c in card.roles("target")
    ]


@REAL
@pytest.mark.parametrize("name", RAW)
def test_card_of_raw_files_is_true_of_them(name):
    from sciformer.discovery import adapter_class

    card, paths = cards.card(name), data.fetch(name)
    assert [path.stat().st_size for path in paths] == [file.bytes for file in card.files]
    records = list(adapter_class(card.domain)().read(paths, targets=card.targets(), **card.read))
    assert len({record.key for record in records}) == card.rows
    assert all(record.ok and len(record.targets) == len(card.targets()) for record in records)


@REAL
@pytest.mark.parametrize("name", sorted(set(NAMES) - set(RAW)))
def test_card_is_true_of_its_files(name):
    card, paths, table = cards.card(name), data.fetch(name), data.load(name)
    assert [path.stat().st_size for path in paths] == [file.bytes for file in card.files]
    assert len(table) == card.rows
    assert {column.name for column in card.columns} <= set(table.columns)
    for target in card.targets():
        known = table[target.name].dropna()
        labels = known.map(lambda x: x if isinstance(x, str) else f"{x:g}")
        assert labels.isin(target.classes).all() if target.classes else known.dtype == float
    for label in card.roles("label"):
        assert set("".join(table[label.name])) == set(label.classes)
    for column in card.roles("id"):
        assert table[column.name].is_unique
        for part in card.parts[1:]:
            assert set(data.load(name, part)[column.name]) <= set(table[column.name])


@REAL
def test_triple_bonds_are_not_comments():
    assert data.load("freesolv")["smiles"].str.contains("#", regex=False).sum() == 18


def test_files_are_found_in_the_cache_then_in_the_mirror(tiny):
    cached, mirrored = tiny
    put(mirrored)
    assert data.fetch("tiny") == [mirrored]
    assert not cached.exists()
    put(cached)
    assert data.fetch("tiny") == [cached]
    assert data.load("tiny").to_dict("list") == {"smiles": ["CCO", "C#N"], "y": [1, 2]}


def test_a_mirror_that_is_not_there_is_told_before_anything_is_downloaded(tiny, tmp_path, monkeypatch):
    both = os.pathsep.join([str(tmp_path / "none"), str(tmp_path / "mirror")])
    monkeypatch.setenv("SCIFORMER_MIRROR", both)
    with pytest.raises(data.FetchError, match=r"SCIFORMER_MIRROR names .*none, which is no folder.*or unset it"):
        data.fetch("tiny")
    put(tiny[1])
    assert data.fetch("tiny") == [tiny[1]]


@pytest.mark.parametrize(("place", "remedy"), [(0, "delete it"), (1, "take .*mirror out of SCIFORMER_MIRROR")])
def test_altered_files_are_refused_by_name(tiny, place, remedy):
    put(tiny[place], CONTENT + b"\n")
    with pytest.raises(
        data.HashError, match=rf"tiny\.csv is not the file.*expected sha256 \w{{64}}, got \w{{64}}.*{remedy}"
    ):
        data.fetch("tiny")


def test_offline_error_names_url_cache_path_and_mirror(tiny, monkeypatch):
    import requests

    def offline(*args, **kwargs):
        raise requests.ConnectionError("no route")

    monkeypatch.setattr(requests, "get", offline)
    with pytest.raises(data.FetchError) as caught:
        data.fetch("tiny")
    message = str(caught.value)
    assert "https://nowhere.invalid/a/tiny.csv" in message
    assert str(tiny[0]) in message
    assert "SCIFORMER_MIRROR" in message
    assert list(tiny[0].parent.iterdir()) == []


class Response:
    """What ``requests.get`` gives, with a body that may break off."""

    def __init__(self, chunks):
        self.chunks, self.headers = chunks, {}

    def __enter__(self):
        return self

    def __exit__(self, *args):
        return None

    def raise_for_status(self):
        return None

    def close(self):
        return None

    def iter_content(self, chunk_size=1):
        for chunk in self.chunks:
            if isinstance(chunk, BaseException):
                raise chunk
            yield chunk


@pytest.mark.parametrize(
    ("chunks", "error"),
    [
        ([b"<html>not found</html>"], data.HashError),
        ([CONTENT[:5], ConnectionResetError("gone")], data.FetchError),
        ([CONTENT[:5], KeyboardInterrupt()], KeyboardInterrupt),
    ],
)
def test_wrong_and_broken_downloads_leave_nothing_behind(tiny, monkeypatch, chunks, error):
    monkeypatch.setattr("requests.get", lambda *args, **kwargs: Response(chunks))
    with pytest.raises(error):
        data.fetch("tiny")
    assert list(tiny[0].parent.iterdir()) == []


def test_a_good_download_lands_in_the_cache(tiny, monkeypatch):
    monkeypatch.setattr("requests.get", lambda *args, **kwargs: Response([CONTENT]))
    assert data.fetch("tiny") == [tiny[0]]
    assert tiny[0].read_bytes() == CONTENT


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"no data card named 'esool'; known: .*esol"):
        cards.card("esool")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title: Tiny\n", "", "field 'title' is missing"),
        ("rows: 2", "rows: many", "field 'rows' must be a whole number, got 'many'"),
        ("rows: 2", "rows: -2", "field 'rows' must be positive, got -2"),
        ("rows: 2", "rowz: 2", "unknown field 'rowz'"),
        ("sha256: ", "sha256: x", r"field 'files\[0\].sha256' must be 64 hexadecimal digits"),
        ("https://", "file://", r"field 'files\[0\].url' must be an https address"),
        ("role: target", "role: answer", r"field 'columns\[1\].role' must be one of"),
        (
            "bytes: 22",
            "bytes: 22, members: {a: b.csv}",
            r"field 'files\[0\].members' must name the files inside of a .zip",
        ),
        ("bytes: 22", "bytes: 22, marks: train", r"field 'files\[0\].marks' must be a mapping"),
        ("title: Tiny", "title: Tiny\ntable: {index: y}", "field 'table' may have sep, comment, names and join"),
        ("kind: regression, ", "", r"field 'columns\[1\].kind' must be one of"),
        ("kind: regression", "kind: binary", r"field 'columns\[1\].classes' must list"),
        ("name: y", "name: smiles", "field 'columns' must have different names"),
        ("name: tiny", "name: huge", "field 'name' must be the file's name 'tiny'"),
        ("licence: none", "licence: [", "cannot be parsed"),
        ("licence: none", "licence: !!python/object:os.system x", "cannot be parsed"),
        ("---\n", "", "begins with a YAML head"),
    ],
)
def test_bad_cards_name_file_and_field(tmp_path, old, new, message):
    path = write(tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"tiny\.md: .*{message}"):
        cards.parse(path)


def test_a_prepared_file_without_address_says_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIFORMER_CACHE", str(tmp_path))
    monkeypatch.delenv("SCIFORMER_MIRROR", raising=False)
    with pytest.raises(
        data.FetchError, match=r"no public address: put the file at .*prepared/molecules/esol_splits\.csv"
    ):
        data.fetch("esol_splits")


def test_a_part_that_a_card_does_not_have_is_named():
    with pytest.raises(ValueError, match="'esol' has no files of part 'observations'; parts: none"):
        data.load("esol", "observations")


def archive(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for name, text in members.items():
            made.writestr(name, text)
    return stream.getvalue()


def test_members_of_an_archive_are_parts_and_are_joined_where_the_card_says_so(tiny, tmp_path):
    content = archive({"in/a.csv": "smiles,y\nCCO,1\nC#N,2\n", "in/state.fasta": ">C#N SET=test\nHH\n>CCO\nEE E\n"})
    members = f"bytes: {len(content)}, members: {{first: in/a.csv, state: in/state.fasta}}"
    card = write(tmp_path / "cards", url="https://nowhere.invalid/a/tiny.zip", content=content)
    card.write_text(card.read_text().replace("bytes: 22", members))
    put(tmp_path / "mirror/mirror/nowhere.invalid/a/tiny.zip", content)
    assert data.load("tiny").to_dict("list") == {"smiles": ["CCO", "C#N"], "y": [1, 2]}
    assert data.load("tiny", "state")["state"].tolist() == ["HH", "EEE"]
    with pytest.raises(ValueError, match="'tiny' has no files of part 'other'; parts: first, state"):
        data.load("tiny", "other")
    fasta = archive({"in/a.csv": "id,y\nCCO,1\nC#N,2\n", "in/state.fasta": ">C#N SET=test\nHH\n>CCO\nEE E\n"})
    text = card.read_text().replace(hashlib.sha256(content).hexdigest(), hashlib.sha256(fasta).hexdigest())
    card.write_text(text.replace("title: Tiny", "title: Tiny\ntable: {join: id}"))
    put(tmp_path / "cache/nowhere.invalid/a/tiny.zip", fasta)
    joined = data.load("tiny")
    assert joined[["id", "y", "state"]].values.tolist() == [["CCO", 1, "EEE"], ["C#N", 2, "HH"]]
    assert joined["SET"].fillna("").tolist() == ["", "test"]


def test_what_upstream_says_by_the_name_of_a_file_is_a_column(tiny):
    cached, _ = tiny
    put(cached)
    card = cards._folder() / "tiny.md"
    file = f'  - {{url: "https://nowhere.invalid/a/tiny.csv", sha256: {hashlib.sha256(CONTENT).hexdigest()}, bytes: 22'
    assert file + "}" in card.read_text()
    card.write_text(
        card.read_text().replace(file + "}", f"{file}, marks: {{set: train}}}}\n{file}, marks: {{set: test}}}}")
    )
    assert data.load("tiny")["set"].tolist() == ["train", "train", "test", "test"]


def test_a_source_is_a_card_unless_there_is_such_a_file(tmp_path, monkeypatch):
    found = cards.meant("esol", "molecule", "molecules")
    assert found is not None
    assert found.name == "esol"
    assert cards.meant("nothing", "molecule", "molecules") is None
    with pytest.raises(ValueError, match="'esol' belongs to the domain 'molecule', not to proteins"):
        cards.meant("esol", "protein", "proteins")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "esol").mkdir()
    assert cards.meant("esol", "protein", "proteins") is None
    cards.check_file("esol")


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        ("esoll", "did you mean 'esol'"),
        ("simulate", "did you mean 'simulated'"),
        ("zzzzzz", "`sciformer data list` names the cards"),
    ],
)
def test_what_is_no_file_and_no_card_is_refused_with_what_is_spelt_alike(source, hint):
    with pytest.raises(FileNotFoundError, match=f"no file and no data card '{source}'; {hint}"):
        cards.check_file(source, "simulated")
    cards.check_file(f"{source}.csv")  # the reader says what is wrong with it
