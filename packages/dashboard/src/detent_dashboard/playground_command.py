"""`detent playground FILE`: try a definition out in the browser."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import rich_click as click
import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware

from detent.cli.sources import find_source
from detent.cli.terminal import one_line
from detent.definition.model import WorkflowDefinition
from detent.errors import DetentError
from detent_dashboard.headers import SafeHeaders
from detent_dashboard.playground import playground_of, stand_ins


@click.command()
@click.argument("source", metavar="FILE")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="Where it listens; 0 for any."
)
@click.option(
    "--mermaid",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Mermaid's script, mermaid.min.js, which draws the diagrams; without it they are lists and text.",
)
def playground(source: str, port: int, mermaid: Path | None) -> None:
    """Try out the definition in FILE (JSON, YAML, .mmd, or MODULE:ATTRIBUTE) in the browser.

    It runs in memory, on this machine alone, with a clock that is moved from the page. Commands that the definition names do
    nothing and answer Ok, guards let everything pass; which those are is said.
    """
    written = find_source(source)
    if not isinstance(written, WorkflowDefinition):
        raise click.ClickException(one_line(f"{source} holds a flow; a playground runs definitions"))
    try:
        asyncio.run(_serve(written, port, mermaid))
    except DetentError as error:
        raise click.ClickException(str(error)) from None


async def _serve(definition: WorkflowDefinition, port: int, mermaid: Path | None) -> None:
    async with playground_of([definition], mermaid=mermaid) as app:
        # A page elsewhere may let its own name lead to this machine.
        local = SafeHeaders(TrustedHostMiddleware(app, allowed_hosts=["127.0.0.1", "localhost"]))
        server = _Announced(
            uvicorn.Config(
                local, host="127.0.0.1", port=port, log_level="warning", lifespan="off", timeout_graceful_shutdown=1
            )
        )
        server.notes = stand_ins([definition])
        await server.serve()


class _Announced(uvicorn.Server):
    """A server that says where it is once it listens, and not before."""

    notes: Sequence[str] = ()

    async def startup(self, sockets: object = None) -> None:
        await super().startup()
        for note in self.notes:
            click.echo(one_line(note))
        for server in self.servers:
            for socket in server.sockets:
                click.echo(f"http://127.0.0.1:{socket.getsockname()[1]}/  (Ctrl+C ends it)")
