"""Sockets to devices: drives the engines of `protocols` and calls `services`."""
