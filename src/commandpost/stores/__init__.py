"""Durable state behind domain.ports: the reference store in memory, SQLite, and the writer that batches for both."""
