"""Pages from templates: everything that is put in is escaped."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response


def instant(value: datetime | None) -> str:
    """An instant for people, in UTC."""
    return "" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def pretty(value: object) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False, default=str)


def brief(value: object) -> str:
    """JSON on one line, cut off where it is long."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]}…"


def lasting(value: timedelta) -> str:
    """A length of time in its two largest units: `2 d 3 h`."""
    seconds = int(abs(value).total_seconds())
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for name, size in units:
        if seconds >= size and len(parts) < 2:
            parts.append(f"{seconds // size} {name}")
            seconds %= size
    said = " ".join(parts) or "0 s"
    return f"{said} ago" if value < timedelta(0) else said


_BRIEF = 160
_ENVIRONMENT = Environment(
    loader=PackageLoader("detent_dashboard"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(instant=instant, pretty=pretty, brief=brief, lasting=lasting)


def rendered(template: str, values: Mapping[str, Any], *, status: int = 200) -> Response:
    """The page that `template` makes of `values`."""
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(values), status_code=status)
