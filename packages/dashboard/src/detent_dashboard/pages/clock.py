"""The clock of a playground, moved by hand."""

from starlette.responses import Response

from detent.errors import DetentError
from detent_dashboard.refusals import Refusal, not_there, status_of
from detent_dashboard.visit import Visit


async def clock(visit: Visit) -> Response:
    """`POST /clock`: `by`, a length of time such as `1h30m`."""
    form = await visit.form()
    await visit.require("operate")
    toy = visit.house.toy
    if toy is None:
        raise not_there()
    try:
        await toy.advance(str(form.get("by", "")).strip())
    except DetentError as error:
        raise Refusal(status_of(error), "The clock was not moved", str(error)) from None
    back = str(form.get("back", ""))
    return visit.go("instances", back, done="clock") if back else visit.go(done="clock")
