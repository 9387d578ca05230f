"""JMESPath expressions (https://jmespath.org): checked where they are written, so that most faults show before anything runs."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeAlias

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions, signature
from jmespath.visitor import TreeInterpreter
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


MOST_WORK = 1_000_000
"""How many parts of an expression may be visited, and of values be made, for one step."""

_MAKING = frozenset({"multi_select_list", "multi_select_dict", "literal"})
"""What makes a value of several, or the same one anew for each item."""
_CHARACTERS = 16
"""How many characters of a text weigh as much as one value."""

Expression: TypeAlias = Annotated[str, AfterValidator(_checked)]
"""The text of an expression whose syntax, and whose functions with the number of their arguments, have been checked."""


class Evaluation:
    """Expressions evaluated for one step, which together do no more than `MOST_WORK`: a few characters can ask for any amount."""

    def __init__(self, expression: str) -> None:
        self._parsed: Any = jmespath.compile(expression).parsed
        self._interpreter = _Bounded()

    def of(self, value: JsonValue) -> JsonValue:
        """What the expression finds in `value`, and shares with it. Raises `ValueError` where it cannot be applied."""
        try:
            return self._interpreter.visit(self._parsed, value)
        except OverflowError as error:
            raise ValueError(str(error)) from error
        except RecursionError:
            raise ValueError("it is nested too deeply") from None

    def holds(self, value: JsonValue) -> bool:
        """Whether the expression is true of `value` as JMESPath sees it: `false`, `null` and what is empty are not, 0 is."""
        found = self.of(value)
        return not (found is None or found is False or found in ("", [], {}))


class _Bounded(TreeInterpreter):
    """An interpreter that counts what it visits and what it makes, and ends where that is too much."""

    def __init__(self) -> None:
        self._left = MOST_WORK
        super().__init__(jmespath.Options(custom_functions=_Functions(self)))

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self.spend(1)
        made = super().visit(node, *args, **kwargs)
        if node["type"] in _MAKING:
            self._spend_on(made)
        return made

    def spend(self, work: int) -> None:
        """Raise `ValueError` where there was more work than may be done."""
        self._left -= work
        if self._left < 0:
            raise ValueError("the expression takes too much work")

    def _spend_on(self, made: JsonValue) -> None:
        """Count all that is in a value, as often as it is in it: it will be copied so often."""
        left = [made]
        while left:
            one = left.pop()
            self.spend(1 + len(one) // _CHARACTERS if isinstance(one, str) else 1)
            if isinstance(one, dict):
                left += one.values()
            elif isinstance(one, list):
                left += one


class _Functions(Functions):
    """JMESPath's, of which one makes much of little."""

    def __init__(self, interpreter: _Bounded) -> None:
        self._interpreter = interpreter

    @signature({"types": ["string"]}, {"types": ["array-string"]})
    def _func_join(self, separator: str, array: list[str]) -> str:
        self._interpreter.spend((len(separator) * len(array) + sum(map(len, array))) // _CHARACTERS)
        return separator.join(array)


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
