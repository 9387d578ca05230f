"""Steps in a transaction that the caller lent: what was rolled back there is the caller's to repeat."""

from collections.abc import Iterator
from contextlib import contextmanager

from detent.errors import StepRolledBack, StoreUnavailable
from detent.runtime.reentrancy import inside_a_step


@contextmanager
def lent_step(runtime: object) -> Iterator[None]:
    """Around a step in the caller's transaction: a rollback of the database is raised as `StoreUnavailable`.

    Inside another step of `runtime` it passes as it is, because the step around this one is repeated as a whole.
    """
    try:
        yield
    except StepRolledBack as lost:
        if inside_a_step(runtime):
            raise
        raise StoreUnavailable(lost.reason) from lost
