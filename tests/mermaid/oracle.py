# ruff: noqa: S607 - node is whatever the machine has; the arguments are ours
"""The real Mermaid as a pytest fixture: `mermaid(text)` answers what it understands of a diagram.

    from tests.mermaid.oracle import mermaid as mermaid

in a `conftest.py` makes the fixture known there. One node process serves the whole session. Where node or npm is
missing, or the packages cannot be installed, the tests are skipped and say why; in CI (`CI` is set) they fail instead.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.node_packages import installed

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Drawn:
    """What Mermaid would draw for one text."""

    ok: bool
    """Whether it accepts the text at all."""
    error: str = ""
    """Why not."""
    type: str = ""
    """The kind of diagram: `stateDiagram` or `flowchart-v2`."""
    accTitle: str = ""  # noqa: N815 - Mermaid's own name
    accDescr: str = ""  # noqa: N815 - Mermaid's own name
    direction: str = ""
    nodes: list[dict[str, Any]] = field(default_factory=list)
    """`id`, `kind`, `texts`, `classes` of each box, with texts as a person would see them."""
    edges: list[dict[str, Any]] = field(default_factory=list)
    """`source`, `target`, `text` of each arrow; of a flowchart `stroke` and `style`, too."""

    def node(self, id_: str) -> dict[str, Any]:
        """The box with this id."""
        return next(node for node in self.nodes if node["id"] == id_)

    def arrows(self) -> set[tuple[str, str, str]]:
        """Source, target and text of all arrows."""
        return {(edge["source"], edge["target"], edge["text"]) for edge in self.edges}


class Mermaid:
    """The parser in its own process, kept open for further questions."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            ["node", "parse.mjs"], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, text: str) -> Drawn:
        """What Mermaid understands of one diagram; refused ones are answered, too."""
        return self.read([text])[0]

    def read(self, texts: Sequence[str]) -> list[Drawn]:
        """What Mermaid understands of each of many diagrams."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([str(text) for text in texts]) + "\n")
        self._process.stdin.flush()
        answers = self._process.stdout.readline()
        assert answers, "the Mermaid process ended; what it said is on stderr"
        return [Drawn(**answer) for answer in json.loads(answers)]

    def close(self) -> None:
        self._process.communicate(timeout=30)


@pytest.fixture(scope="session")
def mermaid() -> Iterator[Mermaid]:
    """The real Mermaid: call it with a text, or `read` many."""
    installed(HERE)
    parser = Mermaid()
    yield parser
    parser.close()
