"""What the configs and inputs of handlers that call somebody are made of."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, ConfigDict, model_validator

from detent.definition.duration import Duration
from detent.definition.shape import fault
from detent_handlers.config import HandlerConfig

_LEAST_MILLISECONDS = 100


class CallInput(HandlerConfig):
    """A step's input: what it says wins over the config, keys of others are left alone, and nothing says nothing."""

    model_config = ConfigDict(extra="ignore")

    @model_validator(mode="before")
    @classmethod
    def _nothing_said(cls, written: object) -> object:
        return {} if written is None else written


def _milliseconds(written: object) -> object:
    """FlowMonkey writes milliseconds. Fewer than it allows are probably seconds, and left to be refused for want of a unit."""
    if isinstance(written, int) and not isinstance(written, bool) and written >= _LEAST_MILLISECONDS:
        return timedelta(milliseconds=written)
    return written


def _positive(length: timedelta) -> timedelta:
    if length <= timedelta():
        raise fault("out_of_range", "must be longer than nothing")
    return length


CallTime = Annotated[Duration, BeforeValidator(_milliseconds), AfterValidator(_positive)]
"""A length of time, longer than nothing; a number is milliseconds, as in FlowMonkey, from 100 on."""


class SecretName(HandlerConfig):
    """A secret by its name, so that none stands in a flow: the application gives the handler the secrets themselves."""

    secret: str
    """The name."""
    prefix: str = ""
    """What stands before the secret: `"Bearer "`."""


class Secrets:
    """Secrets by name; showing them does not show them."""

    def __init__(self, by_name: Mapping[str, str] | None = None) -> None:
        self._by_name = by_name if by_name is not None else {}

    def __repr__(self) -> str:
        return f"<Secrets {sorted(self._by_name)}>"

    def get(self, name: str) -> str | None:
        """The secret of that name."""
        return self._by_name.get(name)
