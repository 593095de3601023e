"""Search for programs of mount operations of which a kernel says something else than the model."""
