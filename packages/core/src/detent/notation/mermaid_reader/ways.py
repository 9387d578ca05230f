"""The arrows out of a state, sorted by what they mean."""

import re
from dataclasses import dataclass, field
from typing import get_args

from detent.definition.state import Outcome
from detent.notation.mermaid_reader.branching import Option, option_of
from detent.notation.mermaid_reader.graph import Graph, Line
from detent.notation.mermaid_reader.label import Said, is_else, read_said
from detent.notation.mermaid_reader.policy import read_pairs
from detent.notation.mermaid_reader.targets import refuse_label
from detent.notation.mermaid_reader.texts import as_written
from detent.notation.mermaid_reader.tree import EDGE

FINAL = "end"
"""What may stand on an arrow to `[*]` to say no more than that its state is a final one."""
OUTCOMES = frozenset(get_args(Outcome))
"""What may stand there to say how the workflow has ended."""
_ABOUT_RETRIES = re.compile(r"\w+ *=|.*\b(retry|retries|retried|attempts?|backoff)", re.IGNORECASE)


@dataclass(slots=True)
class Ways:
    """The arrows out of one state."""

    hops: list[Line] = field(default_factory=list)
    """Those that nothing is said on."""
    policies: list[Line] = field(default_factory=list)
    """Those to itself that say how its work is taken, repeated and timed."""
    options: list[tuple[Option, Line]] = field(default_factory=list)
    """What its work may decide for."""
    events: dict[str, list[tuple[Said, Line]]] = field(default_factory=dict)
    """The arrows of each event."""
    entries: list[tuple[Said, Line]] = field(default_factory=list)
    """What `to_mermaid` writes of the entry: where it leads, or fails to, and where branches begin."""


def ways_of(graph: Graph, out: list[Line], internal: set[str]) -> Ways:
    """The arrows of one state by their meaning; `internal` are the events in its box. What cannot be read is a problem."""
    ways = Ways()
    read = {line: read_said(line.label) for line in out}
    known = {said.event for said in read.values() if said and not said.fails} | internal
    decides = any(_is_option(said) for said in read.values())
    for line, said in read.items():
        if decides and is_else(line.label):
            ways.hops.append(line)
            continue
        if said is not None and said.event is not None and said.fails and said.event not in known:
            said = Said(event=line.label, by_hand=True)
        _sort(graph, ways, line, said)
    return ways


def _sort(graph: Graph, ways: Ways, line: Line, said: Said | None) -> None:
    to_itself = line.source == line.target
    if not line.label:
        ways.hops.append(line)
    elif to_itself and read_pairs(line.label):
        ways.policies.append(line)
    elif to_itself and said and said.by_hand and _ABOUT_RETRIES.match(line.label):
        message = f"{line.label!r} on {as_written(line.source)!r} says neither an event nor how its work is repeated"
        graph.problem(line.place, "unreadable_retry", message, "write `attempts=5, initial=30s`, or `backoffMs=500`")
    elif said is None:
        refuse_label(graph, line)
    elif said.event is not None:
        ways.events.setdefault(said.event, []).append((said, line))
    elif said.by_hand:
        ways.options.append((option_of(line.label) or Option(line.label), line))
    else:
        ways.entries.append((said, line))


def names_event(graph: Graph, line: Line) -> bool:
    """Whether an arrow names an event, which somebody may trigger."""
    if line.source == EDGE or graph.boxes[line.source].kind is not None or is_final(line):
        return False
    said = None if read_pairs(line.label) else read_said(line.label)
    if said is None or said.event is None:
        return False
    return not is_else(line.label) or not any(_is_option(read_said(each.label)) for each in graph.out_of(line.source))


def _is_option(said: Said | None) -> bool:
    """Whether it says what the work of a state may decide for."""
    return said is not None and said.event is None and said.by_hand


def is_final(line: Line) -> bool:
    """Whether an arrow says that the state it leaves is a final one."""
    return line.target == EDGE and line.label in (*OUTCOMES, FINAL)
