"""Vault OIDC: where a Vault is, which role to ask for, and how to be sure of the Vault.

Vault's own words (`role`, `mount`) start in `runpass.vault`.
"""

import re
from ipaddress import ip_address
from typing import Annotated, Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from runpass.protocol.credentials.certificates import Certificates, PrivateKey, is_key_of
from runpass.protocol.credentials.fields import TokenFormat, Value, audience, without_nulls
from runpass.secret import Secret

_LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\Z")


def _vault_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("must be a URL such as https://vault.example.com:8200") from None
    if parts.scheme not in {"http", "https"} or not host or any(c.isspace() or not c.isprintable() for c in value):
        raise ValueError("must be a URL such as https://vault.example.com:8200")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry a user name or password")
    if parts.query or parts.fragment or "?" in value or "#" in value:
        raise ValueError("must not carry a query or a fragment")
    return value.rstrip("/")


def _vault_path(value: str) -> str:
    trimmed = value.strip("/")
    parts = trimmed.split("/")
    if any(part in {"", ".", ".."} for part in parts) or any(not c.isprintable() or c in "?#%\\" for c in trimmed):
        raise ValueError("must be a path such as jwt or team/jwt")
    return trimmed


def _namespace(value: str) -> str:
    return "" if value.strip("/") in {"", "root"} else _vault_path(value)


def _role(value: str) -> str:
    if any(c.isspace() or not c.isprintable() or c in "/?#%\\" for c in value):
        raise ValueError("must be a role's name: no spaces and no slashes")
    return value


def _version(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must not contain control characters")
    return value


def _server_name(value: str) -> str:
    labels = value.split(".")
    if not all(_LABEL.match(label) for label in labels) or labels[-1].isdigit():
        raise ValueError("must be a host name such as vault.example.com")
    return value.lower()


def _proxy(value: str) -> str:
    address = _vault_address(value)
    if urlsplit(address).scheme != "http" or urlsplit(address).path:
        raise ValueError("must be a URL such as http://proxy.example.com:3128")
    return address


Proxy = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_proxy)]
VaultAddress = Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(_vault_address)]
VaultPath = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_vault_path)]
Namespace = Annotated[str, Field(max_length=255), AfterValidator(_namespace)]
RoleName = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_role)]
Version = Annotated[str, Field(max_length=64), AfterValidator(_version)]
ServerName = Annotated[str, Field(min_length=1, max_length=253), AfterValidator(_server_name)]


class VaultOidc(Value):
    """Log in to a Vault or OpenBao with the run's identity token (JWT auth method)."""

    address: VaultAddress = Field(
        title="Address",
        description="Where the Vault answers, with its port. The runner must reach it; the server never connects.",
        examples=["https://vault.example.com:8200"],
    )
    version: Version = Field(
        title="Version",
        description="The Vault version, as env0 asks for it. Recorded; the runner logs in over HTTP whatever it says.",
        examples=["1.18.0"],
    )
    role_name: RoleName = Field(
        title="Role Name",
        description="The role of the JWT auth method that this credential logs in as.",
        examples=["deploy"],
    )
    jwt_auth_backend_path: VaultPath = Field(
        title="JWT Auth Backend Path",
        description="Where the JWT auth method is mounted, without the leading auth/.",
        examples=["jwt"],
    )
    namespace: Namespace = Field(
        default="",
        title="Namespace",
        description="The namespace of the auth method. Empty means the root namespace.",
        examples=["team-a"],
    )
    token_format: TokenFormat = Field(
        default="v1",
        title="Token format",
        description="v1: the issuer's shared audience; v2: one for Vaults; credential: one for this credential alone.",
        examples=["v1"],
    )
    secret_namespace: Namespace | None = Field(
        default=None,
        title="Secret namespace",
        description="The namespace of the secrets, and of the job; left out, that of the auth method.",
        examples=["team-a/apps"],
    )
    ca_bundle: Certificates | None = Field(
        default=None,
        title="CA bundle",
        description="Certificates (PEM) of the authorities that may vouch for the Vault, instead of the runner's own.",
        examples=["-----BEGIN CERTIFICATE-----"],
    )
    client_certificate: Certificates | None = Field(
        default=None,
        title="Client certificate",
        description="The certificate chain (PEM) that the runner and the job show to the Vault.",
        examples=["-----BEGIN CERTIFICATE-----"],
    )
    client_key: PrivateKey | None = Field(
        default=None,
        title="Client key",
        description="The private key (PEM) of the client certificate. Encrypted, and never given back.",
        examples=["-----BEGIN PRIVATE KEY-----"],
    )
    server_name: ServerName | None = Field(
        default=None,
        title="Server name",
        description="The name that the Vault's certificate must carry, if it is not the host of the address.",
        examples=["vault.internal.example.com"],
    )
    proxy: Proxy | None = Field(
        default=None,
        title="Proxy",
        description="An HTTP proxy between the runner and the Vault. The runner takes none from its environment.",
        examples=["http://proxy.example.com:3128"],
    )
    timeout_seconds: int = Field(
        default=10,
        ge=1,
        le=60,
        strict=True,
        title="Timeout",
        description="Seconds that one request of the runner to the Vault may take.",
        examples=[10],
    )
    export_token: bool = Field(
        default=True,
        strict=True,
        title="Export token",
        description="Whether the job gets the Vault's address and token. Without, only its variables are resolved.",
        examples=[True],
    )
    skip_child_token: bool = Field(
        default=False,
        strict=True,
        title="Skip child token",
        description="Whether Terraform's vault provider uses the token as it is, instead of making a child of it.",
        examples=[False],
    )

    inline_auth: bool = Field(
        default=False,
        strict=True,
        title="Inline authentication",
        description="Read secrets without ever having a Vault token. OpenBao 2.4 or newer; needs exportToken false.",
        examples=[False],
    )

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, value: Any) -> Any:
        found = without_nulls(cls, value)
        if not isinstance(found, dict) or found.keys() & {"clientKey", "client_key"}:
            return found
        return {**found, "clientKey": None}  # so that it is looked at, beside its certificate

    @field_validator("ca_bundle", "client_certificate", "server_name")
    @classmethod
    def _over_tls(cls, value: str | None, info: ValidationInfo) -> str | None:
        # SECURITY: whoever asks for a check of the Vault must not believe that it happens without TLS.
        if value is not None and str(info.data.get("address", "https:")).lower().startswith("http:"):
            raise ValueError("needs an address with https")
        return value

    @field_validator("inline_auth")
    @classmethod
    def _without_a_token(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 -- Pydantic's call
        if value and info.data.get("export_token", True):
            raise ValueError("needs exportToken false: there is no token to export")
        return value

    @field_validator("client_key")
    @classmethod
    def _key_of_certificate(cls, value: Secret | None, info: ValidationInfo) -> Secret | None:
        if "client_certificate" not in info.data:
            return value  # it was refused itself
        certificate = info.data["client_certificate"]
        if value is None and certificate is not None:
            raise ValueError("is required with clientCertificate")
        if value is not None and certificate is None:
            raise ValueError("needs clientCertificate")
        if value is not None and not is_key_of(value, certificate):
            raise ValueError("is not the key of clientCertificate")
        return value

    @property
    def is_clear_text(self) -> bool:
        """Whether the token would cross a network unencrypted: `http://` to anything but this machine."""
        return is_clear_text(self.address)

    @property
    def reading_namespace(self) -> str:
        """Give the namespace that secrets are read in."""
        return self.namespace if self.secret_namespace is None else self.secret_namespace

    def audience(self, shared: str, credential_id: UUID) -> str:
        """Give the `aud` of this credential's login token; `shared` is the issuer's."""
        return audience(self.token_format, "vault", shared=shared, credential_id=credential_id)


def is_clear_text(address: str) -> bool:
    """Whether what is sent to this address crosses a network unencrypted."""
    parts = urlsplit(address)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Whether a host name or address can only be this machine: `localhost`, 127/8 and ::1.

    SECURITY: names below `localhost` are not accepted, since some resolvers ask the network about them.
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
