"""The way out over HTTP: a POST to the device's endpoint, whose answer is the result.

2xx                        the result
408, 425, 429, 5xx         the device is not there, or not ready: later
no answer, no connection   the same
anything else              refused
"""

import aiohttp

from agents.commands.command import Command, Outcome
from agents.commands.payloads import COMMAND_ID_HEADER, answer_of

TIMEOUT_S = 10.0
ANSWER_BYTES = 65_536
_SHOWN_CHARACTERS = 200
_LATER = frozenset({408, 425, 429})


class Pusher:
    """Sends commands to HTTP devices."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the session. No connection is kept: devices that close theirs would make an attempt fail."""
        connector = aiohttp.TCPConnector(force_close=True)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        self._session = aiohttp.ClientSession(
            connector=connector, timeout=timeout, skip_auto_headers=["User-Agent", "Content-Type"]
        )

    async def push(self, command: Command) -> Outcome:
        """Send a command; what became of it."""
        assert self._session is not None, "open() comes first"
        message = command.message
        headers = {**message.headers, COMMAND_ID_HEADER: command.id}
        try:
            async with self._session.post(
                message.to, data=message.payload, headers=headers, allow_redirects=False
            ) as answer:
                body = await answer.content.read(ANSWER_BYTES)
                status = answer.status
        except (aiohttp.InvalidURL, ValueError) as error:
            said = f"the endpoint or a header cannot be used: {error}"
            return Outcome("refused", said, said)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return Outcome("later", f"the device does not answer: {type(error).__name__} {error}".rstrip())
        if status < 300:
            return Outcome("answered", f"answered {status}", answer_of(command, body))
        said = f"{status} {body.decode(errors='replace')[:_SHOWN_CHARACTERS]}".rstrip()
        if status in _LATER or status >= 500:
            return Outcome("later", f"the device answered {said}")
        return Outcome("refused", f"the device answered {said}", said)

    async def close(self) -> None:
        """Close what is open."""
        if self._session is not None:
            await self._session.close()
