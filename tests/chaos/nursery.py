"""A process that has loaded everything and forks a worker for each line it reads, so that a new one is there at once.

`python -m tests.chaos.nursery URL MODULE:FACTORY`: answers each line with the process id of a new worker.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module

from detent import WorkflowRuntime
from detent.errors import StoreError
from detent.workers import Worker
from tests.chaos.trip import POLL, URL


async def work(make_runtime: Callable[[str], WorkflowRuntime], url: str) -> None:
    """Work until killed."""
    poll = timedelta(seconds=float(os.environ.get(POLL, "0.5")))
    while True:
        try:
            async with make_runtime(url) as runtime:
                await Worker(runtime, concurrency=8, poll=poll).run()
        except StoreError:
            # The database may be down when the process starts; a supervisor would start it again.
            await asyncio.sleep(0.2)


def main() -> None:
    url, place = sys.argv[1:]
    os.environ[URL] = url
    module, _, factory = place.partition(":")
    make_runtime = getattr(import_module(module), factory)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            sys.stdin.close()
            logging.basicConfig(level=logging.CRITICAL)
            asyncio.run(work(make_runtime, url))
            os._exit(1)
        print(child, flush=True)


if __name__ == "__main__":
    main()
