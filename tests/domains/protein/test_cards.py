"""The data cards of proteins are read as they say."""

from collections import Counter

import numpy as np
import pytest

import sciformer.data as data
from sciformer.domains.protein.adapter import Protein
from sciformer.domains.protein.data import ProteinData


@pytest.mark.parametrize(
    ("part", "train", "validation", "test"),
    [("", 2691, 299, 5743), ("one_vs_rest", 25, 3, 8705), ("low_vs_high", 4580, 509, 3644)],
)
def test_gb1_is_divided_as_flip_says(mirror, part, train, validation, test):
    found = ProteinData(source="flip_gb1", part=part, substitutions=True).load("set")
    assert Counter(found.labels.values()) == {"train": train, "validation": validation, "test": test}
    names = {name for record in found.records for name in found.adapter.token_names(record)[1:]}
    assert {name[:-1] for name in names} == {"V39", "D40", "G41", "V54"}
    assert len(names) == 4 * 19


def test_the_parts_of_gb1_are_the_same_rows(mirror):
    parts = [data.load("flip_gb1", part) for part in data.card("flip_gb1").parts]
    assert all(part[["sequence", "target"]].equals(parts[0][["sequence", "target"]]) for part in parts)
    wild_type = data.card("flip_gb1").read["wild_type"]
    assert parts[0].set_index("sequence")["target"][wild_type] == 1.0


def test_variants_of_avgfp_agree_with_the_wild_type_of_the_card(mirror):
    table, read = data.load("avgfp"), data.card("avgfp").read
    said = {(int(text[1:-1]), text[0]) for variant in table["variant"] for text in variant.split(",")}
    assert said == {(i, letter) for i, letter in enumerate(read["wild_type"]) if i not in (0, 117, 118, 236)}
    adapter = Protein(wild_type=read["wild_type"], first=read["first"], substitutions=True)
    records = list(adapter.read(table.head(500), variant="variant"))
    assert adapter.token_names(records[1])[1:] == table["variant"][1].split(",")


def test_states_of_residues_that_are_not_resolved_are_unknown(mirror):
    card, table = data.card("flip_secondary_structure"), data.load("flip_secondary_structure")
    assert Counter(zip(table["SET"], table["VALIDATION"], strict=True)) == {
        ("train", "False"): 9712,
        ("train", "True"): 1080,
        ("test", "False"): 364,
    }
    tested = Protein(labels={"structure": ["C", "E", "H"]}).read(table[table["SET"] == "test"], **card.read)
    states = np.concatenate([record.data.labels["structure"] for record in tested])
    known = states[~np.isnan(states)]
    assert len(states) - len(known) == 9139
    assert np.bincount(known.astype(int)) / len(known) == pytest.approx([0.386, 0.230, 0.384], abs=5e-4)


def test_proteins_that_are_tested_are_known_to_be_in_the_training_file_too(mirror):
    found = ProteinData(source="esol_proteins").load("set")
    groups = {part: {r.group for r in found.records if found.labels[r.key] == part} for part in ("train", "test")}
    assert len(groups["train"] & groups["test"]) == 8
