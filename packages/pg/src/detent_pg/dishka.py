"""Makes the application's `AsyncSession` the step's, inside a step, for commands that dishka gives their objects.

List it last, since the last active factory wins:

    container = make_async_container(AppProvider(), PgWorkflowProvider(ChargeCard))

A repository that asks for `AsyncSession` needs no change: in a web request it gets the one of the application's own
provider, in a step the one whose transaction the step commits. It must not commit that itself. A session that a command
opens from an `async_sessionmaker` is its own, and its transaction too.
"""

from dishka import Has, Scope, provide
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from detent.integrations.dishka import WorkflowProvider, connection_of
from detent.runtime.injection import Transition


class PgWorkflowProvider(WorkflowProvider):
    """A `WorkflowProvider` for a runtime over a `PgStore`: inside a step there are its session and its connection."""

    @provide(scope=Scope.REQUEST, when=Has(Transition))
    def session(self, transition: Transition) -> AsyncSession:
        """The session of the step; of a lent one, the caller's own."""
        return connection_of(transition, AsyncSession)

    @provide(scope=Scope.REQUEST, when=Has(Transition))
    async def connection(self, transition: Transition) -> AsyncConnection:
        """The connection under the step's session, for statements of Core."""
        return await connection_of(transition, AsyncSession).connection()
