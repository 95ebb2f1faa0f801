"""HTTP devices: port 7896, the routes of the FIWARE agents."""
