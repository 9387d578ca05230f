"""The module with the generated class, as text."""

from detent.notation.python_class.canonical import canonical, command_of
from detent.notation.python_class.outline import Choice, Option, Outline, StepOutline
from detent.notation.python_class.source_text import docstring, imported, literal, quoted


def base_module(outline: Outline, *, source: str, payloads_module: str) -> str:
    """The text of the module; `source` is the file of the diagram, and `payloads_module` what payloads are imported from."""
    shown = "".join(char if char.isprintable() else "?" for char in source)
    head = (
        f"# Made by `detent generate` from {shown}: do not edit, it is made again when the diagram changes.\n"
        "# ruff: noqa\n"
        "# fmt: off\n"
    )
    title = f"The class that runs the workflow `{outline.definition.name}`; inherit from it and write its methods."
    imports = head + docstring(title, 0) + "\n" + _imports(outline, payloads_module)
    return "\n\n".join([imports, *map(_choice, outline.choices), _class(outline, source)])


def _imports(outline: Outline, payloads_module: str) -> str:
    standard = imported("abc", ["abstractmethod"] if outline.steps else [])
    standard += imported("typing", ["ClassVar", *(["final"] if outline.choices else [])])
    drawn = ["Drawing", "DrawnWorkflow", "Step"] if outline.steps else ["Drawing", "DrawnWorkflow"]
    if outline.choices:
        drawn += ["Decision", "Options"]
    ours = imported("detent", ["WorkflowDefinition"]) + imported("detent.drawn", drawn)
    theirs = imported(payloads_module, _payloads_used(outline))
    return "\n".join(part for part in (standard, ours, theirs) if part)


def _payloads_used(outline: Outline) -> list[str]:
    of_steps = [step.payload for step in outline.steps]
    answered = [step.answers for step in outline.steps if step.answers is not None and step.choice is None]
    taken = [each.payload for choice in outline.choices for each in choice.options if each.payload is not None]
    return [outline.first_payload, *of_steps, *answered, *taken]


def _choice(choice: Choice) -> str:
    text = "@final\n"
    text += f"class {choice.decision}(Decision):\n"
    text += docstring(f"What was decided on at `{choice.name}`. Only `self.{choice.attribute}` makes one.", 4)
    text += "\n\n@final\n"
    text += f"class {choice.options_type}(Options):\n"
    text += docstring(f"The ways out of `{choice.name}`.", 4)
    return text + "".join(_option(choice, option) for option in choice.options)


def _option(choice: Choice, option: Option) -> str:
    takes, gives = (f", payload: {option.payload}, /", ", payload") if option.payload else ("", "")
    said = f"`{option.event}`" if option.event is not None else "Nothing else"
    event = "None" if option.event is None else quoted(option.event)
    leads = f"go on to `{option.target}`." if option.payload else "the workflow ends."
    return (
        f"\n    def {option.method}(self{takes}) -> {choice.decision}:\n"
        + docstring(f"{said}: {leads}", 8)
        + f"        return self._decided({choice.decision}, {event}{gives})\n"
    )


def _class(outline: Outline, source: str) -> str:
    definition = outline.definition
    text = f"class {outline.base}(DrawnWorkflow[{outline.first_payload}]):\n"
    text += docstring(definition.description or f"The workflow `{definition.name}`.", 4)
    for choice in outline.choices:
        text += f"\n    {choice.attribute}: ClassVar[{choice.options_type}] = {choice.options_type}()\n"
        text += docstring(f"What the work before `{choice.name}` decides by.", 4)
    text += "".join(_method(step) for step in outline.steps)
    return text + _definition(outline) + _drawing(outline, source)


def _method(step: StepOutline) -> str:
    answer = step.answers or "None"
    return (
        "\n    @abstractmethod\n"
        f"    async def {step.method}(self, payload: {step.payload}, /) -> {answer}:\n"
        + docstring(_told(step), 8)
        + "        ...\n"
    )


def _told(step: StepOutline) -> str:
    said = f"The work of `{step.state}`; {step.leads}"
    return f"{said}\n\n{step.description}" if step.description else said


def _definition(outline: Outline) -> str:
    said = literal(canonical(outline.definition, outline.decided), 8)
    return f"\n    definition: ClassVar[WorkflowDefinition] = WorkflowDefinition.from_dict(\n        {said}\n    )\n"


def _drawing(outline: Outline, source: str) -> str:
    text = f"\n    drawing: ClassVar[Drawing] = Drawing(\n        source={quoted(source)},\n"
    steps = "".join(f"            {_step(outline, step)},\n" for step in outline.steps)
    text += f"        steps=(\n{steps}        ),\n" if steps else "        steps=(),\n"
    text += f"        idle={literal(dict(outline.idle), 8)},\n" if outline.idle else ""
    return text + "    )\n"


def _step(outline: Outline, step: StepOutline) -> str:
    command = command_of(outline.definition.name, step.state)
    answers = f", answers={step.answers}" if step.answers is not None else ""
    return f"Step({quoted(step.state)}, {quoted(command)}, {quoted(step.method)}, payload={step.payload}{answers})"
