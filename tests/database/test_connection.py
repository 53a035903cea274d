import psycopg
from sqlalchemy import text

from mien.database.connection import create_autocommit, create_engine, create_sessions


async def test_connections_that_the_server_has_closed_are_replaced_unnoticed(database_url: str) -> None:
    engine = create_engine(database_url)
    sessions = create_sessions(engine)
    async with sessions() as one, sessions() as other:
        closed = [await session.scalar(text("SELECT pg_backend_pid()")) for session in (one, other)]
    with psycopg.connect(database_url) as administrator:
        for pid in closed:
            administrator.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    for _ in closed:
        async with sessions() as session:
            assert await session.scalar(text("SELECT pg_backend_pid()")) not in closed
    await engine.dispose()


async def test_statements_of_autocommit_sessions_are_seen_by_others_at_once(database_url: str) -> None:
    engine = create_engine(database_url)
    async with create_autocommit(engine)() as one, create_autocommit(engine)() as other:
        await one.execute(text("CREATE TABLE seen (number integer)"))
        await one.execute(text("INSERT INTO seen VALUES (1)"))
        assert await other.scalar(text("SELECT number FROM seen")) == 1
    async with create_sessions(engine)() as session:
        await session.execute(text("INSERT INTO seen VALUES (2)"))
    async with create_sessions(engine)() as session:
        assert await session.scalar(text("SELECT count(*) FROM seen")) == 1
    await engine.dispose()
