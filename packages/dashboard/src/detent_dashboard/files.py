"""The files that pages need: styles, scripts, a sign. Their addresses change with what is in them, so that browsers keep them."""

from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

_FOLDER = Path(__file__).parent / "static"
_TYPES = {
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
    "diagram.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_KEPT = {"cache-control": "max-age=86400"}

VERSION = sha256(b"".join((_FOLDER / name).read_bytes() for name in _TYPES)).hexdigest()[:12]
"""What changes when one of the files does."""


def files(mermaid: Path | None) -> Callable[[Request], Awaitable[Response]]:
    """Serves the files, and Mermaid's script where there is one."""

    async def file(request: Request) -> Response:
        name = request.path_params["name"]
        if name == "mermaid.js" and mermaid is not None:
            return FileResponse(mermaid, media_type="text/javascript", headers=_KEPT)
        if name in _TYPES:
            return FileResponse(_FOLDER / name, media_type=_TYPES[name], headers=_KEPT)
        raise HTTPException(404)

    return file
