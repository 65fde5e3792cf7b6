"""Names of columns as users tell them."""

import pandas as pd
import pytest

from sciformer.data.targets import column_names


@pytest.mark.parametrize(
    ("told", "names"),
    [
        ("", []),
        (" a , b,, ", ["a", "b"]),
        (["a,b", "c"], ["a,b", "c"]),
        ("logS, mol/L", ["logS, mol/L"]),
        ("logS, mol/L, a", ["logS", "mol/L", "a"]),
    ],
)
def test_columns_are_separated_by_commas_unless_one_is_called_so_as_a_whole(told, names):
    assert column_names(told, pd.DataFrame(columns=["logS, mol/L"])) == names


def test_without_a_table_every_comma_separates():
    assert column_names("logS, mol/L") == ["logS", "mol/L"]
