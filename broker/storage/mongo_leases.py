"""Leases: which process does a work that one process of a deployment is enough for.

Collection `leases` of the default tenant's database: {_id: work, holder, until: date}. Times are those of MongoDB, so
the clocks of the processes do not matter.
"""

from typing import Any

from pymongo import ReturnDocument
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import DuplicateKeyError


async def hold(leases: AsyncCollection[dict[str, Any]], work: str, holder: str, for_s: float) -> bool:
    """Takes or prolongs the lease on a work; False while another holder has it. Raises the driver's exceptions."""
    is_free = {"$or": [{"$eq": ["$holder", holder]}, {"$lt": ["$until", "$$NOW"]}]}
    until = {"$add": ["$$NOW", int(for_s * 1000)]}
    taken = {"holder": {"$cond": ["$free", holder, "$holder"]}, "until": {"$cond": ["$free", until, "$until"]}}
    try:
        lease = await leases.find_one_and_update(
            {"_id": work},
            [{"$set": {"free": is_free}}, {"$set": taken}, {"$unset": "free"}],
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
    except DuplicateKeyError:  # another process entered the very first lease at the same time
        return False
    return lease is not None and bool(lease["holder"] == holder)
