"""A notifier as operators run it."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.waiting import until


@asynccontextmanager
async def notifier_process(mongo: str, prefix: str, port: int) -> AsyncIterator[subprocess.Popen[bytes]]:
    """One that is ready; it is killed at the end."""
    environment = os.environ | {
        "MONGODB_URI": mongo,
        "MEDINA_DATABASE": prefix,
        "MEDINA_NOTIFIER_PORT": str(port),
        "MEDINA_DELIVERY_FIRST_RETRY_S": "0.02",
    }
    command = [sys.executable, "-c", "from broker.cli import main; main()", "notifier"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)  # noqa: ASYNC220  # returns at once
    try:
        await until(lambda: _is_ready(f"http://127.0.0.1:{port}/ready"), within_s=20)
        yield process
    finally:
        process.kill()
        process.wait()


async def _is_ready(url: str) -> bool:
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(url) as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False
