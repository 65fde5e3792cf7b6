"""Columns become vectors: what is observed counts, what is hidden does not."""

import torch
from torch.testing import assert_close

from sciformer.nn.embed import ColumnEmbedder, PairBias, PairCensus
from sciformer.tokens import Category, Schema, Tokens, Value, pack, pad

SCHEMA = Schema(ids=(Category("a", 3), Category("b", 4)), values=(Value("v", scale="none"), Value("w", scale="none")))


def tokens() -> Tokens:
    ids = torch.tensor([[1, 3], [2, 0]])
    observed = torch.tensor([[True, True], [True, False]])
    return pad([Tokens.of("toy", ids=ids, values=torch.tensor([[2.0, -1.0], [3.0, 9.0]]), observed=observed)])


def test_a_token_is_the_sum_of_its_columns():
    embed = ColumnEmbedder(SCHEMA, 8)
    table, value, missing = embed.ids.weight, embed.value, embed.missing
    expected = torch.stack(
        [
            table[1] + table[3 + 3] + 2 * value[0] - value[1],
            table[2] + table[3 + 0] + 3 * value[0] + missing[1],
        ]
    )
    assert_close(embed(tokens())[0], expected)


def test_a_number_that_was_not_observed_cannot_matter():
    embed, given = ColumnEmbedder(SCHEMA, 8), tokens()
    other = given.replace(values=torch.where(given.observed, given.values, 1e6))
    assert torch.equal(embed(other), embed(given))


def test_an_observed_zero_differs_from_a_missing_value():
    embed, given = ColumnEmbedder(SCHEMA, 8), tokens()
    seen = given.replace(observed=torch.ones_like(given.observed))
    assert not torch.equal(embed(seen)[0, 1], embed(given)[0, 1])


def test_columns_of_one_kind_alone_are_enough():
    ids = ColumnEmbedder(Schema(ids=SCHEMA.ids), 8)(pad([Tokens.of("toy", ids=torch.ones(2, 2, dtype=torch.long))]))
    values = ColumnEmbedder(Schema(values=SCHEMA.values), 8)(pad([Tokens.of("toy", values=torch.ones(2, 2))]))
    assert ids.shape == values.shape == (1, 2, 8)
    assert values.any()


def test_pair_bias_starts_neutral_and_adds_up_its_columns():
    bias = PairBias((Category("bond", 4), Category("hops", 5)), depth=3, heads=2)
    pair = torch.stack([torch.randint(4, (2, 6, 6)), torch.randint(5, (2, 6, 6))], -1).to(torch.uint8)
    assert not bias(pair).any()
    for table in bias.tables:
        torch.nn.init.normal_(table.weight)
    found = bias(pair)
    assert found.shape == (3, 2, 2, 6, 6)
    first, second = (table.weight.view(-1, 3, 2) for table in bias.tables)
    bond, hops = pair[1, 4, 5].tolist()
    assert_close(found[:, 1, :, 4, 5], first[bond] + second[hops])


def test_a_census_counts_pairs_by_kind_and_leaves_out_what_is_no_pair():
    census = PairCensus((Category("bond", 3), Category("hops", 4)), 8)
    pair = torch.zeros(1, 3, 3, 2, dtype=torch.uint8)
    pair[0, 0, :2, 0] = 2  # the first token has two bonds of kind 2 and one pair at distance 3
    pair[0, 0, 1, 1] = 3
    found = census(pair)
    expected = torch.log1p(torch.tensor(2.0)) * census.tables[0].weight[:, 1]
    expected = expected + torch.log1p(torch.tensor(1.0)) * census.tables[1].weight[:, 2]
    assert_close(found[0, 0], expected)
    assert not found[0, 1:].any()


# --- columns that say nothing, or not yet ----------------------------------------------------------------


def test_a_column_that_is_not_embedded_is_not_read():
    label = Category("label", 5, embedded=False)
    schema = Schema(ids=(Category("a", 3), label, Category("b", 4)), values=SCHEMA.values)
    torch.manual_seed(0)
    plain = ColumnEmbedder(SCHEMA, 8)
    torch.manual_seed(0)
    labelled, given = ColumnEmbedder(schema, 8), tokens()
    for told in (0, 4):
        ids = torch.cat([given.ids[..., :1], torch.full((1, 2, 1), told), given.ids[..., 1:]], -1)
        assert torch.equal(labelled(given.replace(ids=ids)), plain(given))


def test_a_silent_category_says_nothing_before_training_has_met_it():
    schema = Schema(ids=(Category("a", 3), Category("rare", 6, silent=True)))
    torch.manual_seed(0)
    embed = ColumnEmbedder(schema, 8)
    assert embed.ids.weight[:3].all()
    assert not embed.ids.weight[3:].any()
    optimizer = torch.optim.AdamW(embed.parameters(), lr=0.1, weight_decay=0.5)
    met = pad([Tokens.of("toy", ids=torch.tensor([[1, 2], [2, 5]]))])
    for _ in range(3):
        optimizer.zero_grad()
        embed(met).sum().backward()
        optimizer.step()
    said = embed.ids.weight[3:].any(-1)
    assert said.tolist() == [False, False, True, False, False, True]


def test_what_is_seen_makes_up_for_what_is_hidden_record_by_record():
    schema = Schema(ids=(Category("letter", 5),))
    torch.manual_seed(0)
    plain, made_up = ColumnEmbedder(schema, 8), ColumnEmbedder(schema, 8, dropped=0.12)
    made_up.load_state_dict(plain.state_dict())
    ids = [[1, 0, 2, 3], [4, 4, 0], [0], [1, 2]]  # id 0 is hidden
    rows = [Tokens.of("toy", ids=torch.tensor(x).unsqueeze(-1)) for x in ids]
    alone = pad(rows)
    shares = torch.tensor([3 / 4, 2 / 3, 1.0, 1.0])
    expected = plain(alone) * (0.88 / shares)[:, None, None] * (alone.ids > 0)
    assert_close(made_up(alone)[alone.exists], expected[alone.exists])
    packed = pad([pack(rows)])
    assert_close(made_up(packed)[0], made_up(alone)[alone.exists])
