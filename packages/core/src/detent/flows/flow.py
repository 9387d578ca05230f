"""A flow as it was written: steps by id, what each of them does, and which comes next. Nothing here can be called."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Self, TypeAlias

from pydantic import BeforeValidator, Field, ValidationError
from pydantic_core import to_json

from detent.definition.duration import Duration
from detent.definition.part import JsonObjectField, JsonValueField, Part, constructor
from detent.definition.reading import read_json
from detent.definition.selectors import Selector, SelectorLike
from detent.definition.shape import shape_problems
from detent.definition.version import VersionKey, VersionText, version_key
from detent.errors import DefinitionInvalid
from detent.flows.errors import FlowInvalid
from detent.json_values import JsonObject
from detent.retry import Retry

MAX_STEPS = 1000
"""How many steps a flow may begin, unless it says otherwise."""


def _selector(written: object) -> object:
    """A selector in FlowMonkey's spelling, `{"type": "key", "key": …}`, in ours."""
    if not isinstance(written, Mapping) or "type" not in written:
        return written
    rest = {key: value for key, value in written.items() if key != "type"}
    match written["type"], list(rest):
        case "full", []:
            return {"full": True}
        case "static", ["value"]:
            return {"static": rest["value"]}
    return rest


StepSelector: TypeAlias = Annotated[Selector, BeforeValidator(_selector)]
"""A selector, in our spelling or FlowMonkey's."""


class StepRetry(Part):
    """How a step that failed is repeated; the names and defaults are FlowMonkey's."""

    max_attempts: int = Field(ge=0)
    """How many further attempts there are after the first."""
    backoff_ms: int = Field(default=0, ge=0)
    """Milliseconds before the first repetition; 0 repeats at once."""
    backoff_multiplier: float = Field(default=2.0, ge=1, allow_inf_nan=False)
    """What each further delay is multiplied by."""
    max_backoff_ms: int = Field(default=60_000, ge=0)
    """The longest delay."""
    retry_on: tuple[str, ...] | None = None
    """Only failures with these codes are repeated; `None` for all."""
    jitter: float = Field(default=0.0, ge=0, le=1)
    """The share of a delay, up or down, that is left to chance."""

    @property
    def policy(self) -> Retry:
        """The same as the runtime's workers take it."""
        # A written policy has no delay of nothing.
        least = timedelta(milliseconds=1)
        return Retry(
            attempts=self.max_attempts + 1,
            initial=max(timedelta(milliseconds=self.backoff_ms), least),
            factor=self.backoff_multiplier,
            maximum=max(timedelta(milliseconds=self.max_backoff_ms), least),
            jitter=self.jitter,
        )


class Step(Part):
    """One step: which handler does it, with what, and what comes next."""

    id: str | None = None
    """The key that it stands under, if it is said again."""
    type: str
    """The handler that does it."""
    config: JsonObjectField = Field(default_factory=dict)
    """JSON for the handler, passed on as it is."""
    input: StepSelector | None = None
    """Which part of the context the handler is given; nothing where nothing is said."""
    output_key: str | None = None
    """Where in the context the output is put, as a path; nowhere where nothing is said."""
    on_success: str | None = None
    """The step after this one; without one the flow ends well."""
    on_failure: str | None = None
    """The step that deals with a failure; without one the flow fails."""
    on_resume: str | None = None
    """The step after a wait; without one that of `on_success`."""
    retry: StepRetry | None = None
    """How a failure is repeated; not at all where nothing is said."""
    timeout: Duration | None = None
    """After what time an attempt fails with `TIMEOUT`; instead of what the handler says."""
    tags: tuple[str, ...] = ()
    """Words to find and group steps by."""
    name: str | None = None
    """For people."""
    description: str | None = None
    """What it is for, for people."""

    @constructor
    def __init__(
        self,
        type: str,  # noqa: A002 - the key that is written in JSON
        *,
        config: Mapping[str, Any] | None = None,
        input: SelectorLike | None = None,
        output_key: str | None = None,
        on_success: str | None = None,
        on_failure: str | None = None,
        on_resume: str | None = None,
        retry: StepRetry | Mapping[str, Any] | None = None,
        timeout: timedelta | str | None = None,
        tags: Sequence[str] = (),
        name: str | None = None,
        description: str | None = None,
    ) -> None:
        super().__init__(
            type=type,
            config=config,
            input=input,
            output_key=output_key,
            on_success=on_success,
            on_failure=on_failure,
            on_resume=on_resume,
            retry=retry,
            timeout=timeout,
            tags=tags,
            name=name,
            description=description,
        )

    @classmethod
    def expand(cls, written: object) -> object:
        """The step with FlowMonkey's `transitions` beside its other keys."""
        if not isinstance(written, Mapping) or not isinstance(written.get("transitions"), Mapping):
            return written
        return {**{key: value for key, value in written.items() if key != "transitions"}, **written["transitions"]}


class Flow(Part):
    """Steps by id, and the one that comes first."""

    id: str
    """The name it is started under."""
    version: VersionText = "1"
    """A positive integer or a semantic version, ordered as such. An execution stays on the version it was started with."""
    initial_step_id: str
    """The first step."""
    steps: dict[str, Step]
    """All steps, by id."""
    name: str | None = None
    """For people."""
    description: str | None = None
    """What it is for, for people."""
    tags: tuple[str, ...] = ()
    """Words to find and group flows by."""
    max_steps: int = Field(default=MAX_STEPS, ge=1)
    """How many steps it may begin, so that a loop ends: then it fails with `MAX_STEPS`."""
    publish: str | None = Field(default=None, min_length=1, max_length=200)
    """Publish every transition to the outbox, under the topic `PUBLISH.EVENT`, in the commit of the step."""
    status: str | None = None
    """Read from FlowMonkey's flows and carried along: `draft`, `published`, `archived`."""
    visual: JsonValueField = None
    """An editor's own, carried along."""
    pipes: JsonValueField = None
    """Read from FlowMonkey's flows and carried along; tables are not part of this."""

    @constructor
    def __init__(
        self,
        id: str,  # noqa: A002 - the key that is written in JSON
        *,
        initial_step_id: str,
        steps: Mapping[str, Step | Mapping[str, Any]],
        version: int | str = "1",
        name: str | None = None,
        description: str | None = None,
        tags: Sequence[str] = (),
        max_steps: int = MAX_STEPS,
        publish: str | None = None,
    ) -> None:
        super().__init__(
            id=id,
            initial_step_id=initial_step_id,
            steps=steps,
            version=version,
            name=name,
            description=description,
            tags=tags,
            max_steps=max_steps,
            publish=publish,
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The flow in `data`, in FlowMonkey's spelling or ours. Raises `FlowInvalid` with all that cannot be read."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise FlowInvalid(_id_in(data), shape_problems(error)) from None

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """The flow in a JSON text. Raises `FlowInvalid`."""
        try:
            return cls.from_dict(read_json(text))
        except DefinitionInvalid as error:
            raise FlowInvalid("?", error.problems) from None

    def to_dict(self) -> JsonObject:
        """The flow as JSON values without defaults; `from_dict` reads back an equal one."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def to_json(self, *, indent: int | None = None) -> str:
        """The flow as a JSON text without defaults."""
        return to_json(self.to_dict(), indent=indent).decode()

    @property
    def version_key(self) -> VersionKey:
        """A value that sorts flows of one name by version."""
        return version_key(self.version)


def _id_in(data: object) -> str:
    name = data.get("id") if isinstance(data, Mapping) else None
    return name if isinstance(name, str) else "?"
