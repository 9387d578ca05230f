"""Faults of shape, found while a definition is read: what pydantic reports, told as problems of the definition.

Union members carry tags that begin with `TAG`, a character no key can contain, so that they never show in a path.
"""

from collections.abc import Iterable, Mapping
from typing import Any, LiteralString, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ErrorType

from detent.problems import Problem, did_you_mean, near_misses

TAG = "\0"
"""What the tag of a union member begins with."""
TOO_DEEP = "nested_too_deeply"
"""The code of what cannot be read because it would never end."""

_STANDARD = frozenset(get_args(ErrorType))
_WANTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "dict_type": "an object",
    "model_type": "an object",
    "tuple_type": "a list",
}


def fault(code: LiteralString, message: str, *, hint: str | None = None, inside: str = "") -> PydanticCustomError:
    """The error for a validator to raise; it becomes a problem with this code, message and hint.

    `inside` is where in the value the fault is, written to be appended to the value's own path: `.a[0]`.
    """
    return PydanticCustomError(code, "{message}", {"message": message, "hint": hint, "inside": inside})


def hint_of(error: ValueError) -> str | None:
    """The hint of an error that `fault` made; `None` for any other."""
    context = error.context if isinstance(error, PydanticCustomError) else None
    return None if context is None else context.get("hint")


def shape_problems(error: ValidationError) -> list[Problem]:
    """What pydantic found, one problem per fault, in its order."""
    return [_problem(details) for details in error.errors(include_url=False)]


def with_near_misses(error: ValidationError, spellings: Mapping[str, str]) -> ValidationError:
    """The same error, in which unknown keys of the outermost part name the known keys that look like them."""
    if not any(_unknown_key(details) for details in error.errors(include_url=False)):
        return error
    lines = [_explained(details, spellings) for details in error.errors(include_url=False)]
    return ValidationError.from_exception_data(error.title, lines)


def dotted(location: Iterable[int | str]) -> str:
    """A place as text: `states.new.events.Cancel.commands[0]`."""
    path = ""
    for item in location:
        path += f"[{item}]" if isinstance(item, int) else f".{item}"
    return path.removeprefix(".")


def without_tags(location: Iterable[int | str]) -> tuple[int | str, ...]:
    """A place as the writer of the definition knows it, without the marks of unions and keys."""
    return tuple(item for item in location if item != "[key]" and not str(item).startswith(TAG))


def shown(value: object) -> str:
    """What a value is called in a message: `text`, `a list`, `5`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool | float) or (isinstance(value, int) and value.bit_length() <= 64):
        return repr(value)
    names: dict[type, str] = {int: "a number", str: "text", dict: "an object", list: "a list", tuple: "a list"}
    return names.get(type(value), _with_article(type(value).__name__))


def _with_article(noun: str) -> str:
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def _unknown_key(details: ErrorDetails) -> bool:
    return details["type"] == "extra_forbidden" and len(details["loc"]) == 1


def _explained(details: ErrorDetails, spellings: Mapping[str, str]) -> InitErrorDetails:
    context = details.get("ctx", {})
    kind: str | PydanticCustomError = details["type"]
    if _unknown_key(details):
        kind = _unknown(str(details["loc"][0]), spellings)
    elif kind not in _STANDARD:
        kind = PydanticCustomError(details["type"], "{message}", {"message": details["msg"], **context})
    return InitErrorDetails(type=kind, loc=details["loc"], input=details["input"], ctx=context)


def _unknown(key: str, spellings: Mapping[str, str]) -> PydanticCustomError:
    if key in spellings:
        return fault("key_given_twice", f"{key!r} is another spelling of {spellings[key]!r}", hint="keep one of them")
    return fault("unknown_key", f"there is no key {key!r} here", hint=_near_key(key, spellings))


def _near_key(key: str, spellings: Mapping[str, str]) -> str | None:
    """A hint in one spelling: that of the known key that looks most like this one, else ours."""
    ours = set(spellings.values())
    nearest = near_misses(key, spellings, limit=1)
    if key.islower() and key not in {name.casefold() for name in nearest} and near_misses(key, ours):
        # A word of several may look more like their camelCase only for want of the underscore.
        return did_you_mean(key, ours)
    return did_you_mean(key, spellings.keys() - ours if set(nearest) - ours else ours)


def _problem(details: ErrorDetails) -> Problem:
    path = dotted(without_tags(details["loc"]))
    context: Mapping[str, Any] = details.get("ctx", {})
    if details["type"] not in _STANDARD:
        return Problem(path + context.get("inside", ""), details["type"], details["msg"], context.get("hint"))
    if details["loc"] and details["loc"][-1] == "[key]":
        return Problem(path, "bad_key", f"the key {details['input']!r} is not text", "quote it")
    return _standard_problem(path, details)


def _standard_problem(path: str, details: ErrorDetails) -> Problem:
    kind, value = details["type"], details["input"]
    if kind == "missing":
        return Problem(path, "missing", f"{str(details['loc'][-1])!r} is required")
    if kind == "literal_error":
        expected = str(details["ctx"]["expected"])
        return Problem(path, "unknown_value", f"must be {expected}, not {value!r}", _near_value(value, expected))
    if kind.startswith("recursion"):
        return Problem(path, TOO_DEEP, "is nested too deeply")
    if kind in _WANTED:
        return Problem(path, "wrong_type", f"must be {_WANTED[kind]}, not {shown(value)}")
    return Problem(path, kind, details["msg"].replace("Input should be", "must be", 1))


def _near_value(value: object, expected: str) -> str | None:
    known = [word.strip(" '") for word in expected.replace(" or ", ",").split(",")]
    hint = did_you_mean(str(value), known)
    return hint if hint and hint.startswith("did") else None
