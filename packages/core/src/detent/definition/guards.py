"""Guards: named predicates, alone or combined, that may refuse an event."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, Discriminator, Field, Tag

from detent.definition.named import Named
from detent.definition.part import Part, constructor
from detent.definition.shape import TAG, fault


def _not_empty(guards: tuple[Any, ...]) -> tuple[Any, ...]:
    if not guards:
        raise fault("no_guards", "must name at least one guard")
    return guards


_Several = Annotated[
    "tuple[GuardExpression, ...]", AfterValidator(_not_empty), Field(json_schema_extra={"minItems": 1})
]


class GuardRef(Named):
    """A guard by the name it is registered under: `GuardRef("is_paid")`."""

    @constructor
    def __init__(self, name: str, *, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(name=name, metadata=metadata)


class AllOf(Part):
    """Passes when every one of its guards passes; they are asked in order until one refuses."""

    all_of: _Several
    """The guards, in the order they are asked."""

    @constructor
    def __init__(self, *, all_of: "Sequence[GuardLike]") -> None:
        super().__init__(all_of=all_of)


class AnyOf(Part):
    """Passes when one of its guards passes; they are asked in order until one does."""

    any_of: _Several
    """The guards, in the order they are asked."""

    @constructor
    def __init__(self, *, any_of: "Sequence[GuardLike]") -> None:
        super().__init__(any_of=any_of)


class Not(Part):
    """Passes when its guard refuses."""

    not_: "GuardExpression"
    """The guard whose answer is turned round."""

    @constructor
    def __init__(self, *, not_: "GuardLike") -> None:
        super().__init__(not_=not_)


_KINDS = {"all_of": "AllOf", "allOf": "AllOf", "any_of": "AnyOf", "anyOf": "AnyOf", "not_": "Not", "not": "Not"}


def _kind(written: object) -> str:
    if isinstance(written, Mapping):
        return TAG + next((_KINDS[key] for key in written if key in _KINDS), "GuardRef")
    return TAG + (type(written).__name__ if isinstance(written, AllOf | AnyOf | Not) else "GuardRef")


GuardExpression: TypeAlias = Annotated[
    Annotated[GuardRef, Tag(TAG + "GuardRef")]
    | Annotated[AllOf, Tag(TAG + "AllOf")]
    | Annotated[AnyOf, Tag(TAG + "AnyOf")]
    | Annotated[Not, Tag(TAG + "Not")],
    Discriminator(_kind),
]
"""A guard by name, or several combined."""
GuardLike: TypeAlias = str | Mapping[str, Any] | GuardRef | AllOf | AnyOf | Not
"""What may be written where a guard is wanted."""

for _part in (AllOf, AnyOf, Not):
    _part.model_rebuild()


def guard_refs(expression: GuardExpression | None) -> Iterator[GuardRef]:
    """The guards named in `expression`, in the order they are asked; none for `None`."""
    match expression:
        case GuardRef():
            yield expression
        case AllOf(all_of=inner) | AnyOf(any_of=inner):
            for each in inner:
                yield from guard_refs(each)
        case Not(not_=single):
            yield from guard_refs(single)
