"""How handlers of requests get their objects from the container that commands and guards get theirs from."""

from collections.abc import Iterator
from contextlib import contextmanager

from dishka import AsyncContainer
from dishka.integrations.litestar import setup_dishka
from litestar import Litestar

CONTAINER = "dishka_container"
"""Under this name dishka's `setup_dishka` keeps containers in the state of applications and of requests."""


_LENT = "detent_lent_container"
"""Under this name it is noted that the container of an application is one of ours."""


def container_of(app: Litestar) -> AsyncContainer | None:
    """The container that `app` was set up with by itself; `None` for one that a runtime of ours lends."""
    found: AsyncContainer | None = None if _LENT in app.state else app.state.get(CONTAINER)
    return found


@contextmanager
def injected_requests(app: Litestar, container: AsyncContainer) -> Iterator[None]:
    """Let handlers get their `FromDishka[...]` from `container`, as after dishka's `setup_dishka`, until the end."""
    if CONTAINER in app.state:
        yield
        return
    handler = app.asgi_handler
    setup_dishka(container, app)
    app.state[_LENT] = True
    try:
        yield
    finally:
        app.asgi_handler = handler
        del app.state[CONTAINER]
        del app.state[_LENT]
