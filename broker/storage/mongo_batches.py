"""Documents in the batches of bytes in which MongoDB sends them, up to 16 MB each.

Those of large ones are decoded one by one: decoded, a batch takes several times its size, and nobody else gets a turn
meanwhile.
"""

from collections.abc import AsyncGenerator, Iterable
from typing import Any

from bson import decode_all, decode_iter

_SMALL_BYTES = 500_000
"""Up to this size a batch is decoded at once, which is quicker."""


def decoded(batch: bytes) -> Iterable[dict[str, Any]]:
    """The documents of a batch."""
    return decode_all(batch) if len(batch) < _SMALL_BYTES else decode_iter(batch)


async def documents(batches: Any) -> AsyncGenerator[dict[str, Any]]:
    """The documents of a raw cursor, which is closed with this generator."""
    async with batches:
        async for batch in batches:
            for document in decoded(batch):
                yield document
