"""Tells an open page that its instance has moved on, by server-sent events (WHATWG HTML, section 9.2)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from starlette.responses import Response, StreamingResponse

from detent.errors import DetentError, InstanceNotFound
from detent.service.http.server import is_stopping
from detent.store.records import WorkflowInstance
from detent.store.signals import moved
from detent_dashboard.pages.instance import sequence_in
from detent_dashboard.visit import Visit

LOOKS_EVERY = 2.0
"""After how many seconds the store is asked again; a signal that the instance moved makes it sooner."""
LOOKS = 15
"""How often one stream looks before it ends; the browser comes back, and the policy is asked anew."""


async def live(visit: Visit) -> Response:
    """`GET /instances/{id}/live?since=VERSION`: one event `moved` once the instance is at another version."""
    found = await visit.instance()
    since = sequence_in(visit.asked("since"))
    known = found.version if since is None else since
    return StreamingResponse(
        _told(visit, found, known), media_type="text/event-stream", headers={"x-accel-buffering": "no"}
    )


async def _told(visit: Visit, found: WorkflowInstance, known: int) -> AsyncIterator[str]:
    yield "retry: 3000\n\n"
    signals = visit.workflows.running().parts.store.signals
    hint, word = asyncio.Event(), moved(found.id)
    async with signals.listen(lambda heard: hint.set() if heard == word else None):
        for _ in range(LOOKS):
            if is_stopping():
                return
            try:
                version = (await visit.workflows.get_instance(found.id)).version
            except InstanceNotFound:
                version = 0
            except DetentError:
                # The runtime ends, or the store is away: the browser comes back and finds out.
                return
            if version != known:
                yield f"id: {version}\nevent: moved\ndata: {version}\n\n"
                return
            yield ": nothing new\n\n"
            with suppress(TimeoutError):
                # Not `wait_for`, which loses a cancellation that comes together with the hint (Python 3.11).
                async with asyncio.timeout(LOOKS_EVERY):
                    await hint.wait()
            hint.clear()
