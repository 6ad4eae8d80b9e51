"""Unit tests: the mirror of src/, without sockets, files or sleeping."""
