"""Reads settings: the file, then the environment, then the flags; what comes later wins.

A key `name` in section `[part]` is `part.name` in texts and `COMMANDPOST_PART_NAME` in the environment. `http`,
`coap`, `mqtt` and `edp` alone stand for `http.listen` and so on, `coaps` for `dtls.listen`, `https` for
`http.tls_listen`, `mqtts` for `mqtt.tls_listen`. Paths are relative to the working directory.
"""

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final

from commandpost.config.kinds import Meaning
from commandpost.config.settings import (
    AuditSettings,
    CoapSettings,
    DataSettings,
    DtlsSettings,
    EdpSettings,
    HttpSettings,
    KeySettings,
    LimitSettings,
    Lwm2mSettings,
    MqttSettings,
    PushSettings,
    Settings,
    StoreSettings,
    TlsSettings,
)

ENVIRONMENT_PREFIX: Final = "COMMANDPOST_"
CONFIG_FILE_VARIABLE: Final = "COMMANDPOST_CONFIG"
CONFIG_FILE_BYTES_MAX: Final = 1_048_576  # a hundred times what every key with its comment takes
# What Kubernetes and Docker links set for services called `commandpost` or `commandpost-http`.
_FOREIGN_VARIABLE: Final = re.compile(r"COMMANDPOST_(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d.*)?|NAME|ENV_.*)")
_MISSPELLING_RATIO: Final = 0.8  # as difflib measures; MASTERKEY for MASTER_KEY is 0.98
_SHORTHANDS: Final = {
    "http": "http.listen",
    "https": "http.tls_listen",
    "coap": "coap.listen",
    "coaps": "dtls.listen",
    "mqtt": "mqtt.listen",
    "mqtts": "mqtt.tls_listen",
    "edp": "edp.listen",
}
_FLAGS: Final = {"data_dir": "--data-dir", **{key: f"--{name}" for name, key in _SHORTHANDS.items()}}


class ConfigError(Exception):
    """A setting is not allowed. The text names the file, variable or flag, the key, what was found, what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingDescription:
    """One key as a person reads about it; values are written as they would be given, secrets only as `set`."""

    key: str
    variable: str
    value: str | None
    default: str | None
    allowed: str
    what: str


def describe_settings(settings: Settings) -> tuple[SettingDescription, ...]:
    """Give every key with its value in these settings, in the order of the records."""
    defaults = {key: value for key, _, value in _keys(Settings())}
    return tuple(
        SettingDescription(
            key=key,
            variable=_variable_of(key),
            value="set" if meaning.kind.is_secret and value is not None else _format(value),
            default=_format(defaults[key]),
            allowed=meaning.kind.allowed.removesuffix(","),
            what=meaning.what,
        )
        for key, meaning, value in _keys(settings)
    )


def _format(value: object) -> str | None:
    match value:
        case None | ():
            return None
        case bool():
            return str(value).lower()
        case Enum():
            return str(value.value)
        case tuple():
            return ",".join(str(part) for part in value)
        case timedelta():
            minutes = int(value.total_seconds() // 60)
            return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
        case _:
            return str(value)


def load_settings(
    *, config_file: Path | None, environment: Mapping[str, str], flags: Mapping[str, object | None]
) -> Settings:
    """Read the file, then the environment, then the flags; what comes later wins.

    Args:
        config_file: None means the one COMMANDPOST_CONFIG names, if any.
        environment: only names that begin with COMMANDPOST_ are looked at.
        flags: by key (`data_dir`, `http.listen`, `mqtt.tls_listen`, ...); None means not given.
    Raises:
        ConfigError: something is unknown or not allowed.
    """
    if config_file is None and environment.get(CONFIG_FILE_VARIABLE):
        config_file = Path(environment[CONFIG_FILE_VARIABLE]).expanduser()
    meanings = {key: meaning for key, meaning, _ in _keys(Settings())}
    values: dict[str, object] = {}
    if config_file is not None:
        for key, found in _keys_in_file(config_file):
            values[key] = _read(str(config_file), key, found, meanings)
    for variable, key, found in _keys_in_environment(environment, meanings):
        values[key] = _read(variable, key, found, meanings)
    for key, given in flags.items():
        if given is not None:
            values[key] = _read(_FLAGS[key], key, given, meanings)
    if values.get("secret_key") is not None and values.get("secret_key_file") is not None:
        raise ConfigError("secret_key and secret_key_file are both set: one of them is allowed")
    for key in ("http.tls_listen", "mqtt.tls_listen"):
        if values.get(key) is not None and values.get("tls.certificate") is None:
            raise ConfigError(f"{key} is set without tls.certificate: a listener with TLS needs one")
    return _build(values)


def _keys(settings: object, prefix: str = "") -> Iterator[tuple[str, Meaning, object]]:
    assert is_dataclass(settings)
    for entry in fields(settings):
        value = getattr(settings, entry.name)
        if "meaning" in entry.metadata:
            yield prefix + entry.name, entry.metadata["meaning"], value
        else:
            yield from _keys(value, prefix=f"{entry.name}.")


def _variable_of(key: str) -> str:
    return ENVIRONMENT_PREFIX + key.replace(".", "_").upper()


def _keys_in_file(config_file: Path) -> Iterator[tuple[str, object]]:
    try:
        with config_file.open("rb") as file:
            raw = file.read(CONFIG_FILE_BYTES_MAX + 1)
        if len(raw) > CONFIG_FILE_BYTES_MAX:
            raise ConfigError(f"{config_file} is too long: {CONFIG_FILE_BYTES_MAX} bytes are allowed")
        document = tomllib.loads(raw.decode())
    except OSError as error:
        raise ConfigError(f"{config_file} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{config_file} is not TOML: {error}") from error
    for name, found in document.items():
        if name in _SHORTHANDS and not isinstance(found, dict):
            yield _SHORTHANDS[name], found
        elif name in _sections():
            if not isinstance(found, dict):
                raise ConfigError(f"{config_file}: {name} is {found!r}: a table [{name}] is allowed")
            yield from ((f"{name}.{key}", value) for key, value in found.items())
        else:
            yield name, found


def _keys_in_environment(
    environment: Mapping[str, str], meanings: Mapping[str, Meaning]
) -> Iterator[tuple[str, str, str]]:
    known = {_variable_of(name): key for name, key in _SHORTHANDS.items()}
    known |= {_variable_of(key): key for key in meanings}
    for variable in sorted(environment):
        if not variable.startswith(ENVIRONMENT_PREFIX) or variable == CONFIG_FILE_VARIABLE:
            continue
        if variable in known:
            yield variable, known[variable], environment[variable]
        elif not _FOREIGN_VARIABLE.fullmatch(variable):
            _refuse_misspelt(variable, list(known))


def _refuse_misspelt(variable: str, known: list[str]) -> None:
    """Refuse a variable that was meant for us: the environment is shared, so others may begin with our name too."""
    section = "_".join(variable.split("_")[:2])
    siblings = [name for name in known if name.startswith(f"{section}_") and section in map(_variable_of, _sections())]
    nearest = difflib.get_close_matches(variable, known, cutoff=_MISSPELLING_RATIO)
    if nearest or siblings:
        raise ConfigError(f"{variable} is not known: {_listed(nearest or siblings)} is allowed")


def _sections() -> list[str]:
    return [entry.name for entry in fields(Settings) if "meaning" not in entry.metadata]


def _read(source: str, key: str, found: object, meanings: Mapping[str, Meaning]) -> object:
    if key not in meanings:
        section = key.rpartition(".")[0]
        known = [name for name in meanings if name.rpartition(".")[0] == section]
        raise ConfigError(f"{source}: {key} is not known: {_listed(known)} is allowed")
    kind = meanings[key].kind
    try:
        return kind.read(found)
    except (ValueError, KeyError, RuntimeError):  # RuntimeError: a home directory nobody has
        shown = f"{len(str(found))} characters that are not shown" if kind.is_secret else repr(found)
        raise ConfigError(f"{source}: {key} is {shown}: {kind.allowed} is allowed") from None


def _listed(names: list[str]) -> str:
    return " or ".join(names)


def _build(values: Mapping[str, object]) -> Settings:
    def part(name: str) -> dict[str, Any]:  # Any: each value was read by its own field's kind
        return {key.removeprefix(f"{name}."): value for key, value in values.items() if key.startswith(f"{name}.")}

    plain: dict[str, Any] = {key: value for key, value in values.items() if "." not in key}  # Any: as above
    return Settings(
        **plain,
        http=HttpSettings(**part("http")),
        coap=CoapSettings(**part("coap")),
        dtls=DtlsSettings(**part("dtls")),
        lwm2m=Lwm2mSettings(**part("lwm2m")),
        mqtt=MqttSettings(**part("mqtt")),
        edp=EdpSettings(**part("edp")),
        tls=TlsSettings(**part("tls")),
        keys=KeySettings(**part("keys")),
        data=DataSettings(**part("data")),
        push=PushSettings(**part("push")),
        store=StoreSettings(**part("store")),
        limits=LimitSettings(**part("limits")),
        audit=AuditSettings(**part("audit")),
    )
