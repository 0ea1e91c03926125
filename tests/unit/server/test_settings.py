"""The server's settings: every refusal has its sentence, and none repeats a value."""

from pathlib import Path
from typing import Any

import pytest

from runpass.configuration import Loaded
from runpass.errors import ConfigurationError
from runpass.secret import PLACEHOLDER
from runpass.server.settings import PREFIX, ServerSettings, load_settings


def load(**options: Any) -> ServerSettings:
    return load_settings(environment={}, **options).settings


def refusal(environment: dict[str, str] | None = None, **options: Any) -> str:
    with pytest.raises(ConfigurationError) as error:
        load_settings(environment=environment or {}, **options)
    return error.value.message


def test_without_any_setting_a_server_listens_on_this_machine_alone():
    settings = load()
    assert (settings.listen_host, settings.public_url) == ("127.0.0.1", "http://127.0.0.1:8440")
    assert (settings.issuer_url, settings.audience) == ("http://127.0.0.1:8440/", "http://127.0.0.1:8440")
    assert settings.jwks_url == "http://127.0.0.1:8440/.well-known/jwks.json"
    assert settings.database_url == "sqlite:///runpass-data/runpass.db"
    assert settings.master_key_file == Path("runpass-data/master.key")


def test_what_is_empty_counts_as_not_given():
    assert load_settings(environment={"RUNPASS_PUBLIC_URL": "", "RUNPASS_DATABASE_URL": ""}).settings == load()


def test_issuer_and_audience_follow_the_public_url_whatever_slash_it_has():
    for public_url in ("https://id.example.com", "https://id.example.com/", "https://id.example.com//"):
        settings = load(public_url=public_url)
        assert settings.public_url == settings.audience == "https://id.example.com"
        assert settings.issuer_url == "https://id.example.com/"


def test_an_issuer_may_stand_below_the_public_url():
    settings = load(public_url="https://id.example.com", issuer_url="https://id.example.com/team/")
    assert (settings.documents_path, settings.audience) == ("/team", "https://id.example.com/team")
    assert settings.jwks_url == "https://id.example.com/team/.well-known/jwks.json"


def test_a_foreign_issuer_keeps_vault_roles_that_were_written_for_env0():
    settings = load(
        public_url="https://runpass.example.com",
        issuer_url="https://login.app.env0.com/",
        audience="https://prod.env0.com",
        foreign_issuer=True,
    )
    assert (settings.issuer_url, settings.audience) == ("https://login.app.env0.com/", "https://prod.env0.com")
    assert settings.jwks_url == "https://runpass.example.com/.well-known/jwks.json"
    assert settings.documents_path == ""


def test_tls_makes_the_default_url_https():
    settings = load(tls_certificate=Path("cert.pem"), tls_key=Path("key.pem"), listen_host="::1", listen_port=443)
    assert settings.public_url == "https://[::1]:443"


OPENID = {"openid_issuer": "https://id.example.com", "openid_client_id": "runpass", "openid_roles_file": "roles.toml"}
OURS = {
    "public_url": "https://runpass.example.com",
    "issuer_url": "https://login.app.env0.com/",
    "foreign_issuer": True,
}
OUR_ISSUERS = (
    "https://runpass.example.com",
    "https://runpass.example.com/",
    "https://RUNPASS.example.com:443/o/0198a000-0000-7000-8000-000000000001/",
    "https://runpass.example.com/anything",
    "https://login.app.env0.com",
    "https://login.app.env0.com/",
    "https://login.app.env0.com/o/0198a000-0000-7000-8000-000000000001/",
)
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"public_url": "id.example.com"}, "public_url must be a plain http(s) URL"),
    ({"public_url": "ftp://id.example.com"}, "public_url must be a plain http(s) URL"),
    ({"public_url": "https://id.example.com?q=1"}, "public_url must be a plain http(s) URL"),
    ({"public_url": "https://id.example.com#f"}, "public_url must be a plain http(s) URL"),
    ({"public_url": "https://user:canary@id.example.com"}, "public_url must be a plain http(s) URL"),
    ({"public_url": "https://id example.com"}, "public_url must be a plain http(s) URL"),
    ({"public_url": "https://id.example.com:canary"}, "public_url must be a plain http(s) URL"),
    ({"public_url": "https://[canary"}, "public_url must be a plain http(s) URL"),
    ({"public_url": "https://id.example.com\u2100canary"}, "public_url must be a plain http(s) URL"),
    ({"public_url": "http://id.example.com"}, "public_url must be https unless it is this machine alone"),
    ({"public_url": "https://id.example.com/below"}, "public_url must not have a path"),
    ({"issuer_url": "https://id.example.com"}, "issuer_url must end with a slash"),
    ({"jwks_max_age_seconds": 595}, "key_publish_ahead_seconds must be at least jwks_max_age_seconds and"),
    ({"key_ring_stale_seconds": 400}, "key_publish_ahead_seconds must be at least jwks_max_age_seconds and"),
    ({"key_rotation_seconds": 605}, "key_rotation_seconds must be at least key_publish_ahead_seconds and"),
    ({"signing_algorithm": "Ed25519"}, "signing_algorithm"),
    ({"issuer_url": "https://login.app.env0.com/"}, "issuer_url is outside public_url: set foreign_issuer"),
    (
        {"public_url": "https://id.example.com", "issuer_url": "https://id.example.com.evil.example/"},
        "issuer_url is outside public_url: set foreign_issuer",
    ),
    ({"issuer_url": "http://id.example.com/", "foreign_issuer": True}, "issuer_url must be https"),
    ({"tls_certificate": "cert.pem"}, "tls_certificate and tls_key go together"),
    ({"tls_key": "key.pem"}, "tls_certificate and tls_key go together"),
    (
        {"listen_host": "0.0.0.0", "public_url": "https://id.example.com"},  # noqa: S104 -- that is the point
        "listen_host is not this machine alone: give tls_certificate or trusted_proxies",
    ),
    ({"trusted_proxies": "10.0.0.0/33"}, "must be a comma-separated list of addresses or networks"),
    ({"trusted_proxies": "canary"}, "must be a comma-separated list of addresses or networks"),
    ({"listen_port": "0"}, "greater than or equal to 1"),
    ({"listen_port": "canary"}, "valid integer"),
    ({"token_lifetime_seconds": 86_401}, "less than or equal to 86400"),
    ({"lease_seconds": "nan"}, "lease_seconds"),
    ({"log_level": "canary"}, "log_level"),
    ({"openid_issuer": "http://id.example.com"}, "openid_issuer must be https unless it is this machine alone"),
    ({"openid_issuer": "https://id.example.com"}, "openid_issuer needs openid_client_id and openid_roles_file"),
    ({**OPENID, "openid_client_secret": "canary", "openid_client_secret_file": "f"}, "not both"),
    ({**OPENID, "openid_scopes": "profile"}, "openid_scopes"),
    *(({**OPENID, **OURS, "openid_issuer": issuer}, "openid_issuer is this server") for issuer in OUR_ISSUERS),
    ({"max_body_bytes": 1}, "max_body_bytes"),
    ({"canary_setting": 1}, "canary_setting"),
]


@pytest.mark.parametrize(("options", "sentence"), REFUSED, ids=[str(number) for number in range(len(REFUSED))])
def test_what_is_unsafe_or_impossible_is_refused_with_a_sentence(options: dict[str, Any], sentence: str):
    message = refusal(**options)
    assert sentence in message
    if "canary_setting" not in options:
        assert "canary" not in message


@pytest.mark.parametrize(
    "options",
    [
        {"tls_certificate": "cert.pem", "tls_key": "key.pem"},
        {"trusted_proxies": "10.0.0.0/8, ::1"},
    ],
    ids=["with TLS", "behind a proxy"],
)
def test_a_server_may_listen_for_others_when_somebody_ends_tls(options: dict[str, Any]):
    settings = load(listen_host="0.0.0.0", public_url="https://id.example.com", **options)  # noqa: S104
    assert settings.listen_host == "0.0.0.0"  # noqa: S104


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_this_machine_alone_needs_no_tls(host: str):
    assert load(listen_host=host, public_url="http://localhost:1").listen_host == host


def test_all_bad_settings_are_named_at_once_with_where_they_came_from(tmp_path: Path):
    file = tmp_path / "server.toml"
    file.write_text('workers = "canary"\n')
    message = refusal({"RUNPASS_LISTEN_PORT": "canary"}, file=file, token_lifetime_seconds="canary")
    for expected in ("RUNPASS_LISTEN_PORT, from environment", f"from {file}", "TOKEN_LIFETIME_SECONDS, from option"):
        assert expected in message
    assert "canary" not in message


def test_options_beat_the_environment_which_beats_the_file(tmp_path: Path):
    file = tmp_path / "server.toml"
    file.write_text('listen_port = 1\nworkers = 2\nlog_level = "debug"\n')
    environment = {"RUNPASS_SETTINGS": str(file), "RUNPASS_LISTEN_PORT": "3", "RUNPASS_WORKERS": "4"}
    loaded = load_settings(environment=environment, listen_port=5)
    settings = loaded.settings
    assert (settings.listen_port, settings.workers, settings.log_level) == (5, 4, "debug")
    sources = {name: source for name, _, source in loaded.shown()}
    assert (sources["listen_port"], sources["workers"], sources["log_level"]) == ("option", "environment", str(file))
    assert sources["lease_seconds"] == "default"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "cannot be read"),
        ("this is not TOML", "is not TOML"),
        ("\udcff", "is not TOML"),
        ("unknown = 1", "has unknown settings: unknown"),
    ],
)
def test_a_settings_file_that_cannot_be_used_is_named(tmp_path: Path, content: str | None, sentence: str):
    file = tmp_path / "server.toml"
    if content is not None:
        file.write_bytes(content.encode(errors="surrogateescape"))
    message = refusal(file=file)
    assert sentence in message
    assert str(file) in message


def secretive() -> Loaded[ServerSettings]:
    environment = {
        PREFIX + "MASTER_KEY": "canary" + "0" * 58,
        PREFIX + "DATABASE_URL": "postgresql://runpass:canary@db.example.com/runpass",
    }
    return load_settings(environment=environment)


def test_settings_show_themselves_without_their_secrets():
    rows = {name: value for name, value, _ in secretive().shown()}
    assert rows["master_key"] == PLACEHOLDER
    assert rows["database_url"] == f"postgresql://runpass:{PLACEHOLDER}@db.example.com/runpass"
    assert "canary" not in str(rows)


def test_settings_in_a_traceback_show_no_secret():
    assert "canary" not in repr(secretive())
    assert "canary" not in str(secretive().settings)
