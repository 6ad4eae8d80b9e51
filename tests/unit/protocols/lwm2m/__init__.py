"""The LwM2M engine."""
