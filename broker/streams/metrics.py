"""The numbers of streams, in the metrics of the context API."""

from prometheus_client import Counter, Gauge

OPEN = Gauge("medina_streams_open", "Streams being followed", ["transport"])
MESSAGES = Counter("medina_stream_messages", "Notifications sent to followers of streams", ["transport"])
ENDED = Counter("medina_streams_ended", "Streams that ended, by reason; 'left': the client went away", ["reason"])
CATCH_UPS = Counter("medina_stream_catch_ups", "Clients that came back and were served from the log")
EVENTS = Counter("medina_stream_events", "Events of the feed that streams were served from")
