"""`detent check`: what it says as text, JSON and SARIF, and its exit code."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from click.testing import Result

Detent = Callable[..., Result]

DOUBTFUL = """\
name: order
initial_state: new
states:
  new:
    events:
      Pay:
        branches:
          - {guard: large, target: review}
          - {guard: foreign, target: closed}
        target: closed
  review:
    events:
      Back: {target: new}
  lost: {}
  closed: {}
"""
BROKEN = """\
name: order
initial_state: new
states:
  new:
    events:
      Close: {target: closd}
  closed: {}
"""
TIMED = (
    '{"name": "t", "initial_state": "a", "states": {"a": {"events": {"e": {"target": "b", "timeout": "1d"}}}, "b": {}}}'
)


def doubtful(detent: Detent, *options: str) -> Result:
    Path("doubtful.yaml").write_text(DOUBTFUL)
    return detent("check", "doubtful.yaml", *options)


def test_findings_are_told_with_line_column_path_and_hint(detent: Detent) -> None:
    result = doubtful(detent)
    assert result.exit_code == 0
    assert result.output == (
        "doubtful.yaml: 4 warnings, 1 note\n"
        "  warning 14:3 states.lost: state 'lost' cannot be reached from 'new'\n"
        "          let an event lead to it, or remove it\n"
        "  warning 4:3 states.new: state 'new' may last for ever: it has no timeout and no automatic way out\n"
        "          give an event that leads out of it a timeout\n"
        "  warning 11:3 states.review: state 'review' may last for ever: it has no timeout and no automatic way out\n"
        "          give an event that leads out of it a timeout\n"
        "  warning 4:3 states.new: an instance may go round and round, and no timeout ever acts on it: new -> review -> new\n"
        "          give one of these states a timeout\n"
        "  note    9:13 states.new.events.Pay.branches[1]: branches 0 and 1 of event 'Pay' may both hold; the first is taken\n"
        "          let their guards exclude each other, if the order is not meant\n"
        "  2 simple paths to an end\n"
        "    Pay if foreign: closed\n"
        "    Pay otherwise: closed\n"
    )


def test_a_definition_with_nothing_to_find_is_sound(detent: Detent) -> None:
    Path("timed.json").write_text(TIMED)
    result = detent("check", "timed.json", "--strict")
    assert (result.exit_code, result.output) == (
        0,
        "timed.json: sound (t v1)\n  1 simple path to an end\n    e after 1d: b\n",
    )


def test_warnings_and_no_notes_count_with_strict(detent: Detent) -> None:
    assert doubtful(detent, "--strict").exit_code == 1
    ignored = ["unreachable_state", "state_without_timeout", "cycle_without_timeout"]
    result = doubtful(detent, "--strict", *[part for code in ignored for part in ("--ignore", code)])
    assert result.exit_code == 0
    assert result.output.startswith("doubtful.yaml: 1 note\n")


def test_an_error_is_never_ignored_and_leaves_no_paths(detent: Detent) -> None:
    Path("broken.yaml").write_text(BROKEN)
    result = detent("check", "broken.yaml", "--ignore", "unknown_state")
    assert result.exit_code == 1
    assert "error   6:15 states.new.events.Close.target: there is no state 'closd'" in result.output
    assert "path" not in result.output.replace("states.", "")


@pytest.mark.parametrize(("most", "listed"), [("0", 0), ("1", 1), ("2", 2)])
def test_as_many_paths_are_listed_as_asked_for(detent: Detent, most: str, listed: int) -> None:
    output = doubtful(detent, "--paths", most).output
    assert "2 simple paths to an end" in output
    assert output.count(": closed\n") == listed
    assert ("and 1 others: --paths lists more" in output) == (most == "1")


def test_of_very_many_paths_only_some_are_counted(detent: Detent) -> None:
    states = {f"s{n}": {"events": {e: {"target": f"s{n + 1}", "timeout": "1d"} for e in "x"}} for n in range(11)}
    for state in states.values():
        state["events"]["y"] = {"target": state["events"]["x"]["target"]}
    Path("many.json").write_text(json.dumps({"name": "m", "initial_state": "s0", "states": states | {"s11": {}}}))
    output = detent("check", "many.json").output
    assert "more than 1000 simple paths to an end" in output
    assert "and more than 990 others" in output
    [told] = json.loads(detent("check", "many.json", "--format", "json", "--paths", "3").output)["files"]
    assert (told["paths"]["count"], told["paths"]["more"], len(told["paths"]["listed"])) == (1000, True, 3)


def test_json_says_the_same(detent: Detent) -> None:
    Path("broken.yaml").write_text(BROKEN)
    Path("doubtful.yaml").write_text(DOUBTFUL)
    result = detent("check", "doubtful.yaml", "broken.yaml", "--format", "json")
    assert result.exit_code == 1
    answer = json.loads(result.output)
    first, second = answer["files"]
    assert (answer["valid"], first["valid"], second["valid"]) == (False, True, False)
    assert first["problems"][0] == {
        "path": "states.lost",
        "code": "unreachable_state",
        "message": "state 'lost' cannot be reached from 'new'",
        "hint": "let an event lead to it, or remove it",
        "severity": "warning",
        "line": 14,
        "column": 3,
    }
    assert first["paths"] == {"count": 2, "more": False, "listed": ["Pay if foreign: closed", "Pay otherwise: closed"]}
    assert second["paths"] is None


def log_of(result: Result) -> dict[str, Any]:
    """The run of a log that has what the schema of SARIF 2.1.0 asks for of the parts that are used."""
    log = json.loads(result.output)
    assert log.keys() == {"$schema", "version", "runs"}
    assert (log["version"], log["$schema"].endswith("sarif-schema-2.1.0.json")) == ("2.1.0", True)
    [run] = log["runs"]
    assert run.keys() == {"tool", "columnKind", "results"}
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for found in run["results"]:
        assert found["level"] in ("none", "note", "warning", "error")
        assert found["message"]["text"]
        assert rules[found["ruleIndex"]]["id"] == found["ruleId"]
        assert all(isinstance(value, str) for value in found["partialFingerprints"].values())
        [location] = found["locations"]
        assert location.keys() <= {"physicalLocation", "logicalLocations"}
        region = location.get("physicalLocation", {}).get("region", {"startLine": 1, "startColumn": 1})
        assert region.keys() == {"startLine", "startColumn"}
        assert min(region.values()) >= 1
    return dict(run)


def test_sarif_has_a_result_at_each_place(detent: Detent) -> None:
    run = log_of(doubtful(detent, "--format", "sarif"))
    assert run["tool"]["driver"]["name"] == "detent"
    assert [(found["ruleId"], found["level"]) for found in run["results"]] == [
        ("unreachable_state", "warning"),
        ("state_without_timeout", "warning"),
        ("state_without_timeout", "warning"),
        ("cycle_without_timeout", "warning"),
        ("overlapping_branches", "note"),
    ]
    [location] = run["results"][-1]["locations"]
    assert location == {
        "physicalLocation": {
            "artifactLocation": {"uri": "doubtful.yaml"},
            "region": {"startLine": 9, "startColumn": 13},
        },
        "logicalLocations": [{"fullyQualifiedName": "states.new.events.Pay.branches[1]"}],
    }
    prints = [found["partialFingerprints"]["problem/v1"] for found in run["results"]]
    assert len(set(prints)) == 5


def test_a_result_is_the_same_when_lines_are_put_in_above_it(detent: Detent) -> None:
    before = log_of(doubtful(detent, "--format", "sarif"))["results"]
    Path("doubtful.yaml").write_text("# a comment\n" + DOUBTFUL)
    after = log_of(detent("check", "doubtful.yaml", "--format", "sarif"))["results"]
    assert [found["partialFingerprints"] for found in before] == [found["partialFingerprints"] for found in after]
    assert [found["locations"] for found in before] != [found["locations"] for found in after]


def test_sarif_of_nothing_is_a_log_without_results(detent: Detent) -> None:
    Path("timed.json").write_text(TIMED)
    assert log_of(detent("check", "timed.json", "--format", "sarif"))["results"] == []


def test_the_uri_of_a_file_is_one(detent: Detent, tmp_path: Path) -> None:
    odd = Path("an odd#name%.yaml")
    odd.write_text(BROKEN)
    for name in (str(odd), str(tmp_path / odd)):
        [result] = log_of(detent("check", name, "--format", "sarif", "--ignore", "no_way_to_end"))["results"][:1]
        uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
        assert not {" ", "#"} & set(uri)
        assert unquote(uri).removeprefix("file://") == name


def test_what_cannot_be_read_is_told_at_its_line(detent: Detent) -> None:
    Path("cut.json").write_text('{\n  "name": }')
    Path("twice.yaml").write_text("name: a\nstates: {}\nname: b\n")
    result = detent("check", "gone.json", "cut.json", "twice.yaml", "--format", "sarif")
    assert result.exit_code == 1
    gone, cut, twice = (found["locations"][0]["physicalLocation"] for found in log_of(result)["results"])
    assert gone == {"artifactLocation": {"uri": "gone.json"}}
    assert cut["region"] == {"startLine": 2, "startColumn": 11}
    assert twice["region"] == {"startLine": 3, "startColumn": 1}


def test_standard_input_has_no_place_but_its_path(detent: Detent) -> None:
    result = detent("check", "-", "--format", "sarif", stdin=BROKEN)
    [location] = log_of(result)["results"][0]["locations"]
    assert location == {"logicalLocations": [{"fullyQualifiedName": "states.new.events.Close.target"}]}
    assert detent("check", "-", stdin=BROKEN).output.startswith("standard input: ")


def test_a_flow_is_told_what_validate_says(detent: Detent) -> None:
    flow = {"id": "trip", "initialStepId": "ask", "steps": {"ask": {"type": "human", "onResume": "book"}}}
    Path("trip.json").write_text(json.dumps(flow))
    result = detent("check", "trip.json")
    assert result.exit_code == 1
    assert "steps.ask.on_resume: there is no step 'book'" in result.output
    assert "simple path" not in result.output


def test_json_is_asked_for_as_of_all_commands(detent: Detent) -> None:
    assert detent("check", "order.json", "--json").stdout == detent("check", "order.json", "--format", "json").stdout
    assert detent("check", "order.json", "--json", "--format", "sarif").exit_code == 2
