"""The fields of the declarative file. A field that is not known is refused: a Vault would drop it without a word."""

import re
from datetime import timedelta
from ipaddress import ip_interface
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from runpass.vault import paths
from runpass.vault.desired import EXPLICIT_MAX_TTL, TOKEN_TTL
from runpass.vault.errors import PathInvalid
from runpass.vault.sweeper import NAME as SWEEPER

OWNED_CLAIMS: Final = frozenset({"organizationId", "organization", "projectId", "credentialId", "apiKeyType", "phase"})
"""Claims that a role binds through fields of their own."""
_NAME: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\Z")
_DURATION: Final = re.compile(r"(\d{1,9})([smh]?)\Z")
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}
_PATTERNS: Final = '*+{}"'
_CLAIM_LENGTH: Final = 1024


def _name(value: str) -> str:
    if not _NAME.match(value):
        raise ValueError("must be letters, digits, _ and inside also . and -")
    return value.lower()


def _own_name(value: str) -> str:
    if _name(value) in {"root", "default", "response-wrapping", SWEEPER}:
        raise ValueError("is a name that is taken")
    return _name(value)


def _granted(value: str) -> str:
    if _name(value) == "root":
        raise ValueError("must not be root: an auth method cannot give it")
    return _name(value)


def _path(value: str) -> str:
    try:
        trimmed = paths.checked(value)
    except PathInvalid:
        raise ValueError("must be a path such as jwt or team/jwt") from None
    if any(character in _PATTERNS or character.isspace() for character in trimmed):
        raise ValueError(f"must not hold a space or one of {' '.join(_PATTERNS)}")
    return trimmed


def _namespace(value: str) -> str:
    if value.strip("/") in {"", "root"}:
        return ""
    if not all(_NAME.match(part) for part in value.strip("/").split("/")):
        raise ValueError("must be a namespace's path such as team-a or team-a/apps")
    return value.strip("/")


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    odd = any(character.isspace() or not character.isprintable() or character in "?#\\" for character in value)
    if parts.scheme not in {"http", "https"} or not host or odd or "@" in parts.netloc:
        raise ValueError("must be a http(s) URL without user, query and fragment")
    return value


def _word(value: str) -> str:
    if not value or not value.isprintable() or any(character.isspace() for character in value) or "," in value:
        raise ValueError("must be one word, without a comma")
    return value


def _claim(value: str) -> str:
    if not value or not value.isprintable() or value != value.strip() or "," in value or len(value) > _CLAIM_LENGTH:
        raise ValueError("must be printable text without a comma, up to 1024 characters")
    return value


def _duration(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise ValueError("must be a duration such as 90s, 2m or 1h")  # noqa: TRY004 -- pydantic takes ValueError alone
    matched = _DURATION.match(str(value))
    if matched is None:
        raise ValueError("must be a duration such as 90s, 2m or 1h")
    return timedelta(seconds=int(matched[1]) * _UNITS[matched[2]])


def _cidr(value: str) -> str:
    try:
        address = ip_interface(value)
    except ValueError:
        raise ValueError("must be an address or a range such as 10.0.0.0/8") from None
    if "%" in value or "." in value.partition("/")[2] or getattr(address.ip, "ipv4_mapped", None) is not None:
        raise ValueError("must be an address or a range such as 10.0.0.0/8")
    return str(address)


def _id(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return UUID(value)
        except ValueError:
            pass
    raise ValueError("must be an id (a UUID)")


def _distinct(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise ValueError("must not name one thing twice")
    return values


def _some(values: Any) -> Any:
    if not values:
        raise ValueError("must not be empty: an empty list matches nothing")
    return values


Name = Annotated[str, AfterValidator(_name)]
OwnName = Annotated[str, Field(max_length=128), AfterValidator(_own_name)]
MountPath = Annotated[str, Field(max_length=255), AfterValidator(_path)]
Namespace = Annotated[str, Field(max_length=255), AfterValidator(_namespace)]
Url = Annotated[str, Field(max_length=2048), AfterValidator(_url)]
Word = Annotated[str, Field(max_length=2048), AfterValidator(_word)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Id = Annotated[UUID, BeforeValidator(_id)]
Ids = Annotated[list[Id], AfterValidator(_distinct), AfterValidator(_some)]
Claim = Annotated[str, AfterValidator(_claim)]
ClaimValues = Annotated[list[Claim], AfterValidator(_distinct), AfterValidator(_some)]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]
Phase = Literal["plan", "apply", "destroy", "task"]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class VaultTable(_Table):
    """`[vault]`: which Vault, and where in it."""

    address: Url | None = Field(default=None, description="Where the Vault answers; `--address` wins.")
    namespace: Namespace = Field(default="", description="Namespace of the auth method; empty: the root namespace.")


class IssuerTable(_Table):
    """`[issuer]`: whose tokens are accepted, and where the Vault takes the keys from."""

    url: Url = Field(description="The issuer, byte for byte as in `iss`: with its trailing slash.")
    keys: Literal["jwks", "discovery", "pushed"] = Field(
        default="jwks",
        description="`jwks`: the Vault fetches the key set. `discovery`: it fetches the discovery document first."
        " `pushed`: it gets the public keys and fetches nothing; a rotation is then a difference.",
    )
    jwks_url: Url | None = Field(
        default=None,
        description="The key set's URL; left out, `<url>.well-known/jwks.json`. With `pushed`: where this machine"
        " fetches the keys that are pushed.",
    )
    ca_file: str | None = Field(
        default=None, description="PEM file, relative to this one: authorities for the issuer's certificate."
    )
    public_keys_file: str | None = Field(
        default=None, description="With `pushed`: PEM file with the public keys, instead of fetching them."
    )
    algorithms: list[Algorithm] = Field(default=[], description="Signature algorithms to accept; empty: all.")

    @model_validator(mode="after")
    def _fits(self) -> "IssuerTable":
        if self.public_keys_file is not None and self.keys != "pushed":
            raise ValueError('public_keys_file is for keys = "pushed"')
        if self.jwks_url is not None and self.keys == "discovery":
            raise ValueError('jwks_url is not used with keys = "discovery"')
        return self


class AuthTable(_Table):
    """`[auth]`: the JWT auth method."""

    mount: MountPath = Field(default="jwt", description="Its path, without `auth/`.")
    description: str = Field(default="Workload identity of runpass", max_length=255, description="Set when it is made.")
    default_role: Name | Literal[""] = Field(default="", description="Role of a login that names none.")
    shared: bool = Field(
        default=False, description="Whether others may have roles here: then `drift` lists them and is content."
    )
    token_type: Literal["default-service", "service"] = Field(
        default="default-service", description="Tuning of the mount. Batch tokens could not be revoked."
    )


class SweeperTable(_Table):
    """`[sweeper]`: the role that lets the control plane revoke tokens that runs left behind."""

    enabled: bool = Field(default=True, description="Whether the role is declared.")


class KvTable(_Table):
    """`[kv.<path>]`: a KV secrets engine."""

    version: Literal[1, 2] = Field(default=2, description="The engine's version.")
    description: str = Field(default="Secrets for runpass", max_length=255, description="Set when it is made.")
    namespace: Namespace | None = Field(
        default=None, description="Its namespace, from the root down: that of the auth method, or one below."
    )


class PolicyTable(_Table):
    """`[policies.<name>]`: a policy; one of `text`, `file` and `read_kv`."""

    text: str | None = Field(default=None, min_length=1, max_length=262_144, description="The policy itself.")
    file: str | None = Field(default=None, description="File with it, relative to this one.")
    read_kv: MountPath | None = Field(
        default=None, description="A declared KV engine: the policy reads and lists all of it, and nothing else."
    )

    @model_validator(mode="after")
    def _one_of(self) -> "PolicyTable":
        if sum(item is not None for item in (self.text, self.file, self.read_kv)) != 1:
            raise ValueError("must have exactly one of text, file and read_kv")
        return self


class RoleTable(_Table):
    """`[roles.<name>]`: a role for the runs of one credential."""

    credential_id: Id = Field(description="The credential; bound as `credentialId`.")
    project_ids: Ids | None = Field(default=None, description="The projects whose runs may log in; bound.")
    any_project: bool = Field(
        default=False, description="Binds no project: every project that has the credential, also one assigned later."
    )
    audience: Word | None = Field(
        default=None, description="The one audience; left out, the issuer without its trailing slash."
    )
    phases: Annotated[list[Phase], AfterValidator(_distinct), AfterValidator(_some)] | None = Field(
        default=None, description="What a run does at that moment; bound as `phase`. Left out: all phases."
    )
    bound_claims: dict[Claim, Claim | ClaimValues] = Field(
        default={}, description="Further claims that a token must have, each with one value or several."
    )
    policies: Annotated[list[Annotated[str, AfterValidator(_granted)]], AfterValidator(_distinct)] = Field(
        description="Policies of the tokens, declared here or not."
    )
    token_ttl: Annotated[Duration, Field(gt=timedelta(0), le=TOKEN_TTL)] = Field(
        default=TOKEN_TTL, description="How long a token lives before the runner renews it; at most 2m."
    )
    token_explicit_max_ttl: Annotated[Duration, Field(gt=timedelta(0))] | None = Field(
        default=None, description="How long it lives at most; left out, and at most, `run_timeout`."
    )
    token_bound_cidrs: list[Annotated[str, AfterValidator(_cidr)]] = Field(
        default=[], description="Addresses from which the token is accepted: the runners'. Empty: all."
    )

    @model_validator(mode="after")
    def _fits(self) -> "RoleTable":
        # SECURITY: an unbound project must be somebody's decision, not somebody's omission.
        if (self.project_ids is None) != self.any_project:
            raise ValueError("must have project_ids, or any_project = true, and not both")
        owned = sorted(claim for claim in self.bound_claims if claim in OWNED_CLAIMS)
        if owned:
            raise ValueError(f"bound_claims must not have {', '.join(owned)}: there are fields for that")
        return self


class Declaration(_Table):
    """The whole file."""

    organization_id: Id = Field(description="The organization; bound as `organizationId` by every role.")
    run_timeout: Annotated[Duration, Field(gt=timedelta(0))] = Field(
        default=EXPLICIT_MAX_TTL, description="How long a run may take (the server's `run_timeout_seconds`)."
    )
    vault: VaultTable = VaultTable()
    issuer: IssuerTable
    auth: AuthTable = AuthTable()
    sweeper: SweeperTable = SweeperTable()
    kv: dict[MountPath, KvTable] = {}
    policies: dict[OwnName, PolicyTable] = {}
    roles: dict[OwnName, RoleTable] = {}
