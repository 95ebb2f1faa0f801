"""The first pilot: visitor and employee tracing at the gate of a campus."""
