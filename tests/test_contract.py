"""Every domain that can be found obeys every law of ``contract.py``.

The records come from ``tests/domains/<name>/samples.py``; a domain without that file fails here.
"""

import functools
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sciformer.adapter import Record, adapter_class, adapter_names

HERE = Path(__file__).parent


def load(file: Path) -> ModuleType:
    """By path: tests are no package, so this works from wherever they are started."""
    if not file.is_file():
        pytest.fail(f"{file.relative_to(HERE.parent)} is missing: every domain needs records() for the laws")
    spec = importlib.util.spec_from_file_location(f"_laws_{file.parent.name}_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


contract = load(HERE / "contract.py")


@functools.cache
def samples(domain: str) -> list[Record]:
    records = load(HERE / "domains" / domain / "samples.py").records()
    assert len(records) >= 4
    assert all(record.ok for record in records), [record.problem for record in records if not record.ok]
    return records


@functools.cache
def case(domain: str):
    return contract.Case.of(adapter_class(domain)(), samples(domain))


def test_there_is_a_domain():
    assert adapter_names()


def test_a_domain_without_samples_fails():
    with pytest.raises(pytest.fail.Exception, match="is missing: every domain needs"):
        samples("a_domain_that_forgot_them")


@pytest.mark.parametrize("law", contract.RECORD_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("domain", adapter_names())
def test_law_of_a_record(domain, law):
    adapter = adapter_class(domain)()
    for record in samples(domain):
        law(adapter, record)


@pytest.mark.parametrize("domain", adapter_names())
def test_declared_symmetries_are_ones_that_the_laws_know(domain):
    assert set(adapter_class(domain).symmetries) <= {"permutation", *contract.SHIFTED}


@pytest.mark.parametrize("law", contract.MODEL_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("domain", adapter_names())
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate, Phase.shrink],
)
@given(data=st.data())
def test_law_of_a_model(domain, law, data):
    law(case(domain), data.draw)
