"""Which diagrams stand in a page of reStructuredText, and in which of its lines."""

import pytest

from detent.errors import DefinitionInvalid
from detent.notation import from_mermaid, mermaid_blocks

PAGE = """\
Orders
======

.. mermaid::
   :align: center
   :caption: From the till
      to the door

   stateDiagram-v2

   [*] --> new
   new --> [*]

.. note::

   In a note::

      .. mermaid::

         stateDiagram-v2
         gone --> gone

   - In a list:

     .. Code-Block:: Mermaid

\tstateDiagram-v2
\ta -> b

.. mermaid:: order.mmd
   :align: center

.. code-block:: rst

   .. mermaid::

      stateDiagram-v2
      gone --> gone

..
   .. mermaid::

      stateDiagram-v2

.. code-block:: python

   print()

The end.
"""


def blocks_of(page: str) -> list[tuple[str, int]]:
    """The text and the first line of each block."""
    return [(block.text, block.first_line) for block in mermaid_blocks(page, page_format="rst")]


def test_directives_of_mermaid_are_found_with_their_lines_and_without_their_options() -> None:
    assert blocks_of(PAGE) == [
        ("stateDiagram-v2\n\n[*] --> new\nnew --> [*]\n", 9),
        ("stateDiagram-v2\na -> b\n", 27),
    ]
    assert blocks_of(PAGE.replace("\n", "\r\n")) == blocks_of(PAGE)


def test_problems_of_a_directive_name_the_lines_of_the_page() -> None:
    block = mermaid_blocks(PAGE, page_format="rst")[1]
    with pytest.raises(DefinitionInvalid) as refused:
        from_mermaid(block.text, first_line=block.first_line)
    assert [problem.path for problem in refused.value.problems] == ["line 28, column 3"]


@pytest.mark.parametrize(
    ("page", "found"),
    [
        (".. mermaid::\n   stateDiagram-v2\n", [("stateDiagram-v2\n", 2)]),
        (".. mermaid::\n\n      stateDiagram-v2\n   a --> b", [("   stateDiagram-v2\na --> b\n", 3)]),
        ("- .. mermaid::\n\n     stateDiagram-v2\n", [("stateDiagram-v2\n", 3)]),
        ("1. a\n2) .. mermaid::\n\n     stateDiagram-v2\n", [("stateDiagram-v2\n", 4)]),
        ("..\n\n.. mermaid::\n\n   stateDiagram-v2\n", [("stateDiagram-v2\n", 5)]),
        ("..\n\n   .. mermaid::\n\n      stateDiagram-v2\n", [("stateDiagram-v2\n", 5)]),
        (".. [1] A footnote\n\n   .. mermaid::\n\n      x\n", [("x\n", 5)]),
        (".. _target:\n\n.. mermaid::\n\n   x\n", [("x\n", 5)]),
        (".. mermaid ::\n\n   x\n", [("x\n", 3)]),
        (".. mermaid::\n", [("\n", 2)]),
        (".. mermaid:\n\n   x\n", []),
        ("..mermaid::\n\n   x\n", []),
        (".. a comment\n   .. mermaid::\n\n      x\n", []),
        ("As text::\n\n    .. mermaid::\n\n       x\n", []),
        ("", []),
    ],
)
def test_what_docutils_takes_for_a_directive_is_one(page: str, found: list[tuple[str, int]]) -> None:
    assert blocks_of(page) == found


def test_text_after_a_literal_block_is_read_again() -> None:
    assert blocks_of("So::\n\n  x\n\n.. mermaid::\n\n   y\n") == [("y\n", 7)]
    assert blocks_of("- So::\n\n    x\n\n  .. mermaid::\n\n     y\n") == [("y\n", 7)]
