"""What can go wrong with a store beyond losing a race. Races are results (domain.facts), never raised."""

from commandpost.domain.errors import RecordUnreadable, StoreUnavailable


class StoreBroken(StoreUnavailable):
    """A COMMIT or its fsync failed: nobody knows what is on disk. Fail-stop; never retried (design 4)."""

    code = "store_broken"


class DatabaseRefused(StoreUnavailable):
    """The file is not a database this version may open: garbage, another program's, or a newer version's."""

    code = "database_refused"


class DataDirectoryLocked(StoreUnavailable):
    """Another process has this data directory (design 4: one process per data directory)."""

    code = "data_directory_locked"


class RowCorrupt(RecordUnreadable):
    """A row holds what no version of this code has written."""

    code = "row_corrupt"


class KeyFileRefused(StoreUnavailable):
    """The key file can be read by others, does not hold a key, or holds another than what is sealed needs."""

    code = "key_file_refused"


class KeyFileGarbled(KeyFileRefused):
    """The key file does not hold a key."""
