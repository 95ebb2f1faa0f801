"""Dead letters that are to be delivered again: the API puts them back into the backlog and leaves a request here."""

import asyncio
from collections.abc import Callable

import structlog

from broker.errors import StorageUnavailable
from broker.notify.dispatcher import Dispatcher
from broker.notify.partitions import Share
from broker.notify.subscriber import Subscriber
from broker.storage.mongo_deliveries import MongoDeliveries

_EVERY_S = 0.5

log = structlog.get_logger(__name__)


async def follow(
    deliveries: MongoDeliveries,
    dispatcher: Dispatcher,
    share: Share,
    find: Callable[[str, str], Subscriber | None],
) -> None:
    """Looks for requests twice a second and has the backlogs sent, for ever.

    `find` gives the subscriber of a subscription, None while it is not served: then it is sent once it is.
    """
    while True:
        await asyncio.sleep(_EVERY_S)
        try:
            for tenant, subscription in await deliveries.replays():
                if share.serves(tenant, subscription):
                    dispatcher.replay(tenant, subscription, find(tenant, subscription))
                    await deliveries.forget_replay(tenant, subscription)
        except StorageUnavailable as exc:
            log.debug("requests for replays not read", reason=exc.detail)
