"""The way to the context broker: batch upserts, repeated until every entity is either committed or refused.

Source: ETSI GS CIM 009, clause 5.6.8 and 6.15 (`POST /entityOperations/upsert?options=update`), so any NGSI-LD broker
will do. `Prefer: keep-newer` asks for what Medina's broker can do: not to overwrite a value by one observed earlier.
What an answer means:

    2xx                          committed
    207                          committed but for the entities in `errors`, which are refused; for those with status
                                 5xx nothing is decided: they are sent again
    400, 413, 422                something in the batch is wrong: halved until the culprit is alone, which is refused
    anything else, or no answer  nothing is decided: the same batch again, endlessly, with growing pauses
"""

import asyncio
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import quote

import aiohttp
import orjson
import structlog

from agents.errors import BrokerRefused
from agents.fragment import Fragment
from agents.metrics import Metrics
from agents.retry import delay_s, retry_after_s
from agents.specification import Target

log = structlog.get_logger(__name__)

PATH = "/ngsi-ld/v1/entityOperations/upsert"
TIMEOUT_S = 10.0
MAX_BATCH_BYTES = 2_000_000
"""Size of a request body, unless a single entity is larger."""

_REFUSED_WHOLE = frozenset({400, 413, 422})
_NOT_THERE = frozenset({404, 405, 501})


class Known(NamedTuple):
    """What the context broker knows of a device, from whichever agent."""

    seen: str
    """The time of its newest message; empty: none."""
    is_offline: bool


class Refusal(NamedTuple):
    """A fragment the broker would not take."""

    fragment: Fragment
    error: BrokerRefused


class _Answer(NamedTuple):
    status: int
    body: bytes


class Northbound:
    """One kept connection to the context broker. The order of calls is the order of writes: one call at a time."""

    def __init__(self, url: str, batch_count: int, metrics: Metrics) -> None:
        self.url = url
        self.trouble: str | None = None
        """Why the last request was not answered; None when it was."""
        self._batch_count = batch_count
        self._metrics = metrics
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the session; the connection is made with the first request."""
        # Shorter than servers keep an idle connection (uvicorn: 5 s), so that a request does not meet a closed one.
        connector = aiohttp.TCPConnector(limit=2, keepalive_timeout=4)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), skip_auto_headers=["User-Agent"]
        )

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()

    async def commit(self, fragments: Sequence[Fragment]) -> list[Refusal]:
        """Write the fragments in their order; returns when each is committed or refused, with the refused ones.

        Waits as long as the broker is away. May be cancelled: then it is unknown what has been committed.
        """
        refusals: list[Refusal] = []
        for batch in _batches(fragments, self._batch_count):
            with self._metrics.commit.time():
                await self._settle(batch, refusals)
            self._metrics.batch.observe(len(batch))
        self._metrics.entities.inc(len(fragments) - len(refusals))
        return refusals

    async def why_not_reachable(self) -> str | None:
        """Return why the broker cannot be used now, None if it can."""
        if self.trouble is not None:
            return self.trouble
        try:
            async with self._opened.get(self.url + PATH, timeout=aiohttp.ClientTimeout(total=1)):
                return None  # any answer will do: the path has no GET
        except (aiohttp.ClientError, TimeoutError) as error:
            return _named(error)

    async def known_of(self, target: Target, entity_id: str) -> Known | None:
        """Return what the broker knows of a device, by its entity; None when it does not answer."""
        url = f"{self.url}/ngsi-ld/v1/entities/{quote(entity_id, safe=':')}"
        query = {"attrs": "dateLastValueReported,deviceState", "options": "keyValues"}
        try:
            async with self._opened.get(url, params=query, headers=_headers(target)) as got:
                if got.status == HTTPStatus.NOT_FOUND:
                    return Known("", is_offline=False)
                entity = orjson.loads(await got.read()) if got.status == HTTPStatus.OK else None
        except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError):
            return None
        if not isinstance(entity, dict):
            return None
        seen = entity.get("dateLastValueReported")
        return Known(seen if isinstance(seen, str) else "", entity.get("deviceState") == "offline")

    async def _settle(self, batch: Sequence[Fragment], refusals: list[Refusal]) -> None:
        attempt = 0
        left = batch
        while left:
            answer = await self._answer(left)
            undecided = _undecided(answer.body, left) if answer.status == 207 else {}
            if undecided:
                attempt += 1
                errors = {
                    id_: said for id_, said in (_errors_by_entity(answer.body) or {}).items() if id_ not in undecided
                }
                await self._sort_out([each for each in left if each.entity_id not in undecided], errors, refusals)
                left = [each for each in left if each.entity_id in undecided]
                await self._pause(attempt, "207", next(iter(undecided.values())), None)
                continue
            self._answered()
            if answer.status in _REFUSED_WHOLE:
                await self._halve(left, BrokerRefused(_problem(answer.body, answer.status)), refusals)
            elif answer.status == 207:
                await self._sort_out(left, _errors_by_entity(answer.body), refusals)
            return

    async def _halve(self, batch: Sequence[Fragment], error: BrokerRefused, refusals: list[Refusal]) -> None:
        if len(batch) == 1:
            refusals.append(Refusal(batch[0], error))
            return
        middle = len(batch) // 2
        await self._settle(batch[:middle], refusals)
        await self._settle(batch[middle:], refusals)

    async def _sort_out(
        self, batch: Sequence[Fragment], errors: Mapping[str, str] | None, refusals: list[Refusal]
    ) -> None:
        """Find the refused fragments of a 207; where the answer leaves it open, each is sent alone."""
        if errors == {} or not batch:
            return
        named = [fragment for fragment in batch if fragment.entity_id in (errors or {})]
        if not errors or not named:
            await self._halve(batch, BrokerRefused("207 without naming an entity of the batch"), refusals)
            return
        ids = [fragment.entity_id for fragment in named]
        for fragment in named:
            if ids.count(fragment.entity_id) == 1 or len(batch) == 1:
                refusals.append(Refusal(fragment, BrokerRefused(errors[fragment.entity_id])))
            else:
                await self._settle([fragment], refusals)

    async def _answer(self, batch: Sequence[Fragment]) -> _Answer:
        """Send the batch until there is an answer that decides."""
        body = b"[" + b",".join([fragment.body for fragment in batch]) + b"]"
        headers = _headers(batch[0].target)
        attempt = 0
        while True:
            attempt += 1
            pause_asked_s = None
            try:
                async with self._opened.post(
                    self.url + PATH, params={"options": "update"}, data=body, headers=headers, allow_redirects=False
                ) as response:
                    answer = _Answer(response.status, await response.read())
                    pause_asked_s = retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC))
            except (aiohttp.ClientError, TimeoutError) as error:
                reason, trouble = "no-answer", _named(error)
            else:
                if answer.status < 300 or answer.status in _REFUSED_WHOLE:
                    return answer
                reason, trouble = str(answer.status), _problem(answer.body, answer.status)
                if answer.status in _NOT_THERE:
                    trouble += f"; MEDINA_BROKER_URL {self.url} has to be that of an NGSI-LD broker with POST {PATH}"
            await self._pause(attempt, reason, trouble, pause_asked_s)

    def _answered(self) -> None:
        if self.trouble is not None:
            log.info("context broker takes measures again", url=self.url)
        self.trouble = None

    async def _pause(self, attempt: int, reason: str, trouble: str, pause_asked_s: float | None) -> None:
        pause_s = delay_s(attempt, random.random(), pause_asked_s)  # noqa: S311 - spreads load, guards nothing
        if trouble != self.trouble:
            log.warning("context broker takes nothing", url=self.url, why=trouble, attempt=attempt)
        self.trouble = trouble
        self._metrics.retries.labels(reason).inc()
        await asyncio.sleep(pause_s)

    @property
    def _opened(self) -> aiohttp.ClientSession:
        assert self._session is not None, "open() comes first"
        return self._session


def _batches(fragments: Sequence[Fragment], count: int) -> Iterator[list[Fragment]]:
    """Cut into batches of one target each; fragments of one target keep their order."""
    by_target: dict[Target, list[Fragment]] = {}
    for fragment in fragments:
        by_target.setdefault(fragment.target, []).append(fragment)
    for group in by_target.values():
        batch: list[Fragment] = []
        size = 0
        for fragment in group:
            if batch and (len(batch) == count or size + len(fragment.body) > MAX_BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(fragment)
            size += len(fragment.body)
        yield batch


def _headers(target: Target) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Prefer": "keep-newer"}
    if target.context:
        headers["Link"] = f'<{target.context}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
    if target.tenant:
        headers["NGSILD-Tenant"] = target.tenant
    return headers


def _errors_by_entity(body: bytes) -> dict[str, str] | None:
    """Read a BatchOperationResult (clause 5.2.16): entity id -> what is wrong with it; None when it cannot be read."""
    try:
        errors = orjson.loads(body)["errors"]
        return {error["entityId"]: _text(error.get("error"), "refused") for error in errors}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None


def _undecided(body: bytes, batch: Iterable[Fragment]) -> dict[str, str]:
    """The entities of the batch that a BatchOperationResult says are in the broker's own trouble (status 5xx), and why.

    It may pass.
    """
    ids = {fragment.entity_id for fragment in batch}
    try:
        errors = [(error["entityId"], error.get("error")) for error in orjson.loads(body)["errors"]]
        return {id_: _text(said, "207") for id_, said in errors if id_ in ids and _status(said) >= 500}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return {}


def _status(problem: object) -> int:
    status = problem.get("status") if isinstance(problem, dict) else None
    return status if isinstance(status, int) else 0


def _problem(body: bytes, status: int) -> str:
    """Read a ProblemDetails (RFC 7807)."""
    try:
        return f"{status} {_text(orjson.loads(body), '')}".rstrip()
    except orjson.JSONDecodeError:
        return str(status)


def _text(problem: object, otherwise: str) -> str:
    if not isinstance(problem, dict):
        return otherwise
    parts = (problem.get("title"), problem.get("detail"))
    return ": ".join(part for part in parts if isinstance(part, str)) or otherwise


def _named(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return f"{type(error).__name__}: {error}".rstrip(": ")
