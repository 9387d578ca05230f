"""What is wrong with a selector that can be read: places that would stay as they are written, and paths that lead nowhere."""

import re
from collections.abc import Iterator

from detent.definition.selectors import PLACE, PathSelector, Selector, TemplateSelector, path_and_rest
from detent.json_values import JsonValue
from detent.problems import Problem

_UNFILLED = re.compile(r"\$\{(?=[\w$.])[^\s}]*")
_INDEX = re.compile(r"\[\s*(?:(\d+)|'([^'\]]*)'|\"([^\"\]]*)\")\s*\]")
_SLICE = re.compile(r"\[\s*(?:\*|-?\d*:-?\d*|-\d+|\?.*)\s*\]")
_FALLBACK = re.compile(r"\s*(?:\|\||\?\?)\s*")
_EXPRESSION = re.compile(r"&&|\?\.|\w\(|^\$\.")
_ARITHMETIC = re.compile(r"\s(?:[-+*/%<>?|]|[=!<>]=|===|!==)\s")

_CALCULATED = "only keys and numbers joined by dots are followed: a step of `transform` calculates"


def selector_problems(selector: Selector, path: str) -> Iterator[Problem]:
    """Everything in `selector`, which stands at `path`, that cannot mean what it seems to."""
    match selector:
        case PathSelector(path=written):
            yield from _path_problems(written, f"{path}.path", inside_template=False)
        case TemplateSelector(template=template):
            yield from _template_problems(template, f"{path}.template")


def _template_problems(template: JsonValue, path: str) -> Iterator[Problem]:
    if isinstance(template, dict):
        for key, value in template.items():
            yield from _template_problems(value, f"{path}.{key}")
    elif isinstance(template, list):
        for index, value in enumerate(template):
            yield from _template_problems(value, f"{path}[{index}]")
    elif isinstance(template, str):
        yield from _text_problems(template, path)


def _text_problems(text: str, path: str) -> Iterator[Problem]:
    for place in PLACE.finditer(text):
        if place[1]:
            yield from _path_problems(path_and_rest(place[1])[0], path, inside_template=True)
    for left in _UNFILLED.finditer(PLACE.sub("", text)):
        said = f"{left[0]!r} is not closed, and would stay as it is"
        yield Problem(path, "unclosed_place", said, r"close it with }, or write \${ for the text itself")


def _path_problems(written: str, path: str, *, inside_template: bool) -> Iterator[Problem]:
    if "" in written.split("."):
        yield Problem(path, "bad_path", f"{written!r} is not a path", "write keys joined by dots, like order.total")
    elif _SLICE.search(written):
        yield _expression(path, written, _CALCULATED)
    elif _INDEX.search(written):
        dotted = _INDEX.sub(lambda index: "." + (index[1] or index[2] or index[3] or ""), written).lstrip(".")
        yield _expression(path, written, f"write {dotted}")
    elif _FALLBACK.search(written):
        value, default, *_ = _FALLBACK.split(written)
        bare = default.strip("'\"")
        yield _expression(path, written, f"write ${{{value}:-{bare}}}" + ("" if inside_template else ", in a template"))
    elif written.startswith("$.") and not _EXPRESSION.search(written[2:]):
        yield _expression(path, written, f"write {written[2:]}")
    elif _EXPRESSION.search(written):
        yield _expression(path, written, _CALCULATED)
    elif _ARITHMETIC.search(written):
        said = f"{written!r} is one key with blanks in it, and is not calculated"
        yield Problem(path, "bad_path", said, _CALCULATED, severity="warning")


def _expression(path: str, written: str, hint: str) -> Problem:
    return Problem(path, "bad_path", f"{written!r} is an expression, and no path", hint)
