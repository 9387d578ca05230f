"""What PostgreSQL means to do for a statement of the store."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.ext.asyncio import AsyncConnection


async def plan(connection: AsyncConnection, statement: Executable, parameters: Mapping[str, object]) -> str:
    """The plan for these parameters, which go as parameters: EXPLAIN plans as the execution would."""
    compiled: Any = statement.compile(dialect=dialect())  # type: ignore[attr-defined]
    bound = compiled.construct_params(parameters)
    values = [bound[name] for name in compiled.positiontup]
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    return "\n".join(row[0] for row in await driver.fetch(f"EXPLAIN {compiled}", *values))


async def generic_plan(connection: AsyncConnection, statement: Executable) -> str:
    """The plan that serves all parameters, which PostgreSQL may turn to after the fifth execution."""
    compiled: Any = statement.compile(dialect=dialect())  # type: ignore[attr-defined]
    nulls = ", ".join("NULL" for _ in compiled.positiontup)
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    await driver.execute(f"PREPARE explained AS {compiled}")
    await driver.execute("SET LOCAL plan_cache_mode = force_generic_plan")
    lines = await driver.fetch("EXPLAIN EXECUTE explained" + (f"({nulls})" if nulls else ""))
    await driver.execute("SET LOCAL plan_cache_mode = auto")
    await driver.execute("DEALLOCATE explained")
    return "\n".join(row[0] for row in lines)
