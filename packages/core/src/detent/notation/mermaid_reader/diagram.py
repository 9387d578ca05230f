"""A whole diagram, read and not yet understood: its front matter, its statements, and what is wrong with them."""

from dataclasses import dataclass

from detent.notation.mermaid_reader.head import Head, check_kind, take_head
from detent.notation.mermaid_reader.passes import clean
from detent.notation.mermaid_reader.source import Source
from detent.notation.mermaid_reader.statements import Statements
from detent.notation.mermaid_reader.tree import Statement
from detent.problems import Problem


@dataclass(frozen=True, slots=True)
class StateDiagram:
    """A state diagram as it was written."""

    head: Head
    statements: tuple[Statement, ...]
    problems: tuple[Problem, ...] = ()
    """What could not be read, and what is read although Mermaid does not; in the order of the text."""


def parse(text: str, *, first_line: int = 1) -> StateDiagram:
    """The statements of `text`, whose first line is counted as `first_line`.

    Raises `DefinitionInvalid` where it is no state diagram, or where its front matter cannot be read.
    """
    source = Source(text, first_line=first_line)
    head = take_head(source)
    directives = clean(source)
    check_kind(source)
    statements = Statements(source)
    return StateDiagram(head, statements.found, (*head.problems, *directives, *statements.problems))
