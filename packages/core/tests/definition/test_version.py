from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detent.definition import WorkflowDefinition, version_key
from detent.errors import DefinitionInvalid, InvalidValue

integers = st.integers(min_value=1).filter(lambda number: number.bit_length() <= 64)
triples = st.tuples(*[st.integers(min_value=0, max_value=10**6)] * 3)


def _version(version: Any) -> str:
    return WorkflowDefinition(name="w", initial_state="a", states={"a": {}}, version=version).version


@pytest.mark.parametrize(
    ("written", "stored"),
    [(1, "1"), (12, "12"), ("3", "3"), ("1.10.0", "1.10.0"), ("2.0.0-rc.1+build.5", "2.0.0-rc.1+build.5")],
)
def test_a_version_is_stored_as_text(written: Any, stored: str) -> None:
    assert _version(written) == stored


@pytest.mark.parametrize(
    "written", [0, -1, 1.1, True, "", "0", "01", "1.1", "v1", "1.02.0", "1.0.0-", " 1", "1\n", "٣"]
)
def test_what_is_no_version_is_refused(written: Any) -> None:
    with pytest.raises(DefinitionInvalid, match="positive integer or a version"):
        _version(written)


def test_versions_are_ordered_as_versions() -> None:
    ordered = [
        "1",
        "1.0.0-2",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0",
        "1.9.0",
        "1.10.0",
        "2",
        "10",
    ]
    shuffled = [*ordered[5:], *ordered[:5]]
    assert sorted(shuffled, key=version_key) == ordered


@given(st.lists(integers))
def test_integers_are_ordered_as_integers(numbers: list[int]) -> None:
    assert sorted(map(str, numbers), key=version_key) == [str(number) for number in sorted(numbers)]


@given(st.lists(triples))
def test_semantic_versions_are_ordered_by_their_numbers(numbers: list[tuple[int, ...]]) -> None:
    texts = [".".join(map(str, triple)) for triple in numbers]
    assert sorted(texts, key=version_key) == [".".join(map(str, triple)) for triple in sorted(numbers)]


def test_definitions_of_one_name_are_ordered_by_version() -> None:
    older, newer = (
        WorkflowDefinition(name="w", initial_state="a", states={"a": {}}, version=version)
        for version in ("1.9.0", "1.10.0")
    )
    assert max([newer, older], key=lambda definition: definition.version_key) is newer


def test_no_two_versions_tie() -> None:
    texts = ["2", "2.0.0", "2.0.0+a", "2.0.0+b", "2.0.0-a", "2.0.0-a+b"]
    assert len({version_key(text) for text in texts}) == len(texts)


def test_a_stored_version_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidValue):
        version_key("latest")
