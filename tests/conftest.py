"""What holds for every test: how hard hypothesis tries, and which tests need to be asked for.

Fixtures live beside the tests that use them, builders and assertions in modules of their own.
"""

import os

from hypothesis import HealthCheck, settings

# The default finds the same thing on every run and every machine. The long profile is the one that explores: it
# draws anew each time and prints how to reproduce what it finds. Neither has a deadline: machines differ, and
# pytest-timeout catches what hangs.
settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=100,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "long",
    derandomize=False,
    deadline=None,
    max_examples=2_000,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci")

# Independent clients and servers are needed to run these; `make interop` asks for them.
collect_ignore = [] if os.environ.get("COMMANDPOST_INTEROP") == "1" else ["interop"]
