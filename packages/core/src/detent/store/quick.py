"""Frozen records that are made quickly: every step makes half a dozen of them."""

from dataclasses import MISSING, fields
from typing import Any, TypeVar

T = TypeVar("T")


def quickly_made(cls: type[T]) -> type[T]:
    """A frozen dataclass with slots, made four times as fast; nothing else about it changes. It may not be inherited from.

    What costs is not the freezing but that every field is set around it, by a call. So the new object is, until it is
    filled, of a class with the same slots and without the ban, where setting a field is one instruction.
    """
    declared = fields(cls)  # type: ignore[arg-type]
    blank = type(f"_Blank{cls.__name__}", (), {"__slots__": tuple(field.name for field in declared)})
    known: dict[str, Any] = {"blank": blank, "cls": cls, "set_around": object.__setattr__}
    known |= {f"default_{field.name}": field.default for field in declared}
    known |= {f"make_{field.name}": field.default_factory for field in declared}
    parameters = [
        f"{field.name}=default_{field.name}"
        if (field.default, field.default_factory) != (MISSING, MISSING)
        else field.name
        for field in declared
    ]
    made_anew = [field.name for field in declared if field.default_factory is not MISSING]
    lines = [
        f"def __init__(self, {', '.join(parameters)}):",
        "set_around(self, '__class__', blank)",
        *(f"self.{field.name} = {field.name}" for field in declared),
        # Where nothing was given, what stands there is the mark for that.
        *(f"if {name} is default_{name}: self.{name} = make_{name}()" for name in made_anew),
        "self.__class__ = cls",
        *(["self.__post_init__()"] if hasattr(cls, "__post_init__") else []),
    ]
    # As the standard library makes the `__init__` of a dataclass: of names that are written in this program's own source.
    exec("\n    ".join(lines), known)  # noqa: S102
    made = known["__init__"]
    made.__qualname__, made.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    made.__annotations__ = {**cls.__init__.__annotations__}
    setattr(cls, "__init__", made)  # noqa: B010 (mypy knows better than to let it be assigned)
    return cls
