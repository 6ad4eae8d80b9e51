"""The environment that a process of the product is started with."""

import os


def clean_environment(**more: str) -> dict[str, str]:
    """Give this process's environment without any setting of ours, and with `more`."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("COMMANDPOST_")}
    return {**kept, "PYTHONWARNINGS": "default", **more}
