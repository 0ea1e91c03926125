"""The server's settings: environment (`RUNPASS_*`), file and options → one frozen `ServerSettings`.

The only module of the server that reads the environment.
"""

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from runpass.configuration import Loaded, load
from runpass.protocol.credentials import is_loopback
from runpass.secret import Secret

PREFIX = "RUNPASS_"
FILE_VARIABLE = "RUNPASS_SETTINGS"
Network = IPv4Network | IPv6Network


def _networks(value: object) -> object:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, (list, tuple)):
        return value
    try:
        return tuple(ip_network(str(item).strip()) for item in items if str(item).strip())
    except ValueError:
        raise ValueError("must be a comma-separated list of addresses or networks such as 10.0.0.0/8") from None


class ServerSettings(BaseModel):
    """Everything an operator can decide about a server."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    data_dir: Path = Field(default=Path("runpass-data"), description="Where the default database stands (0700).")
    database_url: str = Field(
        default="",
        repr=False,
        description="`sqlite:////abs/file.db` or `postgresql://…`. Empty: SQLite in the data directory.",
    )
    master_key_file: Path | None = Field(
        default=None,
        description="File (0600) with the 32-byte master key that encrypts secret columns, best kept apart from the"
        " data. Made at first start. Empty: `master.key` beside the data directory's own files.",
    )
    master_key: Secret | None = Field(
        default=None, description="The master key itself, 64 hex digits, where no file can be had."
    )
    previous_master_key_file: Path | None = Field(
        default=None,
        description="File with the master key that is being left, while the master key is changed. Opens what is still"
        " sealed with it.",
    )
    previous_master_key: Secret | None = Field(
        default=None, description="The master key that is being left, 64 hex digits, where no file can be had."
    )
    listen_host: str = Field(default="127.0.0.1", max_length=255, description="Address to listen on.")
    listen_port: int = Field(default=8440, ge=1, le=65535, description="Port to listen on.")
    public_url: str = Field(
        default="",
        max_length=1024,
        description="Where clients, runners and Vaults reach this server, without a trailing slash. Never taken"
        " from the Host header. Empty: the listening address.",
    )
    issuer_url: str = Field(
        default="",
        max_length=1024,
        description="The `iss` of every token, with its trailing slash. Empty: the public URL and a slash.",
    )
    foreign_issuer: bool = Field(
        default=False,
        description="Allow an issuer URL outside the public URL, such as https://login.app.env0.com/, for those who"
        " keep Vault roles written for env0. The documents are then served below the public URL.",
    )
    audience: str = Field(
        default="",
        max_length=1024,
        description="The shared audience of workload identity tokens. Empty: the issuer URL without its slash.",
    )
    token_lifetime_seconds: int = Field(
        default=900,
        ge=5,
        le=86_400,
        description="How long a workload identity token is valid, at most: never longer than its run's timeout.",
    )
    signing_algorithm: str = Field(
        default="RS256",
        pattern="^(RS256|ES256|EdDSA)$",
        description="What new signing keys sign with: `RS256`, `ES256` or `EdDSA`. Takes effect with the next rotation;"
        " a Vault whose config has `jwt_supported_algs` must name it before.",
    )
    key_rotation_seconds: int = Field(
        default=2_592_000,
        ge=0,
        le=31_536_000,
        description="How long a signing key signs before the next one takes over. 0: only on `runpass keys rotate`,"
        " for keys that are pushed to Vaults or exported by hand.",
    )
    key_publish_ahead_seconds: int = Field(
        default=600,
        ge=2,
        le=2_592_000,
        description="How long a signing key is published before it signs: at least `jwks_max_age_seconds` and"
        " `key_ring_stale_seconds` together.",
    )
    key_ring_stale_seconds: int = Field(
        default=10,
        ge=1,
        le=600,
        description="How long a server that cannot read the database goes on signing with the key that it read last.",
    )
    jwks_max_age_seconds: int = Field(
        default=300,
        ge=1,
        le=86_400,
        description="How long anybody may keep the published key set (`Cache-Control: max-age`).",
    )
    key_confirm_limit_seconds: int = Field(
        default=3600,
        ge=0,
        le=2_592_000,
        description="How long after its publication a signing key waits for Vaults that have a key set URL of their own"
        " and were not seen to fetch it; then it signs all the same, never before `key_publish_ahead_seconds`. 0: no"
        " Vault is checked, and none is waited for.",
    )
    organization_issuers: bool = Field(
        default=True,
        description="Allow organizations to choose an issuer with keys of their own. Those that have one keep it.",
    )
    run_timeout_seconds: float = Field(default=3600.0, gt=0, le=604_800, description="How long a run may take.")
    lease_seconds: float = Field(
        default=30.0, ge=1, le=600, description="How long a run lease lives without a heartbeat of its runner."
    )
    long_poll_seconds: float = Field(default=25.0, ge=0, le=120, description="How long a runner's question may wait.")
    max_waiting_runners: int = Field(
        default=256,
        ge=1,
        le=1_000_000,
        description="Runners of one organization that may wait for work at the same time, in each worker process.",
    )
    max_log_bytes: int = Field(
        default=67_108_864,
        ge=4096,
        le=17_179_869_184,
        description="What the log of one deployment may hold, each line counted with 64 bytes more. What follows is not"
        " kept, and the log says so.",
    )
    organization_log_bytes: int = Field(
        default=10_737_418_240,
        ge=0,
        le=1_125_899_906_842_624,
        description="What the logs of one organization's ended deployments may hold before nothing more is queued.",
    )
    log_retention_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        description="How long the log of a deployment that ended is kept. That of an environment's newest deployment"
        " stays. 0: for ever.",
    )
    deployment_retention_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        description="How long a deployment that ended is kept, with its log and all else of it. Those that its"
        " environment needs stay (the newest, the newest successful one, the newest outputs), and what is outstanding"
        " at a Vault. 0: for ever.",
    )
    audit_retention_days: int = Field(
        default=0,
        ge=0,
        le=36_500,
        description="How long events of the audit trail are kept, in whole days. What is left can still be verified,"
        " from a checkpoint. 0: for ever, or until `runpass audit prune`.",
    )
    tls_certificate: Path | None = Field(default=None, description="PEM certificate chain to serve HTTPS with.")
    tls_key: Path | None = Field(default=None, description="PEM private key of the certificate.")
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_networks)] = Field(
        default=(), description="Proxies that end TLS in front of this server; only their X-Forwarded-For is believed."
    )
    workers: int = Field(default=1, ge=1, le=64, description="Server processes; more than one wants PostgreSQL.")
    max_body_bytes: int = Field(
        default=4_194_304, ge=4_194_304, le=67_108_864, description="Largest request body that is read."
    )
    rate_limit_requests: int = Field(
        default=1000,
        ge=0,
        le=1_000_000,
        description="Requests that one client address may make per method and path of the management API and"
        " the console in `rate_limit_seconds`, and ten times as many over all paths. Counted in each worker process."
        " 0: no limit.",
    )
    rate_limit_seconds: float = Field(default=60.0, ge=1, le=3600, description="How long requests count together.")
    failed_login_limit: int = Field(
        default=60,
        ge=0,
        le=1_000_000,
        description="Requests with wrong credentials that one client address may make in 60 seconds before it has to"
        " wait. Counted in each worker process. 0: no limit.",
    )
    openid_issuer: str = Field(
        default="",
        max_length=512,
        description="The issuer of an OpenID Connect provider with which people may sign in to the console, byte for"
        " byte as the provider says it. Empty: none. Never an issuer of this server.",
    )
    openid_client_id: str = Field(default="", max_length=255, description="Our client id at the provider.")
    openid_client_secret: Secret | None = Field(
        default=None, description="Our client secret at the provider. Without one we are a public client, with PKCE."
    )
    openid_client_secret_file: Path | None = Field(default=None, description="File (0600) with our client secret.")
    openid_ca_file: Path | None = Field(
        default=None, description="PEM certificates that the provider's is checked with. Empty: the usual authorities."
    )
    openid_scopes: str = Field(
        default="openid profile",
        max_length=512,
        pattern=r"^openid( [\x21\x23-\x5b\x5d-\x7e]+)*$",
        description="The scopes that we ask for, `openid` first.",
    )
    openid_name: str = Field(
        default="OpenID Connect", min_length=1, max_length=64, description="What the provider is called in the console."
    )
    openid_groups_claim: str = Field(
        default="groups", min_length=1, max_length=255, description="The claim that has a person's groups."
    )
    openid_roles_file: Path | None = Field(
        default=None, description="TOML file that says which group has which roles in which organization."
    )
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$", description="Least level logged.")

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        filled = {key: value for key, value in values.items() if value != ""}
        host, port = str(filled.get("listen_host", "127.0.0.1")), filled.get("listen_port", 8440)
        scheme = "https" if filled.get("tls_certificate") else "http"
        shown = f"[{host}]" if ":" in host else host
        filled.setdefault("public_url", f"{scheme}://{shown}:{port}")
        if isinstance(filled["public_url"], str):
            filled["public_url"] = filled["public_url"].rstrip("/")
            filled.setdefault("issuer_url", filled["public_url"] + "/")
        if isinstance(filled.get("issuer_url"), str):
            filled.setdefault("audience", filled["issuer_url"].removesuffix("/"))
        data_dir = Path(str(filled.get("data_dir", "runpass-data")))
        filled.setdefault("database_url", f"sqlite:///{data_dir / 'runpass.db'}")
        if "master_key" not in filled:
            filled.setdefault("master_key_file", data_dir / "master.key")
        return filled

    @model_validator(mode="after")
    def _consistent(self) -> "ServerSettings":
        _check_url("public_url", self.public_url, path_allowed=False)
        _check_url("issuer_url", self.issuer_url, path_allowed=True)
        if not self.issuer_url.endswith("/"):
            raise ValueError("issuer_url must end with a slash: relying parties compare it byte for byte")
        if not self.foreign_issuer and not self.issuer_url.startswith(self.public_url + "/"):
            raise ValueError("issuer_url is outside public_url: set foreign_issuer if that is what you want")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        if not (is_loopback(self.listen_host) or self.tls_certificate or self.trusted_proxies):
            raise ValueError("listen_host is not this machine alone: give tls_certificate or trusted_proxies")
        _check_key_times(self)
        _check_openid(self)
        return self

    @property
    def documents_path(self) -> str:
        """Give the path, without a trailing slash, below which the issuer's documents are served."""
        return "" if self.foreign_issuer else urlsplit(self.issuer_url).path.removesuffix("/")

    @property
    def jwks_url(self) -> str:
        """Give the URL a Vault fetches our keys from."""
        return f"{self.public_url}{self.documents_path}/.well-known/jwks.json"

    def is_ours(self, url: str) -> bool:
        """Whether a URL is at this server, or one of our issuers, wherever that is."""
        # SECURITY: an organization's issuer is below the public URL; a foreign issuer is nobody's but ours here.
        return _place(url) == _place(self.public_url) or f"{url.rstrip('/')}/".startswith(self.issuer_url)

    def own_jwks_url(self, name: str) -> str:
        """Give the URL that the Vault with this name fetches our keys from."""
        return f"{self.public_url}{self.documents_path}/.well-known/jwks/{name}.json"


def _check_key_times(settings: ServerSettings) -> None:
    ahead = settings.key_publish_ahead_seconds
    if ahead < settings.jwks_max_age_seconds + settings.key_ring_stale_seconds:
        raise ValueError(
            "key_publish_ahead_seconds must be at least jwks_max_age_seconds and key_ring_stale_seconds together:"
            " else a key signs while a key set without it may still be kept somewhere"
        )
    if 0 < settings.key_rotation_seconds < ahead + settings.key_ring_stale_seconds:
        raise ValueError(
            "key_rotation_seconds must be at least key_publish_ahead_seconds and key_ring_stale_seconds together:"
            " the next key is made that long before it signs"
        )


def _check_openid(settings: ServerSettings) -> None:
    if not settings.openid_issuer:
        return
    _check_url("openid_issuer", settings.openid_issuer, path_allowed=True)
    if settings.is_ours(settings.openid_issuer):
        raise ValueError("openid_issuer is this server: its tokens say which run this is, never which person")
    if not settings.openid_client_id or settings.openid_roles_file is None:
        raise ValueError("openid_issuer needs openid_client_id and openid_roles_file")
    if settings.openid_client_secret is not None and settings.openid_client_secret_file is not None:
        raise ValueError("give openid_client_secret or openid_client_secret_file, not both")


def _place(url: str) -> tuple[str, str, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def _check_url(name: str, value: str, *, path_allowed: bool) -> None:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError(f"{name} must be a plain http(s) URL") from None  # without the value, which urlsplit repeats
    if any(c.isspace() or not c.isprintable() for c in value):
        raise ValueError(f"{name} must be a plain http(s) URL")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"{name} must be a plain http(s) URL")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(f"{name} must be https unless it is this machine alone")
    if parts.path.strip("/") and not path_allowed:
        raise ValueError(f"{name} must not have a path")


def load_settings(
    *, file: Path | None = None, environment: Mapping[str, str] | None = None, **options: Any
) -> Loaded[ServerSettings]:
    """Give the server's settings; `file` defaults to what `RUNPASS_SETTINGS` names.

    Raises `ConfigurationError` that names every bad setting.
    """
    environment = os.environ if environment is None else environment  # noqa: TID251 -- settings.py may
    named = environment.get(FILE_VARIABLE)
    where = file or (Path(named) if named else None)
    return load(ServerSettings, environment=environment, prefix=PREFIX, file=where, options=options)
