"""This agent among the others: keeps its lease, takes slots that are free, gives those that are too many.

What fences a slot is the MQTT broker: there is one connection to a session, and who connects with its client id ends
the connection of whoever had it. The lease says who may connect. So an agent that was stopped for a while and wakes up
has no connection, and makes none before it knows again that the slot is its own; what it still had on its way to the
context broker carries the times of its measures, and does not replace newer values.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex

import structlog

from agents.errors import StoreUnavailable
from agents.sessions import Sessions
from agents.storage.mongo_slots import MongoSlots, Roll

log = structlog.get_logger(__name__)

LEASE_S = 4.0
_MARGIN_S = 0.5
_BEAT_S = 0.8
_GRACE_S = 1.5 * _BEAT_S
"""Others whose leases ran out while this agent itself could not reach MongoDB get this time to renew them."""
_LEAVE_WITHIN_S = 0.5
_GIVE_WITHIN_S = 3.0

# Goes on while the process is stopped and, where there is such a clock, while the machine sleeps.
_now_s = partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic


@dataclass(slots=True)
class Moves:
    """What an agent should do for all to have their fair share. `take` names the holder that has to be gone."""

    take: dict[int, str | None] = field(default_factory=dict)
    give: list[int] = field(default_factory=list)


def moves(roll: Roll, name: str, alive: Collection[str]) -> Moves:
    """What the agent called `name` should take and give. All who see the same come to plans that fit together."""
    held: dict[str, list[int]] = {member: [] for member in alive}
    free: dict[int, str | None] = {}
    for slot, holder in enumerate(roll.holders):
        if holder in held:
            held[holder].append(slot)
        else:
            free[slot] = holder
    base, extra = divmod(len(roll.holders), max(1, len(held)))
    unclaimed = list(free)
    # Who has more keeps more, so that as few as possible change hands.
    for rank, member in enumerate(sorted(held, key=lambda member: (-len(held[member]), member))):
        fair_count = base + (rank < extra)
        wanted = max(0, fair_count - len(held[member]))
        if member == name:
            return Moves({slot: free[slot] for slot in unclaimed[:wanted]}, held[member][fair_count:])
        unclaimed = unclaimed[wanted:]
    return Moves()


class Membership:
    """Decides which sessions are open."""

    def __init__(self, store: MongoSlots, sessions: Sessions, port: int) -> None:
        """`port` is one that this process listens on: with the machine's it makes the agent's name."""
        self._store = store
        self._sessions = sessions
        self._place = _place(port)
        self.name = f"{self._place}-{token_hex(4)}"
        self.trouble: str | None = "the slots are not known yet"
        """Why the agent has no part in the slots; None when it has, be it that it stands by."""
        self._until_s = 0.0
        self._renewed = asyncio.Event()
        self._steady_since_s: float | None = None
        self._is_cut_off = False
        """MongoDB did not answer the last time."""

    async def run(self) -> None:
        """Keep the lease and the sessions, for ever."""
        while True:
            roll = await self._beat()
            if roll is not None:
                await self._arrange(roll)
            await asyncio.sleep(_BEAT_S)

    async def sure(self) -> None:
        """Wait until the lease is known to run: only then may a session be connected."""
        while _now_s() >= self._until_s:
            self._renewed.clear()
            await self._renewed.wait()

    async def leave(self) -> None:
        """Give everything back, so that others need not wait; they will anyway if MongoDB does not answer."""
        self._until_s = 0.0
        try:
            async with asyncio.timeout(_LEAVE_WITHIN_S):
                await self._store.leave(self.name)
        except (StoreUnavailable, TimeoutError) as error:
            log.warning("slots not given back", why=str(error))

    async def _beat(self) -> Roll | None:
        asked_at_s = _now_s()
        try:
            roll = await self._store.beat(self.name, LEASE_S)
        except StoreUnavailable as error:
            self._steady_since_s = None
            if not self._is_cut_off:  # once, however long MongoDB is away
                log.warning("lease not renewed", why=str(error))
            self._is_cut_off = True
            return None
        if self._is_cut_off:
            log.info("lease renewed again")
            self._is_cut_off = False
        if self._steady_since_s is None:
            self._steady_since_s = _now_s()  # not when it was asked: the answer may have waited for MongoDB
        for slot in self._sessions.slots:
            if roll.holders[slot] != self.name:
                log.warning("slot lost: the lease ran out", slot=slot)
                await self._sessions.abandon(slot)
        self._until_s = asked_at_s + LEASE_S - _MARGIN_S
        self._renewed.set()
        return roll

    async def _arrange(self, roll: Roll) -> None:
        if self._disagrees(roll):
            return
        is_steady = self._steady_since_s is not None and _now_s() - self._steady_since_s > _GRACE_S
        gone = {name for name in (*roll.members, *roll.expired) if self._is_gone(name)}
        alive = set(roll.members if is_steady else (*roll.members, *roll.expired)) - gone
        plan = moves(roll, self.name, alive)
        try:
            for slot in plan.give:
                if slot in self._sessions.slots:
                    await self._close(slot)
                await self._store.give(self.name, slot)
            for slot, holder in plan.take.items():
                if await self._store.take(self.name, slot, holder, is_gone=holder in gone):
                    log.info("slot taken", slot=slot, agent=self.name)
            if gone or (is_steady and roll.expired):
                await self._store.forget([*gone, *roll.expired])
        except StoreUnavailable as error:
            log.warning("slots not rearranged", why=str(error))
            return
        await self._open(plan, roll)

    async def _open(self, plan: Moves, roll: Roll) -> None:
        """Open what is held, be it since now."""
        held = await self._beat() if plan.take else roll
        if held is not None:
            self.trouble = None
            for slot, holder in enumerate(held.holders):
                if holder == self.name and slot not in self._sessions.slots and slot not in plan.give:
                    self._sessions.open(slot)

    async def _close(self, slot: int) -> None:
        """Finish what is under way, but not for longer than the lease is sure to run."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GIVE_WITHIN_S):
                await self._sessions.close(slot)

    def _disagrees(self, roll: Roll) -> bool:
        if len(roll.holders) == self._sessions.count:
            return False
        said = (
            f"the devices are divided into {len(roll.holders)} slots, MEDINA_AGENT_SLOTS says {self._sessions.count}: "
            "set it back, or take another MEDINA_MQTT_CLIENT_ID as well (docs/operators.md, Several agents)"
        )
        if self.trouble != said:
            log.error("another number of slots would lose what waits in the sessions", why=said)
        self.trouble = said
        return True

    def _is_gone(self, name: str) -> bool:
        """Whether that agent has certainly ended: it was where this one is, and its port is this one's now."""
        return name != self.name and name.rpartition("-")[0] == self._place


def _place(port: int) -> str:
    """The run of the machine, the network in it, and a port: no two processes have the same at a time."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        network = Path("/proc/self/ns/net").stat().st_ino
    except OSError:
        return f"{os.getpid()}-{token_hex(8)}"
    return f"{blake2b(boot, digest_size=8).hexdigest()}-{network}-{port}"
