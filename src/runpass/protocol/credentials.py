"""Credential kinds: the one class per kind that request, database, run lease, runner and form all share.

A Vault OIDC credential holds no secret: it says where a Vault is and which role to ask for. Field names are env0's
(its provider's `vault_oidc_credentials`); Vault's own words (`role`, `mount`) start in `runpass.vault`.
"""

from enum import StrEnum
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationError

from runpass.protocol.wire import Record, invalid_input


class CredentialKind(StrEnum):
    """The `type` of a credential on the wire."""

    VAULT_OIDC = "VAULT_OIDC"


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


VaultAddress = Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(_vault_address)]
VaultPath = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_vault_path)]
Namespace = Annotated[str, Field(max_length=255), AfterValidator(_namespace)]
RoleName = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_role)]
Version = Annotated[str, Field(max_length=64), AfterValidator(_version)]


class VaultOidc(Record):
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
        description="The namespace of the auth method and of the secrets. Empty means the root namespace.",
        examples=["team-a"],
    )
    token_format: Literal["v1"] = Field(
        default="v1",
        title="Token format",
        description="v1: the issuer's shared audience, as env0's default. Others are refused until they are built.",
        examples=["v1"],
    )

    @property
    def is_clear_text(self) -> bool:
        """Whether the token would cross a network unencrypted: `http://` to anything but this machine."""
        parts = urlsplit(self.address)
        return parts.scheme == "http" and not is_loopback(parts.hostname or "")


Credential = VaultOidc
"""Grows into a union as kinds are added; `parse` decides which."""


def parse(kind: CredentialKind, value: object) -> Credential:
    """Give the credential of this kind from its `value` object; unknown fields in it are ignored, as env0 sends some.

    Raises `InvalidInput` that names every bad field as `value.<field>`.
    """
    match kind:
        case CredentialKind.VAULT_OIDC:
            try:
                return VaultOidc.model_validate(value)
            except ValidationError as error:
                raise invalid_input(error, prefix="value.") from None


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


class CredentialGrant(Record):
    """A credential as a run lease carries it: assigned to the run's project, ready to be used by the runner."""

    credential_id: UUID
    name: str
    kind: CredentialKind
    value: VaultOidc
