"""Liveness and readiness: the names of what fails, and nothing of the insides."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from pydantic import BaseModel, Field

from detent.errors import NotStarted
from detent.service.http.answers import Answer
from detent.service.http.ask import Ask, Behind
from detent.store.health import Measured

logger = logging.getLogger("detent.health")


class ProbeView(BaseModel):
    """What a probe found."""

    ok: bool
    failing: list[str] = Field(
        description="The checks that failed: `runtime` does not run, `store` does not answer or has another schema, `workflows` "
        "of live instances cannot run here, `worker` has stopped or fails."
    )


async def is_live(_: Ask) -> Answer[ProbeView]:
    """Whether the process answers at all; it asks nothing of anybody."""
    return Answer(ProbeView(ok=True, failing=[]))


async def is_ready(ask: Ask) -> Answer[ProbeView]:
    """Whether the process can do its work now: its runtime, the store, the workflows, and its worker if it has one."""
    failing = await _failing(ask.behind, ask.patience)
    return Answer(ProbeView(ok=not failing, failing=failing), 503 if failing else 200)


async def _failing(behind: Behind, patience: float) -> list[str]:
    if not await _passes("runtime", _runs, behind, patience):
        # All else would be asked of it.
        return ["runtime"]
    return [name for name, check in CHECKS.items() if not await _passes(name, check, behind, patience)]


async def _runs(behind: Behind) -> bool:
    behind.runtime.running()
    return True


async def _store_answers(behind: Behind) -> bool:
    store = behind.runtime.running().parts.store
    if isinstance(store, Measured):
        return (await store.health()).ok
    await store.list_definitions([])
    return True


async def _workflows_run(behind: Behind) -> bool:
    return not behind.runtime.unavailable


async def _worker_works(behind: Behind) -> bool:
    return behind.worker is None or behind.worker.health().ok


Check: TypeAlias = Callable[[Behind], Awaitable[bool]]

CHECKS: Mapping[str, Check] = {
    "store": _store_answers,
    "workflows": _workflows_run,
    "worker": _worker_works,
}
"""What has to be well beside the runtime, by the names that are told."""


async def _passes(name: str, check: Check, behind: Behind, patience: float) -> bool:
    try:
        async with asyncio.timeout(patience):
            return await check(behind)
    except NotStarted:
        return False
    except TimeoutError:
        logger.warning("the check %r took longer than %s s", name, patience)
    except Exception:
        logger.exception("the check %r failed", name)
    return False
