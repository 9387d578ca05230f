import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from detent.definition import WorkflowDefinition, reading
from detent.definition.places import written_in
from detent.errors import DefinitionInvalid


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("suffix", "write"), [(".json", json.dumps), (".yaml", yaml.safe_dump), (".YML", yaml.safe_dump)]
)
def test_a_file_is_read_by_its_suffix(
    tmp_path: Path, order: WorkflowDefinition, order_data: dict[str, Any], suffix: str, write: Any
) -> None:
    assert WorkflowDefinition.from_file(_write(tmp_path / f"order{suffix}", write(order_data))) == order


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionInvalid, match=r"'\.toml' is no format"):
        WorkflowDefinition.from_file(_write(tmp_path / "order.toml", ""))


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, '{"name": NaN}', '{"name": "a", "name": "b"}', "1" * 5000, b"\xff"]
)
def test_json_that_cannot_be_read_is_refused(text: str | bytes) -> None:
    with pytest.raises(DefinitionInvalid, match="this is not JSON"):
        WorkflowDefinition.from_json(text)


@pytest.mark.parametrize("text", ["a: [", "a: b: c", "!!python/object:os.system {}", "[" * 5_000, "\0"])
def test_yaml_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(DefinitionInvalid, match="this is not YAML"):
        WorkflowDefinition.from_yaml(text)


def test_a_state_that_is_given_twice_in_yaml_is_not_lost() -> None:
    with pytest.raises(DefinitionInvalid) as caught:
        WorkflowDefinition.from_yaml("name: w\ninitial_state: a\nstates:\n  a:\n  b:\n  a:\n")
    (problem,) = caught.value.problems
    assert (problem.path, problem.code) == ("line 6, column 3", "key_given_twice")


def test_yaml_with_a_loop_of_aliases_is_refused() -> None:
    with pytest.raises(DefinitionInvalid):
        WorkflowDefinition.from_yaml("&a {name: w, initial_state: a, states: {a: {context: *a}}}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: " + "[" * 200_000, "it is nested too deeply"),
        ("a0: &a0 []\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 101)), "it is nested too deeply"),
        (
            "a0: &a0 [x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 60)),
            "its aliases stand for more than 5000 values",
        ),
        ("a: &a [*a]", "an alias stands within what it stands for"),
    ],
)
def test_yaml_that_stands_for_too_much_is_refused_before_it_is_built(text: str, reason: str) -> None:
    with pytest.raises(DefinitionInvalid, match=f"this is not YAML: {reason}"):
        WorkflowDefinition.from_yaml(text)
    assert written_in(text, is_json=False) is None


def test_aliases_in_yaml_are_what_they_stand_for() -> None:
    text = "name: w\ninitial_state: a\nstates:\n  a: &s {description: x}\n  b: *s\n"
    assert WorkflowDefinition.from_yaml(text).states["b"].description == "x"


def test_an_unquoted_version_in_yaml_says_to_quote_it() -> None:
    with pytest.raises(DefinitionInvalid, match=r"YAML reads 1\.10 as the number 1\.1"):
        WorkflowDefinition.from_yaml("{name: w, version: 1.10, initial_state: a, states: {a: }}")


def test_without_pyyaml_reading_yaml_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "yaml", None)
    with pytest.raises(DefinitionInvalid, match=r"install detent\[yaml\]"):
        WorkflowDefinition.from_yaml("name: w")
