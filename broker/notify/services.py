"""What everything that sends works with."""

from dataclasses import dataclass

import structlog

from broker.notify.backlog import Backlog
from broker.notify.bookkeeping import Bookkeeping
from broker.notify.delivery import Delivery
from broker.notify.linking import Read
from broker.notify.retry import RetryPolicy
from broker.notify.subscriber import Subscriber
from broker.notify.transports.base import Outcome, Transport
from broker.storage.mongo_deliveries import MongoDeliveries

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Services:
    """The parts of a pipeline that lanes, timed ones too, have in common."""

    transport: Transport
    backlog: Backlog
    deliveries: MongoDeliveries
    bookkeeping: Bookkeeping
    policy: RetryPolicy
    read_linked: Read

    async def send(self, subscriber: Subscriber, delivery: Delivery) -> Outcome:
        """One attempt; what a transport raises against its promise is a failure like any other."""
        row = delivery.row
        try:
            return await self.transport.send(subscriber.destination(row.context, row.body), row.body)
        except Exception as exc:
            log.exception("transport failed", subscription=subscriber.id)
            return Outcome(f"{type(exc).__name__}: {exc}"[:300])
