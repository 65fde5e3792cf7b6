"""Identity is exact place by place, and told by an alignment where lengths differ."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sciformer.adapter import Record
from sciformer.domains.protein.alphabet import LETTERS
from sciformer.domains.protein.chains import Chains
from sciformer.domains.protein.similarity import aligner, identity, nearest

LYSOZYME = "KVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRWWCNDGRTPGSRNLCNIPCSALLSSDITASVNCAKKIVSDG"
UBIQUITIN = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG"


def records(sequences) -> list[Record]:
    return [Record(key=str(i), data=Chains(residues=residues)) for i, residues in enumerate(sequences)]


@settings(deadline=None)
@given(
    st.integers(1, 6).flatmap(lambda n: st.tuples(*[st.lists(st.text("ACX", min_size=n, max_size=n), min_size=1)] * 2))
)
def test_sequences_of_one_length_are_compared_place_by_place(two):
    asked, known = two
    expected = np.array([[np.mean([a == b for a, b in zip(q, r, strict=True)]) for r in known] for q in asked])
    similarity, index = nearest(records(asked), records(known))
    np.testing.assert_allclose(similarity, expected.max(1))
    np.testing.assert_array_equal(index, expected.argmax(1))


def test_a_relative_of_another_length_is_found_and_its_identical_residues_are_counted():
    changed = "G" + LYSOZYME[1:50] + "W" + LYSOZYME[51:] + "AAAA"
    similarity, index = nearest(records([changed, LYSOZYME[:60]]), records([UBIQUITIN, LYSOZYME]))
    np.testing.assert_array_equal(index, [1, 1])
    assert similarity[0] == pytest.approx(1 - 2 / len(LYSOZYME))
    assert similarity[1] == 1.0  # a fragment


def test_unrelated_sequences_and_those_that_share_no_word_are_near_nothing():
    similarity, _ = nearest(records([LYSOZYME, "WWWWW"]), records([UBIQUITIN]))
    assert similarity[0] < 0.25
    assert similarity[1] == 0.0


def test_every_letter_can_be_aligned():
    assert identity(aligner(), LETTERS, "AAA" + LETTERS) > 0.9


def test_nothing_asked_or_nothing_known():
    similarity, index = nearest(records([LYSOZYME]), [])
    assert (similarity.tolist(), index.tolist()) == ([0.0], [-1])
    assert nearest([], records([LYSOZYME]))[0].shape == (0,)
    unreadable = Record(key="x", problem="no residues")
    assert nearest([unreadable], records([LYSOZYME]))[0].tolist() == [0.0]


def test_variants_are_as_like_as_the_substitutions_that_they_share():
    wild_type = "MKTAYIAKQR"
    asked = records(["AKTAYIAKQR", "AKTAYIAKQW", "MKTAYWWWWR", wild_type])
    known = records(["AKTAYIAKQC", "MKTAYWWWQR"])
    similarity, index = nearest(asked, known, wild_type)
    np.testing.assert_allclose(similarity, [1 / 2, 1 / 3, 3 / 4, 0])
    assert index[:3].tolist() == [0, 0, 1]
    assert nearest(asked[3:], [*known, *asked[3:]], wild_type)[0].tolist() == [1.0]
