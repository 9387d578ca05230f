"""The agency's own table, in the same SQLite file as the workflows."""

from uuid import UUID

from detent import SqliteConnection, SqliteStore

TABLE = "CREATE TABLE IF NOT EXISTS bookings (trip TEXT PRIMARY KEY, flight TEXT, hotel TEXT, car TEXT) STRICT"


async def make_table(store: SqliteStore) -> None:
    """Make the table where it is not there yet; the store has to be open."""
    async with store.begin() as connection:
        await connection.execute(TABLE)


async def note(connection: SqliteConnection, trip: UUID, references: dict[str, str]) -> None:
    """Add the row of a trip, in the transaction of `connection`."""
    await connection.execute(
        "INSERT INTO bookings VALUES (?, ?, ?, ?)",
        (str(trip), references["flight"], references["hotel"], references["car"]),
    )


async def strike(connection: SqliteConnection, trip: UUID) -> None:
    """Take the row of a trip out, in the transaction of `connection`."""
    await connection.execute("DELETE FROM bookings WHERE trip = ?", (str(trip),))


async def noted(store: SqliteStore, trip: UUID) -> tuple[str, ...] | None:
    """The references of a trip's row, `None` where there is no row."""
    async with store.begin() as connection:
        row = await connection.fetch_one("SELECT flight, hotel, car FROM bookings WHERE trip = ?", (str(trip),))
    return None if row is None else tuple(row)
