"""Transactions of the Prefect server on SQLite: they wait for each other instead of failing with "database is locked"."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from tasks.execution.server_app import ImmediateSqlite

_HELD_S = 0.5
INSERT, COUNT = text("insert into written values (1)"), text("select count(*) from written")


def run(tmp_path: Path, work: Callable[[AioSqliteConfiguration, Callable[[], Awaitable[AsyncSession]]], Awaitable[int]]) -> int:
    """The result of `work` with a new database and a function that opens sessions."""

    async def with_database() -> int:
        database = ImmediateSqlite(connection_url=f"sqlite+aiosqlite:///{tmp_path / 'server.db'}")
        engine = await database.engine()

        async def session() -> AsyncSession:
            return await database.session(engine)

        async with await session() as first, database.begin_transaction(first):
            await first.execute(text("create table written (value integer)"))
        try:
            return await work(database, session)
        finally:
            await engine.dispose()

    return asyncio.run(with_database())


def test_a_transaction_that_reads_first_can_write_although_another_one_wants_to(tmp_path: Path) -> None:
    async def work(database: AioSqliteConfiguration, session: Callable[[], Awaitable[AsyncSession]]) -> int:
        has_read = asyncio.Event()

        async def reader() -> None:
            async with await session() as own, database.begin_transaction(own):
                await own.execute(COUNT)
                has_read.set()
                await asyncio.sleep(_HELD_S)
                await own.execute(INSERT)

        async def writer() -> None:
            await has_read.wait()
            async with await session() as own, database.begin_transaction(own):
                await own.execute(INSERT)

        await asyncio.gather(reader(), writer())
        async with await session() as own:
            return int((await own.execute(COUNT)).scalar_one())

    assert run(tmp_path, work) == 2


@pytest.mark.timeout(30)
@pytest.mark.parametrize("begins", [False, True])
def test_what_reads_within_a_transaction_does_not_wait_for_it(tmp_path: Path, begins: bool) -> None:
    async def work(database: AioSqliteConfiguration, session: Callable[[], Awaitable[AsyncSession]]) -> int:
        async with await session() as outer, database.begin_transaction(outer):
            await outer.execute(INSERT)
            async with await session() as inner:
                if not begins:
                    return int((await inner.execute(COUNT)).scalar_one())
                async with database.begin_transaction(inner):
                    return int((await inner.execute(COUNT)).scalar_one())

    assert run(tmp_path, work) == 0, "it sees what was committed before"
