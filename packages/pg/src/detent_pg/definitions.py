"""The definitions that are stored, version by version."""

from collections.abc import Collection, Sequence

from detent.store.records import DefinitionSnapshot
from detent_pg import rows
from detent_pg.faults import translated
from detent_pg.line import Line
from detent_pg.rows import Row
from detent_pg.schema import Tables
from detent_pg.statements import definitions
from detent_pg.statements.arrays import arrays


class Definitions:
    """Reads and writes snapshots on a line."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def save(self, line: Line, snapshots: Sequence[DefinitionSnapshot]) -> None:
        """Insert the versions that are not stored; in one order, so that processes that start together do not deadlock."""
        placed = (
            {**rows.definition_row(snapshot), "place": place} for place, snapshot in enumerate(snapshots, start=1)
        )
        new = sorted(placed, key=_version_of)
        columns = [column.name for column in self._tables.definitions.c]
        with translated():
            await line.fetch(definitions.save(self._tables), arrays("new", new, columns))

    async def load(self, line: Line, versions: Sequence[tuple[str, str]]) -> Sequence[DefinitionSnapshot]:
        """What is stored under these names and versions, in their order."""
        wanted = [{"workflow": workflow, "version": version} for workflow, version in versions]
        statement = definitions.load_all(self._tables)
        with translated():
            found = await line.fetch(statement, arrays("wanted", wanted, ("workflow", "version")))
        stored = {_version_of(row): rows.definition_of(row) for row in found}
        return [stored[version] for version in versions if version in stored]

    async def list(self, line: Line, workflows: Collection[str] | None) -> Sequence[DefinitionSnapshot]:
        """All that is stored of `workflows`, or of all for `None`."""
        parameters = {"workflows": None if workflows is None else list(workflows)}
        with translated():
            found = await line.fetch(definitions.load_of(self._tables), parameters)
        return [rows.definition_of(row) for row in found]


def _version_of(row: Row) -> tuple[str, str]:
    return row["workflow"], row["version"]
