"""`python -m tests.faults.fuzz [--seconds N] [--seed N]`: random bytes on random topics of every profile.

Whatever comes must end as fragments, reports or a counted rejection; never as a fault of the agent (`unexpected`). No
MQTT broker lies between: an hour over one would try a tenth as many.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import cast

import structlog

from agents.agent import Agent
from agents.mqtt import Receipt, Southbound
from agents.settings import Settings
from agents.topics import TopicScheme
from tests.agents.corpus import CASES, DEVICE_FILES

_WORDS = ("attrs", "cmdexe", "x", "zs-hall", "campus", "open", "\u00e9", "\U0001f600", "$SYS", " ", "0" * 200)


class Fuzz:
    """Makes messages from a seed and counts what becomes of them."""

    def __init__(self, agent: Agent, seed: int) -> None:
        self._agent = agent
        self._random = Random(seed)  # to be repeatable is what is wanted
        self._schemes = [scheme for profile in agent.profiles for scheme in profile.topics]
        self.outcomes: Counter[str] = Counter()
        self.faults: list[tuple[str, bytes]] = []

    def run(self, seconds: float) -> int:
        """Try messages for so long; how many there were."""
        session = cast(Southbound, _Session())
        until_s, count = time.monotonic() + seconds, 0
        while time.monotonic() < until_s:
            topic, payload = self._topic(), self._payload()
            receipt = Receipt(session, 1, count % 65_535 + 1, 1)
            message = self._agent.reception.from_mqtt(topic, payload, self._random.random() < 0.1, receipt)
            self.outcomes[message.outcome] += 1
            if message.outcome == "unexpected":
                self.faults.append((topic, payload))
            count += 1
        return count

    def _topic(self) -> str:
        if self._random.random() < 0.4:
            return self._random.choice(CASES).topic
        scheme: TopicScheme = self._random.choice(self._schemes)
        return "/".join(self._random.choice(_WORDS) if level in "+#" else level for level in scheme.filter.split("/"))

    def _payload(self) -> bytes:
        kind = self._random.random()
        if kind < 0.3:
            return self._random.randbytes(self._random.choice((0, 1, 8, 60, 600)))
        payload = bytearray(self._random.choice(CASES).payload)
        for _ in range(self._random.randrange(6)):
            place = self._random.randrange(len(payload) + 1)
            if kind < 0.6:
                payload[place : place + self._random.randrange(4)] = self._random.randbytes(self._random.randrange(4))
            else:
                payload[place : place + 1] = self._random.choice(
                    (b"0", b"{", b"}", b"[", b'"', b"-", b"e", b"null", b"|")
                )
        return bytes(payload[:100_000])


class _Session:
    slot = 0
    client_id = "fuzz"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    structlog.configure(processors=[_drop])
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder) / "key"
        key.write_text("0123456789abcdef")
        devices = ":".join(map(str, DEVICE_FILES))
        settings = Settings(devices=devices, pseudonym_key_file=key, agent_port=0, south_port=0, device_rate=0)
        fuzz = Fuzz(Agent(settings.model_copy(update={"mongodb_uri": ""})), arguments.seed)
        count = fuzz.run(arguments.seconds)
    sys.stdout.write(f"{count} messages: {dict(fuzz.outcomes.most_common())}\n")
    for topic, payload in fuzz.faults[:20]:
        sys.stdout.write(f"fault of the agent: {topic!r} {payload!r}\n")
    sys.exit(1 if fuzz.faults else 0)


def _drop(*_: object) -> dict[str, object]:
    raise structlog.DropEvent


if __name__ == "__main__":
    main()
