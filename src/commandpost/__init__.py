"""Commandpost: a command platform for devices that sleep.

Only the version lives here. Objects are built and connected in `commandpost.app`; the command line starts in
`commandpost.cli.main`.
"""

__version__ = "0.1.0"
