"""Which records of a source can be learned from."""

import numpy as np
import pytest

from sciformer.adapter import Record
from sciformer.data.dataset import Dataset
from sciformer.domains.protein.adapter import Protein
from sciformer.domains.protein.chains import Chains
from sciformer.tokens import Target

PLAIN, LABELLED = Protein(), Protein(labels={"state": ["C", "E", "H"]})
BAD = Record(key="bad", problem="unreadable", targets={"y": 1.0})
BARE = Record(key="bare", data=Chains(residues="MK", labels={"state": np.array([np.nan, np.nan])}))
KNOWN = Record(key="known", data=Chains(residues="MK", labels={"state": np.array([0.0, np.nan])}), targets={"y": 1.0})


def dataset(adapter: Protein, targets: tuple[Target, ...]) -> Dataset:
    return Dataset(adapter=adapter, records=[BAD, BARE, KNOWN], targets=targets, source="here")


@pytest.mark.parametrize(
    ("adapter", "targets", "usable"),
    [
        (PLAIN, (Target("y"),), [False, False, True]),
        (PLAIN, (), [False, True, True]),
        (LABELLED, LABELLED.token_targets, [False, False, True]),  # the labels come with the tokens
    ],
    ids=["targets", "nothing asked", "labels of tokens"],
)
def test_a_record_must_be_readable_and_say_what_is_asked_of_records(adapter, targets, usable):
    data = dataset(adapter, targets)
    assert [data.usable(record) for record in data.records] == usable
    assert data.by_token == (adapter is LABELLED)


def test_without_answers_every_readable_record_is_usable():
    data = dataset(PLAIN, (Target("y"),)).unlabelled()
    assert [data.usable(record) for record in data.records] == [False, True, True]
    assert not any(record.targets for record in data.records)
