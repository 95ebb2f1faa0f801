"""A day at the gate of the campus, told by its devices over MQTT: `medina simulate campus`."""
