"""The NGSI-LD API over HTTP: one module per resource family."""
