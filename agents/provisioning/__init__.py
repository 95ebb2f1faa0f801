"""Provisioning: groups and devices over the API of the FIWARE agents, kept in a store that all agents share."""
