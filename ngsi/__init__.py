"""The NGSI-LD information model of ETSI GS CIM 009: pure functions on entities, without I/O and without a clock."""
