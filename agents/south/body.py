"""The body of a request, within limits of size and time."""

import asyncio

from starlette.requests import Request

from agents.errors import TooLarge
from agents.south.errors import BodyTimeout, Refused

BODY_WITHIN_S = 30


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Return the body; `Refused` when it is longer than `max_bytes`, `BodyTimeout` when it does not come in time."""
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > max_bytes:
                    raise Refused(TooLarge(f"more than {max_bytes} bytes"))
    except TimeoutError:
        raise BodyTimeout(f"The body did not come within {BODY_WITHIN_S} s") from None
    return bytes(body)
