"""Counters of the agent, for Prometheus and for the log."""

import collections
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Label = TypeVar("Label", bound=str)


class Metrics:
    """The metrics of one agent, in a registry of its own. No label is the name of a device."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.messages = self._counter("messages", "Messages done with: committed or set aside, and answered")
        self.entities = self._counter("entities", "Entity fragments the context broker has committed")
        self.rejected = self._counter("rejected", "Messages set aside, by reason", "reason")
        self.clocks = self._counter("measures", "Measures by what became of the device's time", "clock")
        self.copies = self._counter("copies", "Measures stored already, by the key of their profile", "profile")
        self.ignored = self._counter("ignored", "Messages and measures of no concern to their profile", "profile")
        self.retries = self._counter("retries", "Requests to the context broker that had to be repeated", "reason")
        self.connections = self._counter("mqtt_connections", "Connections made to the MQTT broker")
        self.duplicates = self._counter("duplicates", "Messages delivered again that are stored already")
        self.dropped = self._counter("redelivery_awaited", "Waiting messages left to be delivered again by the session")
        self.commands = self._counter("commands", "What happened to commands: taken, sent, answered, …", "event")
        self.waiting = Gauge("medina_agent_waiting", "Messages that wait to be sent on", registry=self.registry)
        self.connected = Gauge(
            "medina_agent_mqtt_connected", "Connections to the MQTT broker: one for each slot", registry=self.registry
        )
        self.batch = Histogram(
            "medina_agent_batch_entities",
            "Entity fragments in a batch",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
            registry=self.registry,
        )
        self.commit = Histogram(
            "medina_agent_commit_seconds",
            "From the first request of a batch until all of it is committed",
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30),
            registry=self.registry,
        )

    @staticmethod
    def take_over(counter: Counter, counts: collections.Counter[Label]) -> None:
        """Add what somebody has counted by label, and empty it."""
        for label, count in counts.items():
            counter.labels(label).inc(count)
        counts.clear()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"medina_agent_{name}", text, labels, registry=self.registry)
