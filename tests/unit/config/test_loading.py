"""Settings: where they come from, which source wins, and what is said about a bad one."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from commandpost.config import (
    CommitDriver,
    ConfigError,
    ErrnoProfile,
    ListenAddress,
    LogFormat,
    Settings,
    describe_settings,
    load_settings,
)

SECRET_KEY_TEXT = bytes(range(32)).hex()


def load(
    file: Path | None = None, environment: dict[str, str] | None = None, flags: dict[str, object] | None = None
) -> Settings:
    return load_settings(config_file=file, environment=environment or {}, flags=flags or {})


def write(folder: Path, text: str) -> Path:
    path = folder / "commandpost.toml"
    path.write_text(text)
    return path


def test_nothing_given_gives_the_defaults() -> None:
    assert load() == Settings()


def test_file_environment_and_flag_override_one_another_in_that_order(tmp_path: Path) -> None:
    file = write(tmp_path, 'data_dir = "file"\nlog_format = "json"\n[http]\nlisten = "127.0.0.1:1"\n')
    environment = {"COMMANDPOST_DATA_DIR": "environment", "COMMANDPOST_HTTP_LISTEN": "127.0.0.1:2"}

    settings = load(file, environment, {"data_dir": "flag", "http.listen": None})

    assert settings.data_dir == Path("flag")
    assert settings.http.listen == (ListenAddress(host="127.0.0.1", port=2),)
    assert settings.log_format is LogFormat.JSON


def test_every_key_can_be_set_in_the_file(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        """
        data_dir = "/srv/commandpost"
        errno_profile = "observed"
        utc_offset = "-03:30"
        master_key = "abcdefgh"
        coap = ["0.0.0.0:5683", "[::1]:0"]
        [lwm2m]
        auto_observe_excluded = [3, 1]
        setup_timeout_s = 4
        models_dir = "models"
        [store]
        commit = "inline"
        [limits]
        waiting_max_per_device = 20
        """,
    )

    settings = load(file)

    assert settings.data_dir == Path("/srv/commandpost")
    assert settings.errno_profile is ErrnoProfile.OBSERVED
    assert settings.utc_offset == -timedelta(hours=3, minutes=30)
    assert settings.master_key == "abcdefgh"
    assert [str(address) for address in settings.coap.listen] == ["0.0.0.0:5683", "[::1]:0"]
    assert settings.lwm2m.auto_observe_excluded == (1, 3)
    assert settings.lwm2m.setup_timeout_s == 4.0
    assert settings.lwm2m.models_dir == Path("models")
    assert settings.store.commit is CommitDriver.INLINE
    assert settings.limits.waiting_max_per_device == 20


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    file = write(tmp_path, "[store]\nretention_days = 7\n")

    assert load(environment={"COMMANDPOST_CONFIG": str(file)}).store.retention_days == 7


@pytest.mark.parametrize(
    ("variable", "text", "changed"),
    [
        ("COMMANDPOST_LWM2M_CACHED_BEFORE_SETUP", "true", lambda s: s.lwm2m.cached_before_setup is True),
        ("COMMANDPOST_LWM2M_AUTO_OBSERVE_EXCLUDED", "1, 5", lambda s: s.lwm2m.auto_observe_excluded == (1, 5)),
        ("COMMANDPOST_LWM2M_AUTO_OBSERVE_EXCLUDED", "", lambda s: s.lwm2m.auto_observe_excluded == ()),
        ("COMMANDPOST_COAP_ACK_TIMEOUT_S", "2.5", lambda s: s.coap.ack_timeout_s == 2.5),
        ("COMMANDPOST_COAP", "[::]:0", lambda s: s.coap.listen == (ListenAddress(host="::", port=0),)),
        ("COMMANDPOST_SECRET_KEY", SECRET_KEY_TEXT, lambda s: s.secret_key == bytes(range(32))),
    ],
)
def test_every_kind_of_value_can_be_given_as_text(variable: str, text: str, changed: object) -> None:
    assert callable(changed)
    assert changed(load(environment={variable: text}))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data_dir = 5", ["data_dir", "5", "a path"]),
        ('datadir = "x"', ["datadir", "not known", "data_dir"]),
        ("[http]\nport = 80", ["http.port", "not known", "http.listen"]),
        ('[http]\nlisten = "localhost"', ["http.listen", "'localhost'", "HOST:PORT"]),
        ('http = "127.0.0.1:65536"', ["http.listen", "65536", "65535"]),
        ('http = "::1:80"', ["http.listen", "'::1:80'", "[IPV6]:PORT"]),
        ('http = "1.2.3.256:80"', ["http.listen", "1.2.3.256"]),
        ("http = []", ["http.listen", "[]"]),
        ('store = "fast"', ["store", "'fast'", "[store]"]),
        ('[store]\ncommit = "never"', ["store.commit", "'never'", "auto or inline or thread"]),
        ("[store]\nretention_days = 0", ["store.retention_days", "0", "from 1 to"]),
        ("[store]\nretention_days = true", ["store.retention_days", "True"]),
        ("[coap]\nblock_bytes = 500", ["coap.block_bytes", "500", "512"]),
        ("[coap]\nack_timeout_s = nan", ["coap.ack_timeout_s", "nan", "a number from"]),
        ("[lwm2m]\ncached_before_setup = 2", ["lwm2m.cached_before_setup", "2", "true or false"]),
        ("[lwm2m]\nauto_observe_excluded = [70000]", ["lwm2m.auto_observe_excluded", "70000", "65535"]),
        ('utc_offset = "8"', ["utc_offset", "'8'", "+HH:MM"]),
        ('utc_offset = "+15:00"', ["utc_offset", "+15:00"]),
        ("this is not toml", ["not TOML", "line 1"]),
    ],
)
def test_a_bad_file_is_named_with_key_found_and_allowed(tmp_path: Path, text: str, words: list[str]) -> None:
    file = write(tmp_path, text)

    with pytest.raises(ConfigError) as caught:
        load(file)

    assert [word for word in [str(file), *words] if word not in str(caught.value)] == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be read: No such file"):
        load(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("variable", "text", "words"),
    [
        ("COMMANDPOST_HTTP_LISTEN", "80", ["http.listen", "'80'", "HOST:PORT"]),
        ("COMMANDPOST_LOG_LEVEL", "loud", ["log_level", "'loud'", "debug or info"]),
        ("COMMANDPOST_LIMITS_INSTANTS_MAX", "1e3", ["limits.instants_max", "'1e3'", "a whole number"]),
        ("COMMANDPOST_STORE_FOO", "1", ["not known", "COMMANDPOST_STORE_COMMIT"]),
        ("COMMANDPOST_MASTERKEY", "x", ["not known", "COMMANDPOST_MASTER_KEY"]),
        ("COMMANDPOST_DATA_DIR", "", ["data_dir", "a path"]),
    ],
)
def test_a_bad_variable_is_named_with_key_found_and_allowed(variable: str, text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environment={variable: text})

    assert [word for word in [variable, *words] if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    "variable",
    ["COMMANDPOST_SERVICE_HOST", "COMMANDPOST_HTTP_PORT_8080_TCP", "COMMANDPOST_PORT", "COMMANDPOST_WRAPPER_PID"],
)
def test_variables_that_others_set_beside_ours_are_passed_over(variable: str) -> None:
    """A Kubernetes service called `commandpost` puts such names into every container."""
    assert load(environment={variable: "tcp://10.0.0.1:80"}) == Settings()


@pytest.mark.parametrize(
    ("key", "flag"), [("data_dir", "--data-dir"), ("http.listen", "--http"), ("coap.listen", "--coap")]
)
def test_a_bad_flag_is_named(key: str, flag: str) -> None:
    with pytest.raises(ConfigError, match=f"^{flag}: {key} is ''"):
        load(flags={key: ""})


@pytest.mark.parametrize(
    ("variable", "secret"), [("COMMANDPOST_MASTER_KEY", "not allowed ü"), ("COMMANDPOST_SECRET_KEY", "tooshort")]
)
def test_a_bad_secret_is_never_shown(variable: str, secret: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(environment={variable: secret})

    assert variable in str(caught.value)
    assert secret not in str(caught.value)


def test_secrets_are_not_part_of_the_text_of_settings() -> None:
    settings = replace(Settings(), master_key="very-secret", secret_key=b"also-secret")

    assert "secret'" not in repr(settings)
    assert "very-secret" not in repr(settings)


def test_two_sources_of_the_sealing_key_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="secret_key and secret_key_file"):
        load(write(tmp_path, 'secret_key_file = "key"'), {"COMMANDPOST_SECRET_KEY": SECRET_KEY_TEXT})


@pytest.mark.parametrize(("key", "scheme"), [("BOOTSTRAP_URI", "coap"), ("BOOTSTRAP_SECURE_URI", "coaps")])
def test_a_bootstrap_uri_is_one_that_modules_can_cut(key: str, scheme: str) -> None:
    """SB 1.3: dotted IPv4 and a port of four digits, with its own scheme."""
    variable = f"COMMANDPOST_LWM2M_{key}"
    good = f"{scheme}://192.0.2.1:5683"

    assert getattr(load(environment={variable: good}).lwm2m, key.lower()) == good
    for bad in (
        f"{scheme}://192.0.2.1",
        f"{scheme}://192.0.2.1:56830",
        f"{scheme}://192.0.2.1:0683",
        f"{scheme}://192.0.2.300:5683",
        f"{scheme}://example.net:5683",
        f"{scheme}x://192.0.2.1:5683",
    ):
        with pytest.raises(ConfigError, match="port of four digits"):
            load(environment={variable: bad})


def test_every_default_is_a_value_that_would_be_accepted_as_given() -> None:
    """What `commandpost config` shows can be copied into the environment."""
    described = describe_settings(Settings())
    given = {each.variable: each.default for each in described if each.default is not None}

    assert len(given) >= 20
    assert load(environment=given) == Settings()


def test_a_description_shows_values_but_no_secrets() -> None:
    settings = load(environment={"COMMANDPOST_MASTER_KEY": "very-secret", "COMMANDPOST_UTC_OFFSET": "-03:30"})

    described = {each.key: each.value for each in describe_settings(settings)}

    assert described["master_key"] == "set"
    assert described["secret_key"] is None
    assert described["utc_offset"] == "-03:30"
    assert described["http.listen"] == "127.0.0.1:8080"
