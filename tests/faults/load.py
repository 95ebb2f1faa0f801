"""Numbered updates, each repeated until it is acknowledged, the next one of a meter only then."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp
import orjson

from tests.end_to_end.city import HEADERS
from tests.faults.watches import METERS, meter_id, update

_WORKERS = 25
_AGAIN_S = 0.1
# Longer than the context API takes to give up; it must not work on an update that the client repeats.
_ANSWER_WITHIN_S = 60


@dataclass
class Load:
    """`acknowledged` counts updates; `repeated` requests that got no answer, or 503."""

    port: int
    per_meter: int
    acknowledged: int = 0
    repeated: int = 0

    async def run(self) -> None:
        """Update every meter `per_meter` times."""
        timeout = aiohttp.ClientTimeout(total=_ANSWER_WITHIN_S)
        async with aiohttp.ClientSession(timeout=timeout, headers=HEADERS) as session, asyncio.TaskGroup() as group:
            for worker in range(_WORKERS):
                group.create_task(self._work(session, range(worker, METERS, _WORKERS)))

    async def _work(self, session: aiohttp.ClientSession, meters: range) -> None:
        for n in range(self.per_meter):
            for number in meters:
                url = f"http://127.0.0.1:{self.port}/ngsi-ld/v1/entities/{meter_id(number)}/attrs"
                while not await self._is_acknowledged(session, url, orjson.dumps(update(n))):
                    self.repeated += 1
                    await asyncio.sleep(_AGAIN_S)
                self.acknowledged += 1

    async def _is_acknowledged(self, session: aiohttp.ClientSession, url: str, body: bytes) -> bool:
        try:
            async with session.patch(url, data=body) as answer:
                text = await answer.text()
        except aiohttp.ClientError:
            return False
        assert answer.status in (204, 503), f"{answer.status} {text}"
        return answer.status == 204
