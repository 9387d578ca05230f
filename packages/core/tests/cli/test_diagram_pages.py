"""`detent diagram --check` and `--write`: the diagrams in pages of Markdown are those of the definitions."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from detent.definition.model import WorkflowDefinition
from detent.notation import to_dot, to_mermaid

Detent = Callable[..., Result]

PAGE = """# Orders

<!-- detent diagram: order.json -->
```mermaid
old
```

1. In a list:

    <!-- detent diagram: order.json --style flowchart --symbols text -->

    ~~~ mermaid
    older
    ~~~

The end.
"""


@pytest.fixture
def order(detent: Detent) -> WorkflowDefinition:
    return WorkflowDefinition.from_file("order.json")


def page(text: str, name: str = "docs/orders.md") -> Path:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


def test_what_was_drawn_is_current(detent: Detent, order: WorkflowDefinition) -> None:
    kept = page(PAGE)
    written = detent("diagram", "--write", "docs")
    assert written.exit_code == 0
    assert written.output == (
        "docs/orders.md:3: drew order.json\n"
        "docs/orders.md:10: drew order.json --style flowchart --symbols text\n"
        "2 diagrams, 2 drawn again\n"
    )
    flowchart = to_mermaid(order, style="flowchart", symbols="text")
    indented = "".join(f"    {line}\n" if line else "\n" for line in flowchart.splitlines())
    assert kept.read_text() == PAGE.replace("old\n", to_mermaid(order), 1).replace("    older\n", indented)
    assert (detent("diagram", "--check", "docs").output) == "2 diagrams, all as drawn\n"
    before = kept.stat().st_mtime_ns
    assert detent("diagram", "--write", "docs").output == "2 diagrams, all as drawn\n"
    assert kept.stat().st_mtime_ns == before


def test_a_change_of_the_definition_is_told_with_file_line_and_difference(detent: Detent) -> None:
    kept = page(PAGE)
    detent("diagram", "--write", "docs")
    written = kept.read_text()
    Path("order.json").write_text(Path("order.json").read_text().replace("Close", "Finish"))
    result = detent("diagram", "--check", "docs")
    assert result.exit_code == 1
    assert "docs/orders.md:3: the diagram of order.json is out of date\n" in result.output
    assert "    -    new --> closed : Close\n    +    new --> closed : Finish\n" in result.output
    assert result.output.endswith("2 diagrams, 2 out of date: --write draws them again\n")
    assert kept.read_text() == written


def test_a_mark_without_a_block_is_missing_and_is_given_one(detent: Detent, order: WorkflowDefinition) -> None:
    kept = page("Look:\n\n<!-- detent diagram: order.json -->\n\nAnd:\n\n```python\nprint()\n```\n")
    result = detent("diagram", "--check", "docs/orders.md")
    assert (result.exit_code, "docs/orders.md:3: the diagram of order.json is missing" in result.output) == (1, True)
    assert detent("diagram", "--write", "docs/orders.md").exit_code == 0
    assert kept.read_text() == (
        f"Look:\n\n<!-- detent diagram: order.json -->\n```mermaid\n{to_mermaid(order)}```\n\nAnd:\n\n```python\nprint()\n```\n"
    )
    assert detent("diagram", "--check", "docs").exit_code == 0


def test_a_graph_in_dot_is_kept_as_well(detent: Detent, order: WorkflowDefinition) -> None:
    kept = page("<!-- detent diagram: order.json --format dot -->\n")
    detent("diagram", "--write", "docs")
    assert kept.read_text().split("\n", 1)[1] == f"```dot\n{to_dot(order)}```\n"
    assert detent("diagram", "--check", "docs").exit_code == 0


def test_a_directive_of_myst_is_given_no_front_matter(detent: Detent) -> None:
    kept = page("<!-- detent diagram: order.json -->\n```{mermaid}\n```\n")
    detent("diagram", "--write", "docs")
    assert kept.read_text().split("\n")[1:3] == ["```{mermaid}", "stateDiagram-v2"]
    assert detent("diagram", "--check", "docs").exit_code == 0


def test_a_mark_inside_of_a_fence_is_text(detent: Detent) -> None:
    page("````markdown\n<!-- detent diagram: gone.json -->\n```mermaid\n```\n````\n")
    result = detent("diagram", "--check", "docs")
    assert (result.exit_code, result.output) == (
        0,
        "no diagram is marked: put <!-- detent diagram: SOURCE --> above one, or .. detent diagram: SOURCE in a page of rst\n",
    )


def test_a_block_that_is_not_closed_is_not_touched(detent: Detent) -> None:
    text = "<!-- detent diagram: order.json -->\n```mermaid\nold\n\nAnd the rest of the page.\n"
    kept = page(text)
    result = detent("diagram", "--write", "docs")
    assert result.exit_code == 1
    assert "docs/orders.md:1: the block after this mark is not closed" in result.output
    assert kept.read_text() == text


def test_nothing_in_a_definition_ends_its_block(detent: Detent) -> None:
    written = json.loads(Path("order.json").read_text()) | {"description": "```` and so on"}
    Path("order.json").write_text(json.dumps(written))
    kept = page("<!-- detent diagram: order.json -->\n```mermaid\n```\nText.\n")
    detent("diagram", "--write", "docs")
    assert kept.read_text().split("\n")[1] == "`````mermaid"
    assert kept.read_text().endswith("\n`````\nText.\n")
    assert detent("diagram", "--check", "docs").exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("gone.json", "gone.json cannot be read"),
        ("gone:order", "gone cannot be imported"),
        ("order.json --style round", "'round' is not one of"),
        ("order.json --output x", "No such option"),
        ("order.json door.json", "Got unexpected extra argument"),
        ("-", "a page cannot read standard input"),
        ("'order.json", "cannot be split into words"),
        ("", "Missing argument"),
    ],
)
@pytest.mark.parametrize("mode", ["--check", "--write"])
def test_a_mark_that_cannot_be_drawn_is_told_with_its_place(detent: Detent, mode: str, words: str, said: str) -> None:
    text = f"\n<!-- detent diagram: {words} -->\n```mermaid\nkept\n```\n"
    kept = page(text)
    result = detent("diagram", mode, "docs")
    assert result.exit_code == 1
    assert result.output.startswith("docs/orders.md:2: ")
    assert said in result.output
    assert kept.read_text() == text


def test_json_tells_of_each_diagram_where_it_is_and_how_it_was_found(detent: Detent) -> None:
    mark = "<!-- detent diagram: order.json -->\n"
    page(f"{mark}```mermaid\n```\n")
    detent("diagram", "--write", "docs")
    page(f"{mark}```mermaid\nold\n```\n{mark}\n<!-- detent diagram: gone.json -->\n", "docs/other.md")
    result = detent("diagram", "--check", "docs", "--json")
    answer = json.loads(result.output)
    assert (result.exit_code, answer["valid"]) == (1, False)
    current, changed, missing, faulty = answer["diagrams"]
    assert current == {
        "page": "docs/orders.md",
        "line": 1,
        "diagram": "order.json",
        "state": "current",
        "fault": None,
        "difference": [],
    }
    assert (changed["page"], changed["line"], changed["state"]) == ("docs/other.md", 1, "out_of_date")
    assert changed["difference"][:2] == ["--- docs/other.md as it is", "+++ docs/other.md as drawn"]
    assert "-old" in changed["difference"]
    assert (missing["line"], missing["state"]) == (5, "missing")
    assert (faulty["line"], faulty["state"], faulty["difference"]) == (7, "faulty", [])
    assert "gone.json cannot be read" in faulty["fault"]


def test_json_is_sound_where_all_is_as_drawn_or_was_drawn(detent: Detent) -> None:
    page(PAGE)
    written = detent("diagram", "--write", "docs", "--json")
    assert written.exit_code == 0
    assert [found["state"] for found in json.loads(written.output)["diagrams"]] == ["out_of_date", "out_of_date"]
    checked = detent("diagram", "--check", "docs", "--json")
    assert (checked.exit_code, json.loads(checked.output)["valid"]) == (0, True)


def test_line_ends_and_what_looks_like_them_are_kept(detent: Detent) -> None:
    kept = page("a\u2028b\x0bc\r\n<!-- detent diagram: order.json -->\r\n```mermaid\r\n```\r\nno end")
    detent("diagram", "--write", "docs")
    text = kept.read_bytes().decode()
    assert text.startswith("a\u2028b\x0bc\r\n")
    assert text.endswith("```\r\nno end")
    assert text.count("\n") == text.count("\r\n")
    assert detent("diagram", "--check", "docs").exit_code == 0


def test_folders_are_searched_without_what_is_hidden_or_installed(detent: Detent) -> None:
    for name in ["docs/deep/a.md", "docs/.venv/b.md", "docs/node_modules/c.md", "docs/d.txt", "docs/e.markdown"]:
        page(PAGE, name)
    page(PAGE, "README.md")
    result = detent("diagram", "--check", "docs", "README.md", "docs")
    assert result.output.endswith("6 diagrams, 6 out of date: --write draws them again\n")
    assert {line.split(":")[0] for line in result.output.splitlines() if "the diagram of" in line} == {
        "docs/deep/a.md",
        "docs/e.markdown",
        "README.md",
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("docs",),
        ("docs", "--check", "--write"),
        ("docs", "--check", "--output", "x"),
        ("docs", "--check", "--png", "x"),
        ("docs", "--check", "--style", "flowchart"),
        ("docs", "order.json", "--check"),
        ("order.json", "order.json"),
        ("order.json", "--write"),
        ("order.json", "--json"),
        ("order.json", "--json", "--check", "--output", "x"),
    ],
)
def test_what_makes_no_sense_is_a_mistake_of_use(detent: Detent, arguments: tuple[str, ...]) -> None:
    page(PAGE)
    assert detent("diagram", *arguments).exit_code == 2


def test_a_page_that_cannot_be_read_is_told_in_one_sentence(detent: Detent) -> None:
    Path("latin.md").write_bytes(b"caf\xe9")
    for name in ("latin.md", "gone.md"):
        result = detent("diagram", "--check", name)
        assert (result.exit_code, f"{name} cannot be read" in result.output) == (1, True)
