"""The way to the context broker: batch upserts, repeated until every entity is either committed or refused.

Source: ETSI GS CIM 009, clause 5.6.8 and 6.15 (`POST /entityOperations/upsert?options=update`), so any NGSI-LD broker
will do. `Prefer: keep-newer` asks for what Medina's broker can do: not to overwrite a value by one observed earlier.
What is refused is found by halving, until the culprit is alone (`agents.northbound_answers` says what an answer means).
What is not decided is sent again, endlessly, with growing pauses. Only an entity that the broker provably cannot write,
while it writes others, is given up (`agents.northbound_evidence`).
"""

import asyncio
import random
from collections.abc import Callable, Container, Iterator, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from time import monotonic
from typing import NamedTuple
from urllib.parse import quote

import aiohttp
import orjson
import structlog

from agents.errors import BrokerFails, BrokerRefused
from agents.fragment import Fragment, json_of
from agents.metrics import Metrics
from agents.northbound_answers import Answer, Trouble, Troubles
from agents.northbound_evidence import Evidence, Subject
from agents.retry import delay_s, retry_after_s
from agents.specification import Target
from ngsi.datetimes import system_text

log = structlog.get_logger(__name__)

PATH = "/ngsi-ld/v1/entityOperations/upsert"
TIMEOUT_S = 10.0
MAX_BATCH_BYTES = 2_000_000
"""Size of a request body, unless a single entity is larger."""

APART_AFTER_COUNT = 3
"""A batch that is answered 500 so many times is halved: perhaps it is one entity."""
PROBE_ID = "urn:ngsi-ld:Probe:medina-agent"
"""What is written, and deleted, to see whether the broker writes anything."""

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


class _Work(NamedTuple):
    """What goes along with the parts of a batch."""

    refusals: list[Refusal]
    may_give_up: Callable[[Fragment], bool]


class Northbound:
    """One kept connection to the context broker. The order of calls is the order of writes: one call at a time."""

    def __init__(self, url: str, batch_count: int, metrics: Metrics) -> None:
        self.url = url
        self.trouble: str | None = None
        """Why the last request was not answered; None when it was."""
        self._batch_count = batch_count
        self._metrics = metrics
        self._evidence = Evidence()
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

    async def commit(
        self, fragments: Sequence[Fragment], may_give_up: Callable[[Fragment], bool] = lambda _: True
    ) -> list[Refusal]:
        """Write the fragments in their order; returns when each is committed or refused, with the refused ones.

        Waits as long as the broker is away. May be cancelled: then it is unknown what has been committed.
        `may_give_up` is asked before a fragment is that the broker fails on; one that may not is tried endlessly.
        """
        work = _Work([], may_give_up)
        for batch in _batches(fragments, self._batch_count, self._evidence):
            with self._metrics.commit.time():
                await self._settle(batch, work)
            self._metrics.batch.observe(len(batch))
        self._metrics.entities.inc(len(fragments) - len(work.refusals))
        return work.refusals

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

    async def _settle(self, batch: Sequence[Fragment], work: _Work) -> None:
        """Send the batch, and again what of it is not decided, until nothing is left."""
        attempt = 0
        while batch:
            attempt += 1
            answer = await self._send(batch)
            refused, undecided = answer.told_of({fragment.entity_id for fragment in batch})
            decided = [fragment for fragment in batch if fragment.entity_id not in undecided]
            batch = [fragment for fragment in batch if fragment.entity_id in undecided]
            if decided:
                await self._decide(decided, answer, refused, work)
            if not batch:
                self._answered()
            elif await self._fails(batch, attempt, undecided, work):
                return
            else:
                await self._pause(attempt, answer, next(iter(undecided.values())))

    async def _decide(self, batch: Sequence[Fragment], answer: Answer, refused: Troubles | None, work: _Work) -> None:
        if self._evidence and (answer.is_plain_success or len(batch) == 1):
            for fragment in batch:
                self._evidence.decided(_subject(fragment))
        if answer.is_refusal:
            await self._halve(batch, BrokerRefused(answer.problem()), work)
        elif answer.status == HTTPStatus.MULTI_STATUS:
            await self._sort_out(batch, refused, work)

    async def _fails(self, batch: Sequence[Fragment], attempt: int, undecided: Troubles, work: _Work) -> bool:
        """Whether what is answered 500 has been settled otherwise than by sending it again."""
        if any(trouble.status != HTTPStatus.INTERNAL_SERVER_ERROR for trouble in undecided.values()):
            self._evidence.forget()
            return False
        if len(batch) > 1:
            if attempt >= APART_AFTER_COUNT:
                await self._halve(batch, None, work)
            return attempt >= APART_AFTER_COUNT
        (fragment,) = batch
        if not work.may_give_up(fragment) or not await self._fails_for_sure(fragment):
            return False
        said = undecided[fragment.entity_id].text
        self._answered()
        work.refusals.append(Refusal(fragment, BrokerFails(f"the context broker writes others, but not this: {said}")))
        return True

    async def _fails_for_sure(self, fragment: Fragment) -> bool:
        if await self._takes_others(fragment.target):
            return self._evidence.failed_alone(_subject(fragment), monotonic())
        self._evidence.forget()
        return False

    async def _takes_others(self, target: Target) -> bool:
        """Whether the broker writes anything, in the same tenant and with the same @context, at this moment."""
        at = {"type": "Property", "value": system_text(datetime.now(UTC))}
        probe = Fragment(PROBE_ID, json_of({"id": PROBE_ID, "type": "Probe", "at": at}), target)
        if not (await self._send([probe])).is_plain_success:
            return False
        url = f"{self.url}/ngsi-ld/v1/entities/{quote(PROBE_ID, safe=':')}"
        headers = {name: value for name, value in _headers(target).items() if name in ("Link", "NGSILD-Tenant")}
        try:
            async with self._opened.delete(url, headers=headers) as deleted:
                return deleted.status < 300 or deleted.status == HTTPStatus.NOT_FOUND  # another agent asks as well
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def _halve(self, batch: Sequence[Fragment], error: BrokerRefused | None, work: _Work) -> None:
        """Settle the halves; what is alone is refused with the error."""
        if len(batch) == 1 and error is not None:
            work.refusals.append(Refusal(batch[0], error))
            return
        middle = len(batch) // 2
        await self._settle(batch[:middle], work)
        await self._settle(batch[middle:], work)

    async def _sort_out(self, batch: Sequence[Fragment], refused: Troubles | None, work: _Work) -> None:
        """Find the refused fragments of a 207; where the answer leaves it open, each is sent alone."""
        if refused == {}:
            return
        named = [fragment for fragment in batch if fragment.entity_id in (refused or {})]
        if not refused or not named:
            await self._halve(batch, BrokerRefused("207 without naming an entity of the batch"), work)
            return
        ids = [fragment.entity_id for fragment in named]
        for fragment in named:
            if ids.count(fragment.entity_id) == 1 or len(batch) == 1:
                work.refusals.append(Refusal(fragment, BrokerRefused(refused[fragment.entity_id].text)))
            else:
                await self._settle([fragment], work)

    async def _send(self, batch: Sequence[Fragment]) -> Answer:
        """Send the batch once."""
        body = b"[" + b",".join([fragment.body for fragment in batch]) + b"]"
        headers = _headers(batch[0].target)
        try:
            async with self._opened.post(
                self.url + PATH, params={"options": "update"}, data=body, headers=headers, allow_redirects=False
            ) as response:
                pause_asked_s = retry_after_s(response.headers.get("Retry-After"), datetime.now(UTC))
                return Answer(response.status, await response.read(), "", pause_asked_s)
        except (aiohttp.ClientError, TimeoutError) as error:
            return Answer(0, text=_named(error))

    def _answered(self) -> None:
        if self.trouble is not None:
            log.info("context broker takes measures again", url=self.url)
        self.trouble = None

    async def _pause(self, attempt: int, answer: Answer, trouble: Trouble) -> None:
        pause_s = delay_s(attempt, random.random(), answer.pause_asked_s)  # noqa: S311 - spreads load, guards nothing
        text = trouble.text
        if answer.status in _NOT_THERE:
            text += f"; MEDINA_BROKER_URL {self.url} has to be that of an NGSI-LD broker with POST {PATH}"
        if text != self.trouble:
            log.warning("context broker takes nothing", url=self.url, why=text, attempt=attempt)
        self.trouble = text
        self._metrics.retries.labels(str(answer.status) if answer.status else "no-answer").inc()
        await asyncio.sleep(pause_s)

    @property
    def _opened(self) -> aiohttp.ClientSession:
        assert self._session is not None, "open() comes first"
        return self._session


def _batches(fragments: Sequence[Fragment], count: int, suspects: Container[Subject]) -> Iterator[list[Fragment]]:
    """Cut into batches of one target each, suspects alone; fragments of one entity keep their order."""
    by_target: dict[Target | Subject, list[Fragment]] = {}
    for fragment in fragments:
        is_suspect = suspects and _subject(fragment) in suspects
        by_target.setdefault(_subject(fragment) if is_suspect else fragment.target, []).append(fragment)
    for key, group in by_target.items():
        most = count if isinstance(key, Target) else 1
        batch: list[Fragment] = []
        size = 0
        for fragment in group:
            if batch and (len(batch) == most or size + len(fragment.body) > MAX_BATCH_BYTES):
                yield batch
                batch, size = [], 0
            batch.append(fragment)
            size += len(fragment.body)
        yield batch


def _subject(fragment: Fragment) -> Subject:
    return fragment.target, fragment.entity_id


def _headers(target: Target) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Prefer": "keep-newer"}
    if target.context:
        headers["Link"] = f'<{target.context}>; rel="http://www.w3.org/ns/json-ld#context"; type="application/ld+json"'
    if target.tenant:
        headers["NGSILD-Tenant"] = target.tenant
    return headers


def _named(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return f"{type(error).__name__}: {error}".rstrip(": ")
