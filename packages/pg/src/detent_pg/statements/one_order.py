"""Runs that a statement locks, one after another by rising id, so that no two statements wait for each other in a circle."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import CTE, FromClause, Select, Subquery, Table, select, true


@dataclass(frozen=True)
class Locked:
    """Rows by which a statement names runs, and the run of each."""

    named: Subquery
    run: FromClause
    """As it is now that it is locked, whatever it was before the wait."""

    def select(self) -> Select[Any]:
        """The rows that name a run that is there."""
        return select(*self.named.c).join_from(self.named, self.run, true())


def locked(runs: Table, named: Select[Any], *, skip_locked: bool = False) -> Locked:
    """Lock the runs that `named` names by their `id`s; those that others hold are waited for, or passed over.

    Each is looked up by itself: a join might begin at an index of all that are active, most of whose entries are dead.
    """
    ordered = named.order_by(named.selected_columns.id).subquery("named")
    run = (
        select(runs)
        .where(runs.c.id == ordered.c.id)
        .with_for_update(of=runs, key_share=True, skip_locked=skip_locked)
        .lateral("locked")
    )
    return Locked(ordered, run)


def once(statement: Select[Any], name: str) -> CTE:
    """`statement` as a part that is done before whatever uses it, and once."""
    return statement.cte(name).prefix_with("MATERIALIZED")
