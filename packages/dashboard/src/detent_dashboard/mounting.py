"""One way to say where an application is mounted, whatever framework does it."""

from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send


class Mounted:
    """Tells the application inside its `root_path`, as the ASGI specification has it.

    Starlette and FastAPI do. Litestar takes the prefix out of `path`, adds a slash to its end and says nothing:
    what it took out is what `raw_path` has more.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            root = scope.get("root_path", "") or _taken_out(scope)
            inside = scope["path"].removeprefix(root) if scope.get("root_path") else scope["path"]
            scope = {**scope, "root_path": root, "path": root + (inside.rstrip("/") or "/")}
        await self._app(scope, receive, send)


def _taken_out(scope: Scope) -> str:
    whole = unquote(scope.get("raw_path", b"").decode("latin-1")).rstrip("/")
    inside = scope["path"].rstrip("/")
    prefix = whole.removesuffix(inside) if whole.endswith(inside) else ""
    # With two slashes it would be the name of another host.
    return "" if prefix.startswith("//") else prefix.rstrip("/")
