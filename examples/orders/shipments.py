"""What the shop keeps of its own: one row for each order that left. One protocol, one repository for each database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from sqlalchemy import Column, DateTime, MetaData, Table, Text, Uuid, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from detent.store.sqlite_connection import SqliteConnection

metadata = MetaData()

table = Table(
    "shipments",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("address", Text, nullable=False),
    Column("shipped_at", DateTime(timezone=True), nullable=False),
)

SQLITE_TABLE = """
    CREATE TABLE IF NOT EXISTS shipments (order_id TEXT PRIMARY KEY, address TEXT NOT NULL, shipped_at TEXT NOT NULL)
"""


@dataclass(frozen=True, slots=True)
class Shipment:
    """A parcel that left the warehouse."""

    order_id: UUID
    address: str
    shipped_at: datetime


class Shipments(Protocol):
    """The shipments of all orders. What is added belongs to the transaction the repository was made in."""

    async def add(self, shipment: Shipment) -> None:
        """Keep `shipment`."""
        ...

    async def all(self) -> list[Shipment]:
        """Every shipment, in the order they left."""
        ...


class PostgresShipments:
    """Shipments through a SQLAlchemy session."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, shipment: Shipment) -> None:
        values = {"order_id": shipment.order_id, "address": shipment.address, "shipped_at": shipment.shipped_at}
        await self._session.execute(insert(table).values(values))

    async def all(self) -> list[Shipment]:
        rows = await self._session.execute(select(table).order_by(table.c.shipped_at))
        return [Shipment(row.order_id, row.address, row.shipped_at) for row in rows]


class SqliteShipments:
    """Shipments through the connection that the SQLite store lends."""

    def __init__(self, connection: SqliteConnection) -> None:
        self._connection = connection

    async def add(self, shipment: Shipment) -> None:
        values = (str(shipment.order_id), shipment.address, shipment.shipped_at.isoformat())
        await self._connection.execute("INSERT INTO shipments VALUES (?, ?, ?)", values)

    async def all(self) -> list[Shipment]:
        rows = await self._connection.fetch_all("SELECT * FROM shipments ORDER BY shipped_at")
        return [
            Shipment(UUID(row["order_id"]), row["address"], datetime.fromisoformat(row["shipped_at"])) for row in rows
        ]
