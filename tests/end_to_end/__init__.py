"""Promises of the whole chain MQTT → agent → API → MongoDB → notification, shown on real servers and processes."""
