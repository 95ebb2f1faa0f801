"""A request whose @context has to be brought first: it waits, alone, and starts anew.

Operations read their @contexts before they change anything, so that a second start does nothing twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

from broker.api.exchange import Answer, Request
from broker.contexts import sources_of
from broker.errors import ContextNotAtHand
from ngsi.context import ContextSource
from ngsi.errors import LdContextNotAvailable
from ngsi.names import show

_PATIENCE_S = 6.0
_ROUNDS_MAX = 10


async def answer_with_contexts(
    handler: Callable[[Request], Awaitable[Answer]], request: Request, missing: ContextNotAtHand
) -> Answer:
    """The answer of the operation, after all that it refers to was brought or failed to come (clause 5.5.6).

    Raises LdContextNotAvailable when that takes too long.
    """
    until_s = monotonic() + _PATIENCE_S
    for _ in range(_ROUNDS_MAX):
        try:
            async with asyncio.timeout(until_s - monotonic()):
                await request.services.context_supply.load([missing.reference, *_named(request)])
        except TimeoutError:
            break
        try:
            return await handler(request)
        except ContextNotAtHand as exc:
            missing = exc
    raise LdContextNotAvailable(
        f"@context {show(missing.reference)} could not be fetched in time, with all that the request refers to"
    )


def _named(request: Request) -> list[ContextSource]:
    """The @contexts in the body, as far as it was read: those of a batch are brought side by side."""
    items = request.body if isinstance(request.body, list) else [request.body]
    return sources_of(
        item.get(member) for item in items if isinstance(item, dict) for member in ("@context", "jsonldContext")
    )
