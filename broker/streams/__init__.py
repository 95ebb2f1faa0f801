"""Streams: subscriptions followed over a connection of the client's own, as Server-Sent Events or by WebSocket."""
