"""What the agents keep: groups, devices, commands. Only the modules `mongo_*` know the database."""
