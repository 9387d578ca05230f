"""Live updates over a websocket of Litestar."""

from contextlib import suppress
from typing import Any

from litestar import WebSocket, websocket
from litestar.exceptions import PermissionDeniedException, WebSocketDisconnect
from litestar.handlers import WebsocketRouteHandler
from litestar.params import FromPath

from detent.service.http.ask import Behind
from detent.service.http.errors import NotTaken
from detent.service.http.following import CLOSE_CODES, check_origin, gone, opened, until_gone
from detent.service.http.operations import ACTION, CHANGES
from detent_litestar.asking import ask_of
from detent_litestar.config import Controllers

AnySocket = WebSocket[Any, Any, Any]


def websocket_of(config: Controllers, behind: Behind) -> WebsocketRouteHandler:
    """The websocket beside the event stream: of those that the guards let pass, and of pages of ours."""

    async def follow(socket: AnySocket, instance_id: FromPath[str]) -> None:
        try:
            check_origin(socket.headers, config.origins)
            ask = ask_of(socket, config, behind, None)
            messages = await opened(ask, instance_id, str(socket.query_params.get("after", "0")))
        except NotTaken as error:
            await socket.close(CLOSE_CODES + error.why.status, error.why.detail)
            return
        except PermissionDeniedException as error:
            await socket.close(CLOSE_CODES + error.status_code, error.detail)
            return
        await socket.accept()
        with suppress(WebSocketDisconnect):
            async for message in until_gone(messages, gone(socket.receive)):
                await socket.send_text(message)
        with suppress(WebSocketDisconnect, RuntimeError):
            # Where the client has gone, there is nobody to say it to.
            await socket.close()

    path = CHANGES.replace("{instance_id}", "{instance_id:str}")
    return websocket(path, opt={ACTION: "read"}, name=f"{config.operation_id_prefix}:follow_changes")(follow)
