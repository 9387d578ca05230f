"""What the configs and inputs of handlers that call somebody are made of."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Tag, model_validator

from detent.definition.duration import Duration
from detent.definition.shape import TAG, fault
from detent.errors import InvalidValue
from detent_handlers.config import HandlerConfig
from detent_handlers.endpoint import read_endpoint
from detent_handlers.safe_client import checked_headers

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


def _kind_of_header(written: object) -> str | None:
    if isinstance(written, Mapping | SecretName):
        return TAG + "secret"
    return TAG + "text" if isinstance(written, str) else None


HeaderValue: TypeAlias = Annotated[
    Annotated[str, Tag(TAG + "text")] | Annotated[SecretName, Tag(TAG + "secret")],
    Discriminator(
        _kind_of_header,
        custom_error_type="wrong_type",
        custom_error_message='must be text, in quotes, or {"secret": the name of one}',
    ),
]
"""The value of a header, or the name of the secret that it holds."""


def sendable(headers: dict[str, Any]) -> dict[str, Any]:
    """The headers, if they can be sent: a validator for what stands in a config."""
    try:
        checked_headers({name: value if isinstance(value, str) else "" for name, value in headers.items()})
    except InvalidValue as error:
        name = error.path.removeprefix("headers")
        raise fault("bad_header", error.reason, inside=name) from None
    return headers


def callable_url(url: str) -> str:
    """The URL, if it is one that can be called, in clear text or not: a validator for what stands in a config."""
    try:
        read_endpoint(url, allow_http=True)
    except InvalidValue as error:
        raise fault("bad_url", error.reason, hint=error.hint) from None
    return url


class Secrets:
    """Secrets by name; showing them does not show them."""

    def __init__(self, by_name: Mapping[str, str] | None = None) -> None:
        self._by_name = by_name if by_name is not None else {}

    def __repr__(self) -> str:
        return f"<Secrets {sorted(self._by_name)}>"

    def get(self, name: str) -> str | None:
        """The secret of that name."""
        return self._by_name.get(name)
