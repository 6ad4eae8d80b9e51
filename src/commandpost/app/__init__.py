"""The only place that builds objects and connects them, and the only one where layers meet.

`system` has the only real clock, randomness and ids; `assembly` connects one platform over the ports of a `world`, and
`lwm2m_side`, `streams` and `pushing` build its parts; `disk` opens a data directory; `server` runs it all on sockets;
`admin` opens a store for the command line.
"""

from commandpost.app.admin import open_admin
from commandpost.app.assembly import Platform, build_platform
from commandpost.app.disk import CannotStart
from commandpost.app.key_change import change_key
from commandpost.app.key_loss import Abandonment, NothingToAbandon, abandon_lost_secrets
from commandpost.app.server import serve
from commandpost.app.system import SystemClock, SystemIds, new_start_id
from commandpost.app.world import World

__all__ = [
    "Abandonment",
    "CannotStart",
    "NothingToAbandon",
    "Platform",
    "SystemClock",
    "SystemIds",
    "World",
    "abandon_lost_secrets",
    "build_platform",
    "change_key",
    "new_start_id",
    "open_admin",
    "serve",
]
