"""The MQTT sessions of the slots that this agent holds: none, one, or several."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from agents.mqtt import OnMessage, OnResumed, Southbound


class Sessions:
    """Opens and closes sessions as slots come and go.

    `make` gives the session of a slot; `prepare` is awaited before it is opened.
    """

    def __init__(self, make: Callable[[int], Southbound], count: int) -> None:
        self.count = count
        """Slots in all."""
        self._make = make
        self._held: dict[int, tuple[Southbound, asyncio.Task[None]]] = {}
        self._on_message: OnMessage = lambda *_: None
        self._on_resumed: OnResumed = lambda _: None
        self._on_leave: Callable[[Southbound], Awaitable[None]] | None = None
        self._prepare: Callable[[str], Awaitable[None]] | None = None
        self._may_connect: Callable[[], Awaitable[None]] = _at_once

    def bind(
        self,
        on_message: OnMessage,
        on_resumed: OnResumed,
        on_leave: Callable[[Southbound], Awaitable[None]],
        prepare: Callable[[str], Awaitable[None]],
        may_connect: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Say who gets the messages, who is asked before a session is closed, and opened, and (re)connected."""
        self._on_message, self._on_resumed, self._on_leave, self._prepare = on_message, on_resumed, on_leave, prepare
        self._may_connect = may_connect or _at_once

    @property
    def slots(self) -> frozenset[int]:
        """Those held."""
        return frozenset(self._held)

    @property
    def trouble(self) -> str | None:
        """Why a session has no connection; None when each has one. An agent that holds no slot stands by."""
        return next((session.trouble for session, _ in self._held.values() if session.trouble is not None), None)

    def publisher(self) -> Southbound | None:
        """A session that is connected now, to publish with; None when there is none."""
        return next((session for session, _ in self._held.values() if session.trouble is None), None)

    def open(self, slot: int) -> None:
        """Hold a slot from now on."""
        session = self._make(slot)
        self._held[slot] = session, asyncio.create_task(self._run(session))

    async def close(self, slot: int) -> None:
        """Let go of a slot: what is under way is finished, what waits is left to the next holder.

        When cancelled, what is under way is left as well. No connection is made any more in any case: it would end
        that of the next holder.
        """
        session, task = self._held.pop(slot)
        try:
            if self._on_leave is not None:
                await self._on_leave(session)
        finally:
            session.close()
            await _end(task)

    async def abandon(self, slot: int) -> None:
        """Somebody else has the slot: finish nothing."""
        session, task = self._held.pop(slot)
        session.pause()
        self._on_resumed(session)
        session.close()
        await _end(task)

    def pause(self) -> None:
        """Read no more from any session."""
        for session, _ in self._held.values():
            session.pause()

    def resume(self) -> None:
        """Read again."""
        for session, _ in self._held.values():
            session.resume()

    async def end(self) -> None:
        """Say goodbye in all sessions; they stay at the MQTT broker."""
        held, self._held = list(self._held.values()), {}
        for session, _ in held:
            session.close()
        for _, task in held:
            await _end(task)

    async def failed(self) -> None:
        """Wait until a session ends that should not have; raises what ended it."""
        while True:
            tasks = [task for _, task in self._held.values()]
            if not tasks:
                await asyncio.sleep(_LOOK_AGAIN_S)
                continue
            done, _ = await asyncio.wait(tasks, timeout=_LOOK_AGAIN_S, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                if not task.cancelled() and (error := task.exception()) is not None:
                    raise error

    async def _run(self, session: Southbound) -> None:
        if self._prepare is not None:
            await self._prepare(session.client_id)
        await session.run(self._on_message, self._on_resumed, self._may_connect)


_LOOK_AGAIN_S = 0.5


async def _at_once() -> None:
    """Nobody has to be asked."""


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
