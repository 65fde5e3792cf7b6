"""Every domain that can be found obeys every law of ``contract.py``, whichever of its switches is turned.

The records come from ``tests/domains/<name>/samples.py``; a domain without that file fails here. Its ``records`` may
take the adapter, where not every adapter reads every record.
"""

import dataclasses
import functools
import importlib.util
import inspect
import json
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sciformer.adapter import DomainAdapter, Record
from sciformer.discovery import adapter_class, adapter_names, from_json, to_json

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
def module(domain: str) -> ModuleType:
    return load(HERE / "domains" / domain / "samples.py")


def samples(adapter: DomainAdapter) -> list[Record]:
    own = module(adapter.name).records
    return checked(own(adapter) if inspect.signature(own).parameters else own())


def checked(records: list[Record]) -> list[Record]:
    assert len(records) >= 4
    assert all(record.ok for record in records), [record.problem for record in records if not record.ok]
    return records


def variants() -> list[DomainAdapter]:
    """Every domain as it comes, or as its samples say if it must be fitted to them, and once for each yes-or-no setting
    with that setting turned."""
    plain = [adapter for name in adapter_names() for adapter in adapters(name)]
    return [*plain, *(other for adapter in plain for name in switches(adapter) for other in turned(adapter, name))]


def switches(adapter: DomainAdapter) -> list[str]:
    """The yes-or-no settings but those that, as the samples say, change nothing about tokens."""
    path = HERE / "domains" / adapter.name / "samples.py"
    elsewhere = getattr(module(adapter.name), "ELSEWHERE", ()) if path.is_file() else ()
    names = [field.name for field in dataclasses.fields(adapter) if isinstance(getattr(adapter, field.name), bool)]
    return [name for name in names if name not in elsewhere]


def turned(adapter: DomainAdapter, name: str) -> list[DomainAdapter]:
    """With that setting turned; none where the adapter says that it cannot be."""
    try:
        return [dataclasses.replace(adapter, **{name: not getattr(adapter, name)})]
    except ValueError:
        return []


def adapters(name: str) -> list[DomainAdapter]:
    path = HERE / "domains" / name / "samples.py"
    own = getattr(module(name), "adapters", None) if path.is_file() else None
    return own() if own else [adapter_class(name)()]


def label(adapter: DomainAdapter) -> str:
    plain = type(adapter)()
    turned = [
        f.name if isinstance(getattr(adapter, f.name), bool) else f"{f.name}{getattr(adapter, f.name)}"
        for f in dataclasses.fields(plain)
        if getattr(adapter, f.name) != getattr(plain, f.name) and isinstance(getattr(adapter, f.name), bool | int)
    ]
    return "-".join([adapter.name, *turned])


every_variant = pytest.mark.parametrize("adapter", variants(), ids=label)


def case(adapter: DomainAdapter):
    """Made once; fields of an adapter may be mappings, which no cache takes."""
    return _case(json.dumps(to_json(adapter)))


@functools.cache
def _case(spec: str):
    adapter = from_json(json.loads(spec))
    return contract.Case.of(adapter, samples(adapter))


def test_there_is_a_domain():
    assert adapter_names()


def test_a_domain_without_samples_fails():
    with pytest.raises(pytest.fail.Exception, match="is missing: every domain needs"):
        module("a_domain_that_forgot_them")


@pytest.mark.parametrize("law", contract.RECORD_LAWS, ids=lambda law: law.__name__)
@every_variant
def test_law_of_a_record(adapter, law):
    for record in samples(adapter):
        law(adapter, record)


@pytest.mark.parametrize("domain", adapter_names())
def test_declared_symmetries_are_ones_that_the_laws_know(domain):
    assert set(adapter_class(domain).symmetries) <= {"permutation", *contract.SHIFTED}


@pytest.mark.parametrize("law", contract.MODEL_LAWS, ids=lambda law: law.__name__)
@every_variant
@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.generate, Phase.shrink],
)
@given(data=st.data())
def test_law_of_a_model(adapter, law, data):
    law(case(adapter), data.draw)
