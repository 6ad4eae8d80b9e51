"""What an operator can set: read once, checked, frozen. Nothing of the rest of the house is known here."""

from commandpost.config.kinds import ListenAddress, parse_listen_address
from commandpost.config.loading import ConfigError, SettingDescription, describe_settings, load_settings
from commandpost.config.settings import (
    CoapSettings,
    CommitDriver,
    ErrnoProfile,
    HttpSettings,
    LimitSettings,
    LogFormat,
    LogLevel,
    Lwm2mSettings,
    Settings,
    StoreSettings,
    Synchronous,
)

__all__ = [
    "CoapSettings",
    "CommitDriver",
    "ConfigError",
    "ErrnoProfile",
    "HttpSettings",
    "LimitSettings",
    "ListenAddress",
    "LogFormat",
    "LogLevel",
    "Lwm2mSettings",
    "SettingDescription",
    "Settings",
    "StoreSettings",
    "Synchronous",
    "describe_settings",
    "load_settings",
    "parse_listen_address",
]
