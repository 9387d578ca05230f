"""What is asked of a language model, and what it answers, whoever serves it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, Protocol

from detent.errors import DetentError
from detent.flows.results import Failure
from detent.json_values import JsonObject, JsonValue

END = "end"
LENGTH = "length"
REFUSAL = "refusal"
FILTER = "filter"


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn of a conversation."""

    role: Literal["user", "assistant"]
    content: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a model is asked."""

    model: str
    """What the step calls the model."""
    messages: Sequence[ChatMessage]
    system: str | None = field(default=None, repr=False)
    """What it is told about its part."""
    temperature: float | None = None
    max_tokens: int | None = None
    """How long the answer may be."""
    schema: JsonObject | None = None
    """The JSON Schema that the answer is to follow; free text where there is none."""
    key: str | None = None
    """The same on every attempt, for those who know repeated requests by it."""
    timeout: timedelta = timedelta(minutes=2)
    longest_wait: timedelta = timedelta(hours=1)
    """How long a `Retry-After` may make the step wait."""


@dataclass(frozen=True, slots=True)
class Usage:
    """How many tokens were read and written."""

    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """What a model answered."""

    text: str
    """Its words; where a schema was given, the JSON as it was written."""
    model: str
    """Who answered, in the words of whoever serves it."""
    usage: Usage = Usage()
    stop_reason: str = END
    """Why it stopped: `end`, `length` (of tokens), `refusal`, `filter`, or the server's own word."""
    data: JsonValue = None
    """The answer that follows the schema, not yet validated; `None` where there is none."""


class ChatModel(Protocol):
    """A language model."""

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """The answer, whole.

        Raises `ChatFailed`, or what `SafeClient.request` raises.
        """
        ...


class ChatFailed(DetentError):
    """There is no answer; `failed` is what the step is told."""

    code = "chat_failed"

    def __init__(self, failed: Failure) -> None:
        super().__init__(f"{failed.code}: {failed.message}")
        self.failed = failed
