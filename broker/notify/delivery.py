"""One notification on its way to one subscriber."""

from broker.notify.ordering import Ordered
from broker.notify.progress import Ticket
from broker.storage.mongo_deliveries import Row


class Delivery(Ordered):
    """A notification that is not delivered yet.

    `ticket` is the batch of the feed that it stems from and that it keeps unsettled; None when it is read back from
    `deliveries`, where it is safe. Times are seconds of the event loop's clock.
    """

    __slots__ = ("is_withdrawn", "queued_at_s", "row", "started_at_s", "ticket")

    def __init__(self, row: Row, ticket: Ticket | None, queued_at_s: float) -> None:
        super().__init__(row.entities)
        self.row = row
        self.ticket = ticket
        self.queued_at_s = queued_at_s
        self.started_at_s = 0.0
        self.is_withdrawn = False

    @property
    def is_stored(self) -> bool:
        """Whether `deliveries` has it."""
        return self.ticket is None

    def settle(self) -> None:
        """It is delivered or stored: the feed need not show its event again."""
        if self.ticket is not None:
            self.ticket.settle()
            self.ticket = None
