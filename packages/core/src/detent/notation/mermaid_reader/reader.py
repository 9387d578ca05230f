"""A state diagram as a definition."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from detent.definition.model import WorkflowDefinition
from detent.errors import DefinitionInvalid
from detent.json_values import JsonObject
from detent.notation.mermaid_reader.composites import take_apart
from detent.notation.mermaid_reader.diagram import StateDiagram, parse
from detent.notation.mermaid_reader.forks import tie_forks
from detent.notation.mermaid_reader.graph import Graph, graph_of
from detent.notation.mermaid_reader.meaning import Meaning
from detent.notation.mermaid_reader.misreadings import misreadings
from detent.notation.mermaid_reader.statements import MAX_PROBLEMS
from detent.problems import Problem

_DEFAULT_NAME = "workflow"
_TOLERABLE = frozenset(
    {
        "ampersand",
        "arrow_of_two_heads",
        "arrow_twice",
        "direction_in_text",
        "enters_inside",
        "floating_note",
        "history_not_supported",
        "label_in_bars",
        "link_in_block",
        "no_statement",
        "semicolon",
        "several_words",
        "unknown_direction",
        "unknown_stereotype",
        "unknown_state",
        "unreachable_state",
        "unreferenced_state",
    }
)
"""What is no more than a warning where the reading is not strict: there is a reading, and it is Mermaid's."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read, and what there is to say about it."""

    definition: WorkflowDefinition
    warnings: tuple[Problem, ...] = ()
    """What is worth knowing, in the order of the text; each path is a line and a column."""
    config: JsonObject = field(default_factory=dict)
    """What stands under `config` in the front matter: how Mermaid shall draw, which says nothing of the definition."""


def from_mermaid(
    text: str, *, strict: bool = True, name: str | None = None, first_line: int = 1, loops: bool = False
) -> WorkflowDefinition:
    """The definition that a `stateDiagram-v2` draws; `to_mermaid` writes what this reads back to an equal one.

    With `strict` what Mermaid draws as something else than was meant is refused; without, it is taken as Mermaid draws
    it. With `loops`, or `loops: true` in the front matter, steps that follow one another by themselves may go round in a
    circle. The workflow is called by the title in the front matter, else by `name`, else by its `accTitle`. The first line
    of `text` is counted as `first_line`. Raises `DefinitionInvalid` with every problem: its path is a line and a column,
    or a path of the definition where the `detent` of the front matter is at fault.
    """
    return read_mermaid(text, strict=strict, name=name, first_line=first_line, loops=loops).definition


def read_mermaid(
    text: str, *, strict: bool = True, name: str | None = None, first_line: int = 1, loops: bool = False
) -> Reading:
    """As `from_mermaid`, with the warnings."""
    diagram = parse(text, first_line=first_line)
    called, version = _title(diagram, name)
    problems = [*diagram.problems, *islice(misreadings(diagram.statements), MAX_PROBLEMS)]
    if not _errors(problems, strict):
        graph = drawn_graph(diagram)
        if not _errors(graph.problems, strict):
            return _definition(diagram, graph, called, version, problems, strict, loops)
        problems += graph.problems
    raise DefinitionInvalid(called or "?", _in_order(problems, strict))


def drawn_graph(diagram: StateDiagram) -> Graph:
    """The plain states that a diagram comes to, with the arrows between them; what is wrong is among its problems."""
    graph = graph_of(diagram.statements)
    take_apart(graph)
    tie_forks(graph)
    return graph


def _definition(
    diagram: StateDiagram,
    graph: Graph,
    called: str | None,
    version: str,
    problems: list[Problem],
    strict: bool,
    loops: bool,
) -> Reading:
    name = called if called is not None else graph.title or _DEFAULT_NAME
    meaning = Meaning(graph, steps=diagram.head.steps, loops=loops or diagram.head.loops)
    problems = [*problems, *graph.problems]
    if _errors(problems, strict):
        raise DefinitionInvalid(name, _in_order(problems, strict))
    written: JsonObject = {"name": name, "version": version, "initial_state": meaning.initial, "states": meaning.states}
    if meaning.entries:
        written["entries"] = meaning.entries
    if graph.description and not _is_printed(diagram):
        written["description"] = graph.description
    # What stands under `python` is for `detent generate`.
    _lay_over(written, {key: said for key, said in diagram.head.details.items() if key != "python"})
    try:
        definition = WorkflowDefinition.from_dict(written)
    except DefinitionInvalid as error:
        raise DefinitionInvalid(name, [*_in_order(problems, strict), *_placed(error.problems, diagram)]) from None
    return Reading(definition, tuple(_in_order(problems, strict)), diagram.head.config)


def _placed(problems: Sequence[Problem], diagram: StateDiagram) -> list[Problem]:
    """The problems of a definition; those of what the title says with its place."""
    said = {"name", "version"} - diagram.head.details.keys() if diagram.head.title is not None else set()
    return [replace(each, path=diagram.head.place) if each.path in said else each for each in problems]


def _title(diagram: StateDiagram, name: str | None) -> tuple[str | None, str]:
    """The name of the workflow and its version, as the title says them: `order · v2`; `name` where there is none."""
    title = diagram.head.title
    if title is None:
        return name, "1"
    called, separator, version = title.rpartition(" · v")
    return (called, version) if separator else (title, "1")


def _is_printed(diagram: StateDiagram) -> bool:
    """Whether the title is one that `to_mermaid` writes; then the description for screen readers is no one's words."""
    return " · v" in (diagram.head.title or "")


def _lay_over(under: dict[str, Any], over: dict[str, Any]) -> None:
    """Puts what the front matter says over what the picture says: objects key by key, anything else in its place."""
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(under.get(key), dict):
            _lay_over(under[key], value)
        else:
            under[key] = value


def _errors(problems: list[Problem], strict: bool) -> bool:
    return any(_weighed(problem, strict).severity == "error" for problem in problems)


def _weighed(problem: Problem, strict: bool) -> Problem:
    if strict or problem.code not in _TOLERABLE:
        return problem
    return Problem(problem.path, problem.code, problem.message, problem.hint, "warning")


def _in_order(problems: list[Problem], strict: bool) -> list[Problem]:
    return sorted((_weighed(problem, strict) for problem in problems), key=_place)


def _place(problem: Problem) -> tuple[int, ...]:
    return tuple(int(number) for number in problem.path.replace(",", "").split()[1::2])
