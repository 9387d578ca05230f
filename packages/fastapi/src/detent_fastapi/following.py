"""Live updates over a websocket of FastAPI."""

from contextlib import suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect, WebSocketException

from detent.service.http.errors import NotTaken
from detent.service.http.following import CLOSE_CODES, NOT_OWN_ORIGIN, opened, until_gone
from detent.service.http.operations import CHANGES
from detent.service.http.origins import is_own_origin
from detent_fastapi.asking import ask_of
from detent_fastapi.config import WorkflowRoutes
from detent_fastapi.turning_away import FOLLOW


def add_websocket(router: APIRouter, config: WorkflowRoutes, runtime: str | None) -> None:
    """Mount the websocket beside the event stream: of those that the guards let pass, and of pages of ours."""

    async def follow(socket: WebSocket, instance_id: str, after: str = "0") -> None:
        try:
            _check_origin(socket, config)
            messages = await opened(ask_of(socket, config, runtime), instance_id, after)
        except NotTaken as error:
            raise WebSocketException(CLOSE_CODES + error.why.status, error.why.detail) from None
        await socket.accept()
        with suppress(WebSocketDisconnect):
            async for message in until_gone(messages, _gone(socket)):
                await socket.send_text(message)
        with suppress(WebSocketDisconnect, RuntimeError):
            # Where the client has gone, there is nobody to say it to.
            await socket.close()

    name = f"{config.operation_id_prefix}{FOLLOW}"
    router.add_api_websocket_route(CHANGES, follow, name=name, dependencies=list(config.guards))


def _check_origin(socket: WebSocket, config: WorkflowRoutes) -> None:
    """Raise `NotTaken` for a page of somebody else."""
    if not is_own_origin(socket.headers.get("origin"), socket.headers.get("host", ""), config.origins):
        raise NotTaken(NOT_OWN_ORIGIN)


async def _gone(socket: WebSocket) -> None:
    """Wait until the client has gone; what it says is nothing to us."""
    with suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()
