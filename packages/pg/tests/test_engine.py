"""The engine that `from_url` makes."""

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from detent.errors import InvalidValue
from detent_pg import PgStore, make_engine


async def test_its_sessions_let_go_of_what_a_frozen_process_holds(store: PgStore) -> None:
    async with store.engine.connect() as connection:
        idle = await connection.scalar(select(func.current_setting("idle_in_transaction_session_timeout")))
        check = await connection.scalar(select(func.current_setting("client_connection_check_interval")))

    assert (idle, check) == ("10s", "1s")


async def test_its_errors_show_no_parameters(store: PgStore) -> None:
    async with store.engine.connect() as connection:
        with pytest.raises(DBAPIError) as raised:
            await connection.execute(text("SELECT 1 / :zero, :word"), {"zero": 0, "word": "secret"})

    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_every_spelling_of_the_scheme_is_asyncpg(scheme: str) -> None:
    engine = make_engine(f"{scheme}://me:pw@host/name?sslmode=verify-full")

    assert engine.url.drivername == "postgresql+asyncpg"
    assert dict(engine.url.query) == {}


@pytest.mark.parametrize("url", ["mysql://me:secret@host/name", "postgresql+psycopg://me:secret@host", "me:secret"])
def test_another_database_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(InvalidValue) as raised:
        make_engine(url)

    assert "secret" not in str(raised.value)
