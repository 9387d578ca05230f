"""`detent diagram`: where definitions come from, where diagrams go, and what goes wrong in one sentence."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from detent.definition.model import WorkflowDefinition
from detent.notation import to_dot, to_mermaid

Detent = Callable[..., Result]

MODULE = """
from pathlib import Path
from types import SimpleNamespace
from detent.definition.model import WorkflowDefinition

order = WorkflowDefinition.from_file("order.json")
shop = SimpleNamespace(order=order)
number = 42
cls = WorkflowDefinition

def make():
    return order

def fail():
    raise RuntimeError("no\\x1b[2J luck")

def needs(argument):
    return order
"""


@pytest.fixture
def module(detent: Detent, request: pytest.FixtureRequest) -> str:
    """The name of a module in the working directory that no other test has imported."""
    name = f"workflows_{abs(hash(request.node.name))}"
    Path(f"{name}.py").write_text(MODULE)
    return name


@pytest.fixture
def expected(detent: Detent) -> str:
    return to_mermaid(WorkflowDefinition.from_file("order.json"))


def test_a_file_is_drawn(detent: Detent, expected: str) -> None:
    result = detent("diagram", "order.json")
    assert (result.exit_code, result.output) == (0, expected)


def test_standard_input_is_drawn(detent: Detent, expected: str) -> None:
    assert detent("diagram", "-", stdin=Path("order.json").read_text()).output == expected


@pytest.mark.parametrize("attribute", ["order", "make", "shop.order"])
def test_a_definition_in_a_module_is_drawn(detent: Detent, module: str, expected: str, attribute: str) -> None:
    assert detent("diagram", f"{module}:{attribute}").output == expected


def test_a_class_made_of_a_diagram_is_drawn_by_its_definition(detent: Detent, module: str, expected: str) -> None:
    made = "\nfrom detent.drawn import DrawnWorkflow\nclass Order(DrawnWorkflow[None]):\n    definition = order\n"
    Path(f"{module}.py").write_text(MODULE + made)
    assert detent("diagram", f"{module}:Order").output == expected


def test_options_reach_the_diagram(detent: Detent) -> None:
    result = detent("diagram", "order.json", "--style", "flowchart", "--direction", "TB")
    assert "flowchart TB" in result.output
    assert "detent:" not in detent("diagram", "order.json", "--hide-details").output


def test_a_diagram_can_be_written_for_graphviz(detent: Detent) -> None:
    definition = WorkflowDefinition.from_file("order.json")
    options = ["--format", "dot", "--direction", "TB", "--symbols", "text", "--hide-commands"]
    expected = to_dot(definition, direction="TB", symbols="text", show_commands=False)
    assert detent("diagram", "order.json", *options).output == expected


def test_a_diagram_can_be_kept_and_compared(detent: Detent, expected: str) -> None:
    kept = Path("order.mmd")
    assert detent("diagram", "order.json", "--output", "order.mmd", "--check").exit_code == 1
    assert not kept.exists()
    assert detent("diagram", "order.json", "--output", "order.mmd").output == ""
    assert kept.read_text("utf-8") == expected
    assert detent("diagram", "order.json", "--output", "order.mmd", "--check").exit_code == 0
    kept.write_text("old")
    result = detent("diagram", "order.json", "--output", "order.mmd", "--check")
    assert result.exit_code == 1
    assert "order.mmd is out of date" in result.output
    assert kept.read_text() == "old"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("gone.json", "gone.json cannot be read: No such file or directory"),
        ("order.txt", "order.txt holds no sound definition: '.txt' is no format"),
        ("gone:order", "gone cannot be imported: ModuleNotFoundError: No module named 'gone'"),
        (":order", "cannot be imported: ValueError"),
        ("{module}:ordr", "has no ordr; did you mean 'order'?"),
        ("{module}:", "has no "),
        ("{module}:number", "is a int and not a WorkflowDefinition"),
        ("{module}:cls", "is the class WorkflowDefinition and not a WorkflowDefinition"),
        ("{module}:fail", "could not be called without arguments: RuntimeError: no\\x1b[2J luck"),
        ("{module}:needs", "could not be called without arguments: TypeError"),
    ],
)
def test_what_goes_wrong_is_said_in_one_sentence(detent: Detent, module: str, source: str, sentence: str) -> None:
    result = detent("diagram", source.format(module=module))
    assert result.exit_code == 1
    assert sentence in result.output
    assert "Traceback" not in result.output


def test_check_needs_a_file_to_compare_with(detent: Detent) -> None:
    assert detent("diagram", "order.json", "--check").exit_code == 2


def test_a_file_that_cannot_be_written_is_said_in_one_sentence(detent: Detent) -> None:
    result = detent("diagram", "order.json", "--output", "no/such/folder.mmd")
    assert result.exit_code == 1
    assert "no/such/folder.mmd cannot be used" in result.output
