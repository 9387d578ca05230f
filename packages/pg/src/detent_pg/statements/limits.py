"""How long a statement waits: settings of the transaction, set by the statement that is about to wait.

`SET` would leak to the next borrower of the connection, and `SET LOCAL` would cost a round trip. `set_config(…, true)` inside
a materialised CTE that the locking part joins is evaluated before the first row is locked, and is gone at the end.
"""

from sqlalchemy import CTE, ColumnElement, Text, bindparam, func, select


def limits() -> CTE:
    """Set both timeouts for the rest of the transaction. Joining it is what makes it happen."""
    return (
        select(
            func.set_config("lock_timeout", bindparam("lock_timeout", type_=Text), True).label("lock_timeout"),
            func.set_config("statement_timeout", bindparam("statement_timeout", type_=Text), True).label("statements"),
        )
        .cte("limits")
        .prefix_with("MATERIALIZED")
    )


def lent_limits() -> CTE:
    """Set the lock timeout of a transaction that is not ours, remembering as `before` what to put back."""
    before = select(func.current_setting("lock_timeout").label("before")).cte("before").prefix_with("MATERIALIZED")
    return (
        select(
            before.c.before,
            func.set_config("lock_timeout", bindparam("lock_timeout", type_=Text), True).label("lock_timeout"),
        )
        .cte("limits")
        .prefix_with("MATERIALIZED")
    )


def are_set(bounds: CTE) -> ColumnElement[bool]:
    """True, and evaluated before the first row is touched, which sets the timeouts."""
    return select(bounds.c.lock_timeout).scalar_subquery().is_not(None)
