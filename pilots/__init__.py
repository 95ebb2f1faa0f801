"""Pilot applications: each talks to the broker through the NGSI-LD API alone."""
