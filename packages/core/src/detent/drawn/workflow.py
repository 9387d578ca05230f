"""The base of the classes that `detent generate` makes of diagrams."""

from abc import ABCMeta
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Generic, TypeVar

from detent.definition.model import WorkflowDefinition
from detent.drawn.drawing import Drawing
from detent.drawn.fitting import check_fit
from detent.drawn.payloads import take_payload, written
from detent.drawn.serving import current, serving
from detent.errors import InvalidValue, RegistrationInvalid, UnknownWorkflow
from detent.json_values import JsonValue
from detent.notation.python_class.canonical import TAKE_PAYLOAD
from detent.registry.context import CommandContext
from detent.registry.registry import CommandOptions, Registry
from detent.runtime.handle import WorkflowHandle
from detent.runtime.workflow_verbs import WorkflowVerbs

Payload = TypeVar("Payload")

_MADE = "_detent_commands"


class DrawnClass(ABCMeta):
    """The type of drawn classes: what a runtime has to know of one is asked of the class itself."""

    @property
    def definitions(cls) -> list[WorkflowDefinition]:
        """The definition, as a list: what a runtime is given. Raises `RegistrationInvalid` where the class was not generated."""
        return [_definition(cls)]

    @property
    def commands(cls) -> list[Registry]:
        """The commands that call its methods. Raises `RegistrationInvalid` where the class does not fit its diagram."""
        if _MADE not in vars(cls):
            # Kept, so that registering the class in two ways gives the same commands twice.
            setattr(cls, _MADE, _registry(cls))
        return [vars(cls)[_MADE]]


def _registry(cls: type[Any]) -> Registry:
    drawing = _drawing(cls)
    check_fit(cls, drawing)
    registry = Registry()
    for step in drawing.steps:
        registry.command(step.command, serving(cls, step), CommandOptions(durable=True))
    registry.command(TAKE_PAYLOAD, take_payload)
    return registry


def _definition(cls: type[Any]) -> WorkflowDefinition:
    _drawing(cls)
    definition: WorkflowDefinition = cls.definition
    return definition


def _drawing(cls: type[Any]) -> Drawing:
    drawing = getattr(cls, "drawing", None)
    if not isinstance(drawing, Drawing):
        hint = "inherit from a class that `detent generate` has made of a diagram"
        raise RegistrationInvalid(cls.__name__, "it has no drawing", hint=hint)
    return drawing


class DrawnWorkflow(Generic[Payload], metaclass=DrawnClass):
    """What a generated class inherits from; `Payload` is what the workflow is submitted with.

    Inherit from the generated class, write its methods, and give your class to `runtime.register`. A method is one step: it
    gets the context of the instance as its payload, and what it answers becomes the context, the payload of the next state.
    Each execution of a step makes an object of its own: nothing is kept on `self` from one to another.
    """

    definition: ClassVar[WorkflowDefinition]
    """What the diagram says; the generated class has it."""
    drawing: ClassVar[Drawing]
    """Which methods do the work of which states; the generated class has it, too."""

    @property
    def ctx(self) -> CommandContext:
        """The context of the step that is at work: its instance, its attempt, `publish`, `start_child` and so on.

        Raises `InvalidValue` outside of a step.
        """
        found = current.get(None)
        if found is None:
            raise InvalidValue("ctx", "is there while a step is at work", hint="a test calls the method and needs none")
        return found

    @classmethod
    async def submit(
        cls,
        runtime: WorkflowVerbs,
        payload: Payload,
        *,
        key: str | None = None,
        key_ttl: timedelta | str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        trigger_metadata: Mapping[str, JsonValue] | None = None,
        connection: object | None = None,
    ) -> WorkflowHandle:
        """The handle of a new instance, which begins with `payload`; a worker does the rest.

        `payload` is kept as it is now. Under a `key` that this workflow has seen, the instance that was made then is
        answered, wherever it is by now, whatever the payload; a key is known for `key_ttl`, by default for
        `Settings.keep_receipts`. `metadata` are labels that never change, `trigger_metadata` says who and why; `connection` lends
        a transaction: the caller commits. `runtime` is a `WorkflowRuntime` or a `WorkflowService`.

        Raises `InvalidValue`, with the path of what is no JSON, and `UnknownWorkflow` where the class was not registered.
        """
        try:
            instance = await runtime.create_instance(
                _definition(cls).name,
                context=written(payload, "payload"),
                metadata=None if metadata is None else dict(metadata),
                trigger_metadata=None if trigger_metadata is None else dict(trigger_metadata),
                idempotency_key=key,
                idempotency_ttl=key_ttl,
                connection=connection,
            )
        except UnknownWorkflow as unknown:
            unknown.hint = f"register the class before the runtime is entered: runtime.register({cls.__name__})"
            raise
        return runtime.get_handle(instance)
