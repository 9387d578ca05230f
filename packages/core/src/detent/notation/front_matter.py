"""What stands above a diagram: its title, and what the picture cannot say."""

import re

from detent.json_values import JsonObject
from detent.notation.labels import visible_json

_PLAIN_TITLE = re.compile(r"[A-Za-z]\w*(?:[ .-]\w+)* · v[\w.+-]+", re.ASCII)
_HTML = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&"})


def front_matter(title: str, details: JsonObject) -> list[str]:
    """The lines of the front matter: YAML, in which the value of `detent` is JSON with a line for each state."""
    lines = [f"title: {title if _PLAIN_TITLE.fullmatch(title) else _json(title)}"]
    if details:
        lines += _detent(details)
    return ["---", *lines, "---"]


def _detent(details: JsonObject) -> list[str]:
    above = _members({key: value for key, value in details.items() if key != "states"})
    if "states" not in details:
        return ["detent: {", *_listed(above), "  }"]
    # YAML wants the last bracket indented; both of them on one line say that nothing follows.
    states = _listed(_members(details["states"]))
    return ["detent: {", *_listed([*above, '"states": {']), *(f"  {line}" for line in states), "  }}"]


def _members(values: JsonObject) -> list[str]:
    return [f"{_json(key)}: {_json(value)}" for key, value in values.items()]


def _listed(members: list[str]) -> list[str]:
    commas = [","] * (len(members) - 1) + [""]
    return [f"  {member}{comma}" for member, comma in zip(members, commas, strict=True)]


def _json(value: object) -> str:
    return visible_json(value).translate(_HTML)
