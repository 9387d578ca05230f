"""Live updates over a websocket of FastAPI."""

from contextlib import suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect, WebSocketException

from detent.service.http.errors import NotTaken
from detent.service.http.following import CLOSE_CODES, check_origin, gone, opened, until_gone
from detent.service.http.operations import CHANGES
from detent_fastapi.asking import ask_of
from detent_fastapi.config import WorkflowRoutes
from detent_fastapi.turning_away import FOLLOW


def add_websocket(router: APIRouter, config: WorkflowRoutes, runtime: str | None) -> None:
    """Mount the websocket beside the event stream: of those that the guards let pass, and of pages of ours."""

    async def follow(socket: WebSocket, instance_id: str, after: str = "0") -> None:
        try:
            check_origin(socket.headers, config.origins)
            messages = await opened(ask_of(socket, config, runtime), instance_id, after)
        except NotTaken as error:
            raise WebSocketException(CLOSE_CODES + error.why.status, error.why.detail) from None
        await socket.accept()
        with suppress(WebSocketDisconnect):
            async for message in until_gone(messages, gone(socket.receive)):
                await socket.send_text(message)
        with suppress(WebSocketDisconnect, RuntimeError):
            # Where the client has gone, there is nobody to say it to.
            await socket.close()

    name = f"{config.operation_id_prefix}{FOLLOW}"
    router.add_api_websocket_route(CHANGES, follow, name=name, dependencies=list(config.guards))
