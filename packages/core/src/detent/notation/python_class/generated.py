"""What becomes of one diagram: two modules, or everything that is wrong with it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from detent.definition.validate import validate
from detent.errors import DefinitionInvalid
from detent.notation.mermaid_reader.diagram import parse
from detent.notation.mermaid_reader.reader import read_mermaid
from detent.notation.python_class.base_module import base_module
from detent.notation.python_class.carried import carrier
from detent.notation.python_class.naming import Names, naming_problems
from detent.notation.python_class.options import PayloadStyle, wishes_of
from detent.notation.python_class.outline import Outline, PayloadOutline
from detent.notation.python_class.outlining import outline_of
from detent.notation.python_class.payload_module import missing_payloads, payload_module, payload_stub, style_of
from detent.notation.python_class.sketch import Sketch, sketch_of
from detent.notation.python_class.spelling import pascal, snake
from detent.problems import Problem

_SUFFIX = "Workflow"


@dataclass(frozen=True, slots=True)
class Generated:
    """A diagram that was understood, and what its modules hold."""

    outline: Outline
    module: str
    """What the names of both modules begin with."""
    style: PayloadStyle | None
    """The style of payloads that the diagram asks for; `None` where it leaves that to the caller."""
    warnings: tuple[Problem, ...]

    @property
    def class_name(self) -> str:
        """What the user's class is called; the generated one has `Base` behind it."""
        return self.outline.class_name

    @property
    def base_name(self) -> str:
        """The module of the generated class."""
        return f"{self.module}_base"

    @property
    def payloads_name(self) -> str:
        """The module of the payloads."""
        return f"{self.module}_payloads"

    def base(self, *, source: str, package: str = "") -> str:
        """The text of the module with the class, which is made again and again.

        `source` is the file of the diagram; `package` stands before the name of the module of payloads: `shop.`, or a dot.
        """
        return base_module(self.outline, source=source, payloads_module=f"{package}{self.payloads_name}")

    def payloads(self, style: PayloadStyle) -> str:
        """The text of the module with payloads, which is written once."""
        return payload_module(self.outline, self.style or style)

    def missing(self, written: str) -> Sequence[PayloadOutline]:
        """The payloads that a module which is there already lacks. Raises `SyntaxError`."""
        return missing_payloads(self.outline, written)

    def stubs(self, missing: Sequence[PayloadOutline], written: str) -> str:
        """What to add to it for them."""
        return "\n\n".join(payload_stub(one, style_of(written)) for one in missing)


def generate(text: str, *, name: str, first_line: int = 1) -> Generated:
    """The class that a diagram asks for. `name` is that of its file, for the modules, and for a diagram without a title.

    Raises `DefinitionInvalid` with every problem, each with its line and column.
    """
    reading = read_mermaid(text, name=name, first_line=first_line)
    definition, diagram = reading.definition, parse(text, first_line=first_line)
    top = f"line {first_line}, column 1"
    wishes, problems = wishes_of(diagram.head.details.get("python"), top)
    sketch = sketch_of(diagram)
    names = Names(wishes.names, definition, sketch)
    problems += [problem for problem in validate(definition) if problem.severity == "error"]
    if definition.entries:
        message = f"the workflow begins in several states: {', '.join(map(repr, definition.starts))}"
        problems.append(
            Problem(top, "several_starts", message, "a class is submitted to one: keep one arrow from `[*]`")
        )
    if not problems and carrier(definition, definition.initial_state) is None:
        message = "the workflow ends where it begins, and does nothing between"
        problems.append(Problem(top, "no_step", message, "draw a state with a way out of it"))
    class_name = wishes.class_name or _class_name(definition.name)
    module = wishes.module or snake(name)
    problems += _of_whole(class_name, module, top)
    problems += naming_problems(definition, sketch, names) if not problems else []
    if problems:
        raise DefinitionInvalid(definition.name, problems)
    outline = outline_of(definition, sketch, names, class_name)
    return Generated(outline, module, wishes.payloads, (*reading.warnings, *_beside_work(outline, sketch)))


def _beside_work(outline: Outline, sketch: Sketch) -> Iterator[Problem]:
    """Events of states that are left as soon as their work is done: what was meant is often a decision of that work."""
    for step in outline.steps:
        state = outline.definition.states[step.state]
        left = state.on_enter is not None and state.on_enter.target is not None and not state.fork
        for event in sorted(state.events.keys() - outline.decided.get(step.state, frozenset())) if left else ():
            message = f"the event {event!r} can only be taken while the work of {step.state!r} is put off: it leads on by itself"
            hint = "what the work decides is drawn behind a <<choice>>"
            yield Problem(str(sketch.places[step.state]), "event_beside_work", message, hint, "warning")


def _class_name(title: str) -> str:
    name = pascal(snake(title))
    return name.removesuffix(_SUFFIX) or name


def _of_whole(class_name: str, module: str, place: str) -> list[Problem]:
    found: list[Problem] = []
    for what, name, suffix, key in (
        ("the title", class_name, "Base", "class"),
        ("the name of the file", module, "_base", "module"),
    ):
        if not name or not f"{name}{suffix}".isidentifier():
            hint = f'write `detent: {{"python": {{"{key}": "…"}}}}` into the front matter'
            message = f"{what} gives {name!r}, which begins no name of a {key} in Python"
            found.append(Problem(place, "python_name", message, hint))
    return found
