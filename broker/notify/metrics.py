"""The numbers that the notifier shows at /metrics (Prometheus)."""

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("medina_feed_events", "Changes of entities and subscriptions read from the feed")
UNREADABLE = Counter("medina_feed_unreadable", "Changes that could not be understood and were passed over")
GAPS = Counter("medina_feed_gaps", "Times that the feed had to start anew because MongoDB no longer had the changes")
LAG_MS = Gauge("medina_feed_lag_milliseconds", "Age of the youngest change of the last batch when it was read")
CANDIDATES = Counter("medina_match_candidates", "Subscriptions that were looked at for a change")
NOTIFICATIONS = Counter("medina_notifications", "Notifications made")
ATTEMPTS = Counter("medina_notification_attempts", "Attempts to deliver a notification", ["outcome"])
DELIVERED = ATTEMPTS.labels("delivered")
FAILED = ATTEMPTS.labels("failed")
STORED = Counter("medina_notifications_stored", "Notifications that went to the backlog in MongoDB")
DEAD_LETTERS = Counter("medina_notifications_dead", "Notifications given up because of their age")
HELD = Counter("medina_states_held", "States of entities that throttling held back")
SUPERSEDED = Counter(
    "medina_notifications_superseded", "Waiting notifications removed for newer ones, as their subscriptions want it"
)
ATTEMPT_SECONDS = Histogram(
    "medina_notification_attempt_seconds",
    "Duration of an attempt",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)
SUBSCRIPTIONS = Gauge("medina_subscriptions", "Subscriptions in the index of the matcher")
ENDPOINTS_WAITING = Gauge("medina_notifications_waiting", "Notifications waiting in memory or under way")
LANES_STORED = Gauge("medina_subscriptions_delayed", "Subscriptions whose notifications go through the backlog")
BACKLOG = Gauge("medina_backlog_notifications", "Notifications in the backlog, counted every few seconds")
PARTITIONS = Gauge("medina_partitions_held", "Partitions of the subscriptions that this notifier serves, of 16")
UNSETTLED = Gauge("medina_feed_unsettled_batches", "Batches of the feed that are not delivered or stored as a whole")
