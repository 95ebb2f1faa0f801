"""What the operations of the API work with; made once at start."""

from collections.abc import Callable
from dataclasses import dataclass

from broker.api.body_budget import BodyBudget
from broker.context_supply import ContextSupply
from broker.contexts import Contexts
from broker.settings import Settings
from broker.storage.base import Storage
from broker.streams.streams import Streams
from broker.tenants import Tenants


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of a context API process."""

    settings: Settings
    storage: Storage
    tenants: Tenants
    contexts: Contexts
    context_supply: ContextSupply
    bodies: BodyBudget
    streams: Streams
    clock: Callable[[], str]
    """The present as a system timestamp."""
