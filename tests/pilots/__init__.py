"""The pilots: rules, simulator, and the page in a browser over a whole Medina."""
