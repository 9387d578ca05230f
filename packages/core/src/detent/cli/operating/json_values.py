"""JSON as an option takes it."""

import json
from typing import IO, Any

import rich_click as click

from detent.json_values import JsonValue


class JsonValueType(click.ParamType[JsonValue]):
    """JSON as it is written, or from a file: `@FILE`, `-` for standard input."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> JsonValue:
        text = value
        if value == "-" or value.startswith("@"):
            opened: IO[bytes] = click.File("rb").convert(value.removeprefix("@"), param, ctx)
            text = opened.read()
        try:
            parsed: JsonValue = json.loads(text)
        except ValueError as error:
            self.fail(f"is no JSON: {error}", param, ctx)
        return parsed
