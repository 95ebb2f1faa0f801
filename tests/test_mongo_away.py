"""Requests given up while MongoDB is away leave the client as it was (docs/decisions/0025)."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from agents.errors import StoreUnavailable
from agents.storage.mongo_connection import MongoConnection
from agents.storage.mongo_connection import translated as translated_for_agents
from broker.errors import StorageUnavailable
from broker.storage.mongo import MongoStorage

AT_ONCE = 100
ROUNDS = 5
IN_TIME_S = 10
LOOKS_AGAIN_S = 0.5
"""PyMongo looks for a server at least this often, and then wakes all that wait for one."""


async def test_the_context_api_s_client(free_port: Callable[[], int]) -> None:
    """Of the context API and the notifier."""
    storage = MongoStorage(_away(free_port()), "away", timeout_s=LOOKS_AGAIN_S, query_timeout_s=1)
    try:
        await _gives_up_many(storage.ping, StorageUnavailable)
    finally:
        await storage.close()


async def test_the_agent_s_client(free_port: Callable[[], int]) -> None:
    """Of provisioned devices, commands, the ledger and the slots."""
    connection = MongoConnection(_away(free_port()), "away", LOOKS_AGAIN_S)

    async def ping() -> None:
        with translated_for_agents():
            await connection.database.command("ping")

    try:
        await _gives_up_many(ping, StoreUnavailable)
    finally:
        await connection.close()


def _away(port: int) -> str:
    return f"mongodb://127.0.0.1:{port}/?replicaSet=away"


async def _gives_up_many(ping: Callable[[], Coroutine[Any, Any, None]], unavailable: type[Exception]) -> None:
    """Many at the very moment at which the driver looks again: those after them are still answered in time."""
    chance = random.Random(1)

    async def given_up() -> None:
        async with asyncio.timeout(LOOKS_AGAIN_S + chance.uniform(-0.003, 0.003)):
            await ping()

    for _ in range(ROUNDS):
        requests = [asyncio.create_task(given_up()) for _ in range(AT_ONCE)]
        _, hanging = await asyncio.wait(requests, timeout=IN_TIME_S)
        assert not hanging
        assert {type(request.exception()) for request in requests} <= {unavailable, TimeoutError}
    async with asyncio.timeout(IN_TIME_S):
        with pytest.raises(unavailable):
            await ping()
