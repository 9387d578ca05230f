"""What the operations of the contract are told of a request of FastAPI, or of a websocket."""

from fastapi import Request
from fastapi.requests import HTTPConnection

from detent.service.http.admission import deciding
from detent.service.http.ask import Ask
from detent_fastapi.config import WorkflowRoutes
from detent_fastapi.errors import note_replay
from detent_fastapi.lifespan import setup_of
from detent_fastapi.turning_away import tenant_of


def ask_of(connection: HTTPConnection, config: WorkflowRoutes, runtime: str | None) -> Ask:
    """The request as the answering functions see it; one of no tenant is turned away with a 403."""
    ours = setup_of(connection.app, runtime)
    return Ask(
        ours,
        tenant=None if config.tenant is None else tenant_of(connection, config.tenant),
        flow_book=ours.config.flows,
        acting=dict(config.acting(connection)) if config.acting and isinstance(connection, Request) else {},
        path=connection.url.path,
        accept=connection.headers.get("accept", ""),
        on_replay=lambda: note_replay(connection),
        may=deciding(connection, config.authorize),
    )
