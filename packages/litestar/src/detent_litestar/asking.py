"""What the operations of the contract are told of a request of Litestar, or of a websocket."""

from typing import Any

from litestar import Request
from litestar.exceptions import PermissionDeniedException

from detent.flows.book import FlowBook
from detent.service.http.admission import deciding
from detent.service.http.ask import Ask, Behind
from detent.service.http.policy import TenantOf
from detent_litestar.config import AnyConnection, Controllers
from detent_litestar.headers import note_replay


def ask_of(connection: AnyConnection, config: Controllers, behind: Behind, flows: FlowBook | None) -> Ask:
    """The request as the answering functions see it. Raises `PermissionDeniedException` for one of no tenant."""
    request = connection if isinstance(connection, Request) else None
    return Ask(
        behind,
        tenant=None if config.tenant is None else tenant_of(connection, config.tenant),
        flow_book=flows,
        acting=dict(config.acting(request)) if config.acting and request else {},
        path=connection.url.path,
        accept=connection.headers.get("accept", ""),
        on_replay=lambda: note_replay(connection),
        may=deciding(connection, config.authorize),
    )


def tenant_of(connection: AnyConnection, said_by: TenantOf[Any]) -> str:
    """The tenant of a request. Raises `PermissionDeniedException` for one of none."""
    tenant = said_by(connection)
    if tenant is None:
        raise PermissionDeniedException("the request belongs to no tenant")
    return tenant
