"""The application of a Prefect server, whose transactions on SQLite wait for each other.

Prefect begins most of them as DEFERRED. One that reads and then writes fails at once with "database is locked" if another was committed in
between: SQLite's timeout does not apply. An IMMEDIATE transaction waits for the write lock before it reads.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from prefect.server.api import server
from prefect.server.database.configurations import SQLITE_BEGIN_MODE, AioSqliteConfiguration
from prefect.server.database.dependencies import set_database_config
from prefect.settings import PREFECT_API_DATABASE_CONNECTION_URL
from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction


class ImmediateSqlite(AioSqliteConfiguration):
    """SQLite as Prefect configures it, except that a transaction takes the write lock when it begins."""

    @asynccontextmanager
    async def begin_transaction(
        self, session: AsyncSession, with_for_update: bool = False
    ) -> AsyncGenerator[AsyncSessionTransaction, None]:
        """Begin a transaction; what begins within it is deferred, since it would wait for this one for ever."""
        is_outermost = SQLITE_BEGIN_MODE.get() is None
        async with super().begin_transaction(session, with_for_update or is_outermost) as transaction:
            await session.connection()
            token = SQLITE_BEGIN_MODE.set("DEFERRED")
            try:
                yield transaction
            finally:
                SQLITE_BEGIN_MODE.reset(token)


def create_app() -> Any:
    """Return Prefect's own application, on the database of its settings."""
    url = PREFECT_API_DATABASE_CONNECTION_URL.value()
    if url.startswith("sqlite"):
        set_database_config(ImmediateSqlite(connection_url=url))
    return server.create_app()
