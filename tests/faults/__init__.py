"""A Medina whose parts are killed at random while it is written to: nothing is lost, nothing comes out of order."""
