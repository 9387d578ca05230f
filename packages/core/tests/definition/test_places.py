"""Where a part of a definition stands in its file."""

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from detent.definition.places import Written, place_of, written_in

JSON = """{
  "name": "order", "initialState": "new",
  "states": {
    "new": {"events": {
      "Pay": {"targetState": "paid", "commands": ["a",
        {"name": "b", "retry": "never"}]}
    }},
    "a.b": {}, "a": {"b": {}},
\t"paid": {}
  }
}
"""
YAML = """\
name: order
initial_state: new
states:
  new:
    events:
      Pay:
        target: paid
        commands:
          - a
          - {name: b}
  paid: {}
"""


def read(text: str, *, is_json: bool) -> Written:
    written = written_in(text, is_json=is_json)
    assert written is not None
    return written


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("", (1, 1)),
        ("name", (2, 3)),
        ("initial_state", (2, 20)),
        ("states.new", (4, 5)),
        ("states.new.events.Pay.target", (5, 15)),
        ("states.new.events.Pay.commands[0]", (5, 51)),
        ("states.new.events.Pay.commands[1].retry", (6, 23)),
        ("states.a.b", (8, 5)),
        ("states.a", (8, 16)),
        ("states.paid", (9, 2)),
        ("states.paid.on_enter", (9, 2)),
        ("states.new.events.Pay.commands[7]", (5, 38)),
        ("nothing", (1, 1)),
    ],
)
def test_a_path_leads_to_its_key_in_json(path: str, place: tuple[int, int]) -> None:
    assert place_of(path, read(JSON, is_json=True)) == place


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("initial_state", (2, 1)),
        ("states.new.events.Pay", (6, 7)),
        ("states.new.events.Pay.commands[0]", (9, 13)),
        ("states.new.events.Pay.commands[1].name", (10, 14)),
        ("states.paid", (11, 3)),
    ],
)
def test_a_path_leads_to_its_key_in_yaml(path: str, place: tuple[int, int]) -> None:
    assert place_of(path, read(YAML, is_json=False)) == place


@pytest.mark.parametrize("text", ["", "{", '{"a"', "[", '{"a": 1', "{]", '"'])
def test_what_is_no_json_has_no_places(text: str) -> None:
    written_in(text, is_json=True)  # whatever it answers, it does not raise


def test_what_is_no_yaml_has_no_places() -> None:
    assert written_in("a: [", is_json=False) is None
    assert written_in("", is_json=False) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), st.sampled_from([None, 1]))
def test_any_json_is_found_where_it_is_written(value: dict[str, object], indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    lines = text.split("\n")

    def same(part: Written, expected: object) -> None:
        if isinstance(expected, dict | list):
            items = expected.items() if isinstance(expected, dict) else enumerate(expected)
            assert set(part.parts) == {key for key, _ in items}
            for key, inner in items:
                line, column = part.parts[key].place
                wanted = json.dumps(key) if isinstance(key, str) else json.dumps(inner)[:1]
                assert lines[line - 1][column - 1 :].startswith(wanted)
                same(part.parts[key], inner)

    same(read(text, is_json=True), value)


def test_the_readers_agree() -> None:
    text = json.dumps(yaml.safe_load(YAML), indent=2)
    path = "states.new.events.Pay.commands[1].name"
    assert place_of(path, read(text, is_json=True)) == place_of(path, read(text, is_json=False))
