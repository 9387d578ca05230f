"""`detent diagram --check` and `--write`: the diagrams in pages of reStructuredText are those of the definitions."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from detent.definition.model import WorkflowDefinition
from detent.notation import from_mermaid, mermaid_blocks, to_dot, to_mermaid

Detent = Callable[..., Result]

PAGE = """\
Orders
======

.. detent diagram: order.json

.. mermaid::
   :align: center
   :caption: From the till
     to the door

   old

- In a list:

  .. detent diagram: order.json --style flowchart
     --symbols text
  .. code-block:: mermaid

     older

The end.
"""


@pytest.fixture
def order(detent: Detent) -> WorkflowDefinition:
    return WorkflowDefinition.from_file("order.json")


def page(text: str, name: str = "docs/orders.rst") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def indented(text: str, width: int) -> str:
    return "".join(f"{' ' * width}{line}\n" if line else "\n" for line in text.splitlines())


def test_directives_below_a_mark_are_drawn_and_keep_their_options(detent: Detent, order: WorkflowDefinition) -> None:
    kept = page(PAGE)
    written = detent("diagram", "--write", "docs")
    assert written.exit_code == 0
    assert written.output == (
        "docs/orders.rst:4: drew order.json\n"
        "docs/orders.rst:15: drew order.json --style flowchart --symbols text\n"
        "2 diagrams, 2 drawn again\n"
    )
    flowchart = to_mermaid(order, style="flowchart", symbols="text")
    expected = PAGE.replace("   old\n", indented(to_mermaid(order), 3), 1)
    assert kept.read_text() == expected.replace("     older\n", indented(flowchart, 5))
    assert detent("diagram", "--check", "docs").output == "2 diagrams, all as drawn\n"


def test_what_was_drawn_reads_back_from_the_page(detent: Detent, order: WorkflowDefinition) -> None:
    kept = page(PAGE)
    detent("diagram", "--write", "docs")
    first, _ = mermaid_blocks(kept.read_text(), page_format="rst")
    assert from_mermaid(first.text, first_line=first.first_line) == order


@pytest.mark.parametrize(
    ("after", "put"),
    [
        ("", "\n.. mermaid::\n\n{}"),
        ("\nAnd so on.\n", "\n.. mermaid::\n\n{}"),
        ("And so on.\n", "\n.. mermaid::\n\n{}\n"),
        ("\n.. mermaid\n\n   no directive\n", "\n.. mermaid::\n\n{}"),
    ],
)
def test_a_mark_without_a_directive_is_given_one(
    detent: Detent, order: WorkflowDefinition, after: str, put: str
) -> None:
    kept = page(f".. detent diagram: order.json\n{after}")
    result = detent("diagram", "--check", "docs")
    assert (result.exit_code, "docs/orders.rst:1: the diagram of order.json is missing" in result.output) == (1, True)
    assert detent("diagram", "--write", "docs").exit_code == 0
    assert kept.read_text() == ".. detent diagram: order.json\n" + put.format(indented(to_mermaid(order), 3)) + after
    assert detent("diagram", "--check", "docs").exit_code == 0


def test_a_graph_in_dot_is_a_directive_of_graphviz(detent: Detent, order: WorkflowDefinition) -> None:
    kept = page(".. detent diagram: order.json --format dot\n")
    detent("diagram", "--write", "docs")
    assert kept.read_text().partition("\n\n")[2] == f".. graphviz::\n\n{indented(to_dot(order), 3)}"


def test_a_directive_that_shows_a_file_is_not_touched(detent: Detent) -> None:
    text = ".. detent diagram: order.json\n\n.. mermaid:: order.mmd\n"
    kept = page(text)
    result = detent("diagram", "--write", "docs")
    assert result.exit_code == 1
    assert "docs/orders.rst:1: the directive after this mark shows a file" in result.output
    assert kept.read_text() == text


def test_a_mark_in_a_literal_block_is_text(detent: Detent) -> None:
    page("So::\n\n  .. detent diagram: gone.json\n\n.. code-block:: rst\n\n   .. detent diagram: gone.json\n")
    result = detent("diagram", "--check", "docs")
    assert (result.exit_code, result.output.startswith("no diagram is marked")) == (0, True)


def test_line_ends_of_a_page_are_kept(detent: Detent) -> None:
    kept = page("a\rb\r\n\r\n.. detent diagram: order.json\r\n\r\n.. mermaid::\r\n\r\nThe end\r\n")
    detent("diagram", "--write", "docs")
    text = kept.read_bytes().decode()
    assert text.startswith("a\rb\r\n\r\n.. detent diagram: order.json\r\n\r\n.. mermaid::\r\n\r\n   ---\r\n")
    assert text.endswith("\r\n\r\nThe end\r\n")
    assert detent("diagram", "--check", "docs").exit_code == 0
