"""HTTP as receivers really speak it: what an answer may look like, how it may come, and what becomes of connections."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.address_rule import address_rule
from broker.notify.transports.base import Destination, Outcome
from broker.notify.transports.http import HttpTransport
from broker.notify.transports.outside import Outside
from tests.waiting import until

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
BODY = b'{"id":"urn:n:1","data":[]}'

Answers = Callable[[asyncio.StreamWriter, int], Awaitable[None]]


class Peer:
    """A server that reads requests and has `answers` say what it sends; `requests` by connection."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.requests: list[list[bytes]] = []
        self.ended_count = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        own: list[bytes] = []
        self.requests.append(own)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                own.append(head + await reader.readexactly(length))
                await self._answers(writer, sum(map(len, self.requests)))
                await writer.drain()
        self.ended_count += 1
        writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()

    @property
    def counts(self) -> list[int]:
        """The number of requests of each connection."""
        return [len(own) for own in self.requests]


def always(answer: bytes, *, closes: bool = False) -> Answers:
    async def answers(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(answer)
        if closes:
            writer.close()

    return answers


class To:
    """A transport and a server to send to."""

    def __init__(self, transport: HttpTransport, peer: Peer, port: int) -> None:
        self.transport = transport
        self.peer = peer
        self.port = port
        self.destination = Destination(f"http://127.0.0.1:{port}/n", {"Content-Type": "application/json"}, 5.0)

    async def send(self, body: bytes = BODY) -> Outcome:
        return await self.transport.send(self.destination, body)


@asynccontextmanager
async def to(answers: Answers, tls: ssl.SSLContext | None = None, ca_file: str = "") -> AsyncIterator[To]:
    peer = Peer(answers)
    outside = Outside(address_rule("any"), ca_file)
    transport = HttpTransport(outside)
    async with await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=tls) as server:
        try:
            yield To(transport, peer, server.sockets[0].getsockname()[1])
        finally:
            await transport.close()
            await outside.close()
        await until(lambda: peer.ended_count == len(peer.requests))


@pytest.mark.parametrize(
    "answer",
    [
        NO_CONTENT,
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 202\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nRetry-After: 5\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + NO_CONTENT,
        b"HTTP/1.1 200 OK\r\nUpgrade: h2,h2c\r\nConnection: Upgrade, Keep-Alive\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok",
    ],
)
async def test_a_connection_is_kept_after_a_whole_answer(answer: bytes) -> None:
    async with to(always(answer)) as receiver:
        for _ in range(3):
            assert (await receiver.send()).error is None
        assert receiver.peer.counts == [3]


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        NO_CONTENT + NO_CONTENT,
        NO_CONTENT + b"nonsense",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 90_000,
    ],
)
async def test_a_connection_is_not_used_again_where_it_may_not_be(answer: bytes) -> None:
    async with to(always(answer)) as receiver:
        for _ in range(2):
            assert (await receiver.send()).error is None
        assert receiver.peer.counts == [1, 1]


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\n\r\nuntil the end", b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\ncut short"],
)
async def test_the_status_counts_when_the_connection_ends_in_the_body(answer: bytes) -> None:
    async with to(always(answer, closes=True)) as receiver:
        for _ in range(2):
            assert (await receiver.send()).error is None
        assert receiver.peer.counts == [1, 1]


async def test_the_status_counts_when_the_body_does_not_end_in_time() -> None:
    async with to(always(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n")) as receiver:
        receiver.destination.timeout_s = 0.2
        assert (await receiver.send()).error is None


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is not HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n", "is not HTTP"),
        (b"HTTP/1.1 204 No Content\r\nX: " + b"x" * 100_000, "is not HTTP"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000, "is not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "is not HTTP"),
    ],
)
async def test_what_is_no_answer_is_a_failure(answer: bytes, why: str) -> None:
    async with to(always(answer)) as receiver:
        assert why in ((await receiver.send()).error or "")
        assert receiver.peer.counts == [1]


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 20"])
async def test_a_new_connection_that_ends_without_an_answer_is_a_failure(answer: bytes) -> None:
    async with to(always(answer, closes=True)) as receiver:
        assert "the connection was closed" in ((await receiver.send()).error or "")
        assert receiver.peer.counts == [1]


async def test_only_what_was_not_answered_on_a_kept_connection_is_sent_again() -> None:
    last = [b""]

    async def answers(writer: asyncio.StreamWriter, number: int) -> None:
        writer.write(NO_CONTENT if number in (1, 3) else last[0])
        if number not in (1, 3):
            writer.close()

    async with to(answers) as receiver:
        assert (await receiver.send()).error is None
        assert (await receiver.send()).error is None
        assert receiver.peer.counts == [2, 1]
        last[0] = b"HTTP/1.1 2"
        assert "in the middle" in ((await receiver.send()).error or "")
        assert receiver.peer.counts == [2, 2]


async def test_two_requests_are_never_under_way_on_one_connection() -> None:
    free = asyncio.Event()

    async def answers(writer: asyncio.StreamWriter, _: int) -> None:
        await free.wait()
        writer.write(NO_CONTENT)

    async with to(answers) as receiver:
        sending = [asyncio.create_task(receiver.send()) for _ in range(20)]
        await until(lambda: receiver.peer.counts == [1] * 20)
        free.set()
        assert all(outcome.error is None for outcome in await asyncio.gather(*sending))
        for _ in range(5):
            await receiver.send()
        assert sorted(receiver.peer.counts) == [1] * 19 + [6]


async def test_who_gives_up_leaves_no_connection_behind() -> None:
    async def answers(_: asyncio.StreamWriter, __: int) -> None:
        await asyncio.sleep(0)

    async with to(answers) as receiver:
        sending = asyncio.create_task(receiver.send())
        await until(lambda: receiver.peer.counts == [1])
        sending.cancel()
        assert isinstance((await asyncio.gather(sending, return_exceptions=True))[0], asyncio.CancelledError)
        await until(lambda: receiver.peer.ended_count == 1)
        receiver.destination.timeout_s = 0.1
        assert await receiver.send() == Outcome("no answer within 0.1 s")
        await until(lambda: receiver.peer.ended_count == 2)


async def test_connections_that_are_not_used_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("broker.notify.transports.http_pool._KEEP_IDLE_S", 0.1)
    async with to(always(NO_CONTENT)) as receiver:
        assert (await receiver.send()).error is None
        await until(lambda: receiver.peer.ended_count == 1)
        assert (await receiver.send()).error is None
        assert receiver.peer.counts == [1, 1]


async def test_https_connections_are_kept_too(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    async with to(always(NO_CONTENT), context, str(tmp_path / "ca.pem")) as receiver:
        receiver.destination.uri = f"https://localhost:{receiver.port}/n"
        for _ in range(3):
            assert (await receiver.send(BODY * 10_000)).error is None
        assert receiver.peer.counts == [3]


async def test_a_large_notification_arrives_whole() -> None:
    async with to(always(NO_CONTENT)) as receiver:
        body = BODY * 150_000
        assert (await receiver.send(body)).error is None
        assert receiver.peer.requests[0][0].endswith(b"\r\n\r\n" + body)


async def test_the_head_of_a_request() -> None:
    async with to(always(NO_CONTENT)) as receiver:
        receiver.destination.uri = f"http://127.0.0.1:{receiver.port}/à b?q=ü&x=%26#part"
        receiver.destination.headers = {
            "Content-Type": "application/json",
            "user-agent": "pilot",
            "X-Name": " hôte ",
            "Connection": "close",
            "Content-Length": "3",
            "Transfer-Encoding": "chunked",
        }
        assert (await receiver.send()).error is None
        lines = receiver.peer.requests[0][0].partition(b"\r\n\r\n")[0].decode().split("\r\n")
        assert lines[0] == "POST /%C3%A0%20b?q=%C3%BC&x=%26 HTTP/1.1"
        assert sorted(lines[1:]) == sorted(
            [
                f"Host: 127.0.0.1:{receiver.port}",
                "Accept: */*",
                "Content-Type: application/json",
                "user-agent: pilot",
                "X-Name: hôte",
                f"Content-Length: {len(BODY)}",
            ]
        )


@pytest.mark.parametrize(
    "header", [("X-A", "1\r\nX-B: 2"), ("X-A", "1\nX-B"), ("X-A", "\0"), ("X A", "1"), ("X-A:", "1"), ("", "1")]
)
async def test_no_header_can_smuggle_another(header: tuple[str, str]) -> None:
    async with to(always(NO_CONTENT)) as receiver:
        receiver.destination.headers = dict([header])
        assert "header of receiverInfo" in ((await receiver.send()).error or "")
        assert receiver.peer.counts == []


ANSWER = (
    b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 503 Not  now\r\nX: y\r\nRetry-After: 7\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: t\r\n\r\n"
)


@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, len(ANSWER) - 1), max_size=8))
async def test_an_answer_may_come_in_any_pieces(cuts: list[int]) -> None:
    async def answers(writer: asyncio.StreamWriter, _: int) -> None:
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(ANSWER)], strict=True):
            writer.write(ANSWER[start:end])
            await asyncio.sleep(0.0005)

    async with to(answers) as receiver:
        for _ in range(2):
            assert await receiver.send() == Outcome("answer 503 Not  now", 7.0, is_refusal=False, code=503)
        assert receiver.peer.counts == [2]
