"""The agent's port 4041: provisioning as the FIWARE agents have it, and operations."""
