"""Public diagrams: what our reader understands of each is what Mermaid itself understood.

They are other people's texts, kept beside the project and not in it; where they are absent, these tests are skipped.
"""

import json
from collections import Counter
from pathlib import Path

import pytest

from detent.errors import DefinitionInvalid
from detent.notation.mermaid_reader import from_mermaid
from detent.notation.mermaid_reader.diagram import parse
from detent.problems import Problem
from tests.mermaid.doc import doc

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus" / "mermaid"
pytestmark = pytest.mark.skipif(not CORPUS.is_dir(), reason=f"the public diagrams are not at {CORPUS}")

ACCEPTED = sorted(path.with_suffix(".mmd") for path in CORPUS.glob("*.json"))
REJECTED = sorted(path.with_suffix(".mmd") for path in CORPUS.glob("*.err"))
MORE_THAN_MERMAID = {"037.mmd"}
"""A second colon in the line of a note is read, with a warning, although Mermaid rejects it."""


@pytest.mark.parametrize("path", ACCEPTED, ids=lambda path: path.name)
def test_the_tree_is_the_one_mermaid_has(path: Path) -> None:
    diagram = parse(path.read_text())
    assert [problem for problem in diagram.problems if problem.severity == "error"] == []
    assert doc(diagram.statements) == json.loads(path.with_suffix(".json").read_text())["doc"]


@pytest.mark.parametrize("path", REJECTED, ids=lambda path: path.name)
def test_what_mermaid_rejects_is_a_problem_with_its_place(path: Path) -> None:
    problems = _problems(path.read_text())
    severities = {problem.severity for problem in problems}
    assert severities == ({"warning"} if path.name in MORE_THAN_MERMAID else {"error"})
    assert all(problem.path.startswith("line ") for problem in problems)


def test_every_diagram_is_built_or_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    built, refused = [], Counter[str]()
    for path in [*ACCEPTED, *REJECTED]:
        try:
            built.append(from_mermaid(path.read_text(), name=path.stem, loops=True))
        except DefinitionInvalid as error:
            faults = [problem for problem in error.problems if problem.severity == "error"]
            assert all(problem.path.startswith("line ") and problem.message for problem in faults), path
            refused[faults[0].code] += 1
    with capsys.disabled():
        print(
            f"\n{len(built)} of {len(ACCEPTED) + len(REJECTED)} public diagrams built, {refused.total()} refused:",
            end=" ",
        )
        print(", ".join(f"{code} {count}" for code, count in refused.most_common()))
    assert len(built) >= 31


def _problems(text: str) -> tuple[Problem, ...]:
    try:
        return parse(text).problems
    except DefinitionInvalid as error:
        return error.problems
