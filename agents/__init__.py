"""IoT agents: MQTT devices in, NGSI-LD entities out to any broker."""
