"""The options that say which instances are meant."""

import json
from collections.abc import Callable
from typing import Any, cast

import rich_click as click

from detent.cli.operating.completion import state_names, workflow_names
from detent.cli.terminal import one_line
from detent.json_values import JsonObject
from detent.runtime.finding_verbs import Where
from detent.store.records import Status

_CONDITIONS = {
    "workflows": "workflow",
    "versions": "version",
    "states": "states",
    "exclude_states": "exclude_states",
    "statuses": "status",
}
"""Options of which there may be several, and the conditions that they are."""


def _labels(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> JsonObject:
    labels: JsonObject = {}
    for pair in given:
        key, separator, value = pair.partition("=")
        if not key or not separator:
            raise click.BadParameter(one_line(f"{pair!r} is not written like key=value"))
        labels[key] = _label(value)
    return labels


def _label(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


_FILTERS = (
    click.option(
        "--workflow",
        "workflows",
        multiple=True,
        metavar="NAME",
        shell_complete=workflow_names,
        help="Of this workflow. May be repeated.",
    ),
    click.option("--version", "versions", multiple=True, metavar="VERSION", help="Of this version. May be repeated."),
    click.option(
        "--state",
        "states",
        multiple=True,
        metavar="NAME",
        shell_complete=state_names,
        help="In this state. May be repeated.",
    ),
    click.option(
        "--exclude-state",
        "exclude_states",
        multiple=True,
        metavar="NAME",
        shell_complete=state_names,
        help="Not in this state.",
    ),
    click.option(
        "--status",
        "statuses",
        multiple=True,
        type=click.Choice([status.value for status in Status]),
        help="Of this status. May be repeated.",
    ),
    click.option("--tenant", metavar="NAME", help="Of this tenant."),
    click.option(
        "--metadata",
        multiple=True,
        metavar="KEY=VALUE",
        callback=_labels,
        help="With this label: JSON, or else a text. May be repeated.",
    ),
)
_PARKED = click.option("--parked/--not-parked", default=None, help="With something that waits for an operator, or not.")


def filtering(command: Callable[..., None]) -> Callable[..., None]:
    """With the options that say which instances are meant."""
    return filtering_parked(_PARKED(command))


def filtering_parked(command: Callable[..., None]) -> Callable[..., None]:
    """The same for those that are parked."""
    for option in reversed(_FILTERS):
        command = option(command)
    return command


def where_of(given: dict[str, Any]) -> Where:
    """The conditions that the options say; they are taken out of `given`."""
    where: dict[str, Any] = {condition: list(given.pop(name)) for name, condition in _CONDITIONS.items() if given[name]}
    for name in _CONDITIONS:
        given.pop(name, None)
    for name in ("tenant", "metadata", "parked"):
        value = given.pop(name, None)
        if value not in (None, {}):
            where[name] = value
    return cast(Where, where)
