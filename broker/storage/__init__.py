"""The seam to the database and its one implementation, MongoDB."""
