"""A diagram as it was written: its statements, each with its place. Nothing is looked up or joined yet."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from detent.notation.mermaid_reader.source import Place

Kind: TypeAlias = Literal["choice", "fork", "join"]
EDGE = "[*]"
"""The id of the start and of the end."""


@dataclass(frozen=True, slots=True)
class Name:
    """A state where it is named: alone, or at an end of an arrow."""

    id: str
    place: Place
    classes: tuple[str, ...] = ()
    text: str | None = None
    """What follows the colon, where it stands alone: `id : text`."""


@dataclass(frozen=True, slots=True)
class Arrow:
    """`source --> target : label`."""

    source: Name
    target: Name
    place: Place
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Pseudo:
    """`state id <<choice>>`."""

    id: str
    kind: Kind
    place: Place


@dataclass(frozen=True, slots=True)
class Titled:
    """`state "title" as id`."""

    id: str
    title: str
    place: Place
    more: str | None = None
    """What follows a colon after the id."""


@dataclass(frozen=True, slots=True)
class Composite:
    """`state id { … }`."""

    id: str
    body: "tuple[Statement, ...]"
    place: Place
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Divider:
    """`--` between two regions."""

    place: Place


@dataclass(frozen=True, slots=True)
class Note:
    """`note left of id : text`, or with lines up to `end note`."""

    id: str
    side: str
    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Word:
    """A word after `state` alone, which declares nothing: `state id`."""

    text: str
    place: Place


@dataclass(frozen=True, slots=True)
class Look:
    """What only changes how the diagram looks: directions, styles, links, `scale`."""

    kind: Literal["direction", "classDef", "class", "style", "click", "href", "scale", "hide", "floating"]
    place: Place
    subject: str = ""
    value: str = ""
    more: str = ""


@dataclass(frozen=True, slots=True)
class Accessible:
    """`accTitle: …` or `accDescr: …`."""

    kind: Literal["title", "description"]
    text: str
    place: Place


Statement: TypeAlias = Name | Arrow | Pseudo | Titled | Composite | Divider | Note | Word | Look | Accessible
"""One statement of a diagram."""
