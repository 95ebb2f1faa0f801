"""Commands: from an attribute of an entity to the device, and back."""
