"""JMESPath expressions (https://jmespath.org): checked where they are written, so that most faults show before anything runs."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeAlias

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from pydantic import AfterValidator

from detent.definition.shape import fault
from detent.json_values import JsonValue

LONGEST = 1_000
"""How many characters an expression may have."""


def _checked(text: str) -> str:
    if len(text) > LONGEST:
        raise fault("bad_expression", f"has {len(text):,} characters, and may have {LONGEST:,}")
    try:
        parsed = jmespath.compile(text).parsed
        wrong = next(_unknown_calls(parsed), None)
    except JMESPathError as error:
        raise fault("bad_expression", f"is not JMESPath: {str(error).partition(chr(10))[0]}") from None
    except RecursionError:
        raise fault("bad_expression", "is nested too deeply") from None
    if wrong is not None:
        raise fault("bad_expression", wrong, hint="https://jmespath.org/specification.html lists the functions")
    return text


Expression: TypeAlias = Annotated[str, AfterValidator(_checked)]
"""The text of an expression whose syntax, and whose functions with the number of their arguments, have been checked."""


def evaluate(expression: str, value: JsonValue) -> JsonValue:
    """What `expression` finds in `value`, and shares with it. Raises `ValueError` where it cannot be applied."""
    try:
        return jmespath.search(expression, value)
    except OverflowError as error:
        raise ValueError(str(error)) from error
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def holds(expression: str, value: JsonValue) -> bool:
    """Whether `expression` is true of `value` as JMESPath sees it: `false`, `null` and what is empty are not, 0 is."""
    found = evaluate(expression, value)
    return not (found is None or found is False or found in ("", [], {}))


def _unknown_calls(node: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the functions that are called in a parsed expression; the library itself looks when it runs."""
    if node["type"] == "function_expression":
        yield from _wrong_call(node["value"], len(node["children"]))
    for child in node["children"]:
        # The slots of a slice are numbers.
        if isinstance(child, dict):
            yield from _unknown_calls(child)


def _wrong_call(name: str, given: int) -> Iterator[str]:
    known = Functions.FUNCTION_TABLE.get(name)
    if known is None:
        yield f"there is no function {name}()"
        return
    signature = known["signature"]
    if given < len(signature) or (given > len(signature) and not signature[-1].get("variadic")):
        yield f"{name}() takes {len(signature)} arguments, not {given}"
