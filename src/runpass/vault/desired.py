"""What should exist in a Vault so that runs can log in and read: plain records, and the requests that make it. Pure.

`guide` gives the whole of it for one credential. `requests` puts a state in the order in which it can be written.
A role is written with every parameter that is owned here, because the Vault merges role writes: what is left out
keeps its old value, and `bound_claims_type` falls back to `string`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, Literal
from uuid import UUID

from runpass.vault import paths
from runpass.vault.errors import PathInvalid
from runpass.vault.key_sources import JwksUrl, KeySource

TOKEN_TTL: Final = timedelta(seconds=120)
"""How long a token lives without renewal: what a runner that died leaves behind is over after this."""
EXPLICIT_MAX_TTL: Final = timedelta(hours=1)
KV_PATH: Final = "secrets-for-runpass"
"""Where secrets stand by default: an engine of its own, so that the policy opens nothing that was there before."""
SWEEPER: Final = "runpass-sweeper"
"""The role and the policy of the control plane's own tokens (`runpass.vault.sweeper`)."""
METADATA_CLAIMS: Final = ("organizationId", "projectId", "environmentId", "deploymentLogId", "deploymentType")
"""Claims that become the token's metadata, so that the Vault's audit log names the run."""

ClaimValue = str | int | bool | tuple[str | int | bool, ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One write to a Vault's API."""

    method: Literal["POST"]
    path: str
    data: Mapping[str, Any]
    namespace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtConfig:
    """Whose tokens an auth mount accepts. What is None is not owned here: the Vault's own value stays."""

    keys: KeySource
    bound_issuer: str
    jwt_supported_algs: tuple[str, ...] | None = None
    default_role: str | None = None

    def parameters(self) -> dict[str, Any]:
        """Give what is owned of `auth/<mount>/config`."""
        algs = None if self.jwt_supported_algs is None else list(self.jwt_supported_algs)
        optional = {"jwt_supported_algs": algs, "default_role": self.default_role}
        owned = {name: value for name, value in optional.items() if value is not None}
        return {**self.keys.parameters(), "bound_issuer": self.bound_issuer, **owned}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthMount:
    """A JWT auth method and its configuration; `path` is written without `auth/`."""

    path: str
    config: JwtConfig
    description: str = "Workload identity of runpass"
    token_type: Literal["default-service", "service"] | None = None
    """How the mount is tuned, None: not owned here. A mount of batch tokens makes every role's tokens irrevocable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KvMount:
    """A KV secrets engine."""

    path: str
    version: Literal[1, 2] = 2
    description: str = "Secrets for runpass"
    namespace: str | None = None
    """From the root down; None: that of the auth method."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy; the Vault stores the text verbatim and the name in lower case."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role of a JWT auth method. Names and defaults are Vault's."""

    name: str
    user_claim: str
    bound_audiences: tuple[str, ...]
    bound_claims: Mapping[str, ClaimValue]
    token_policies: tuple[str, ...]
    bound_claims_type: Literal["string", "glob"] = "string"
    bound_subject: str = ""
    claim_mappings: Mapping[str, str] = field(default_factory=dict)
    token_ttl: timedelta = TOKEN_TTL
    token_max_ttl: timedelta = timedelta(0)
    token_explicit_max_ttl: timedelta = EXPLICIT_MAX_TTL
    token_type: Literal["default", "service", "batch"] = "service"  # noqa: S105 -- a kind of token
    token_no_default_policy: bool = False
    """The default policy is what lets a token renew and revoke itself."""
    token_bound_cidrs: tuple[str, ...] | None = None
    """None: not owned here, so that an operator may narrow the role to the runners' addresses."""

    def parameters(self) -> dict[str, Any]:
        """Give what is written to `auth/<mount>/role/<name>`: every parameter that is owned here, empty ones too."""
        cidrs = {} if self.token_bound_cidrs is None else {"token_bound_cidrs": list(self.token_bound_cidrs)}
        return {
            "role_type": "jwt",
            "user_claim": self.user_claim,
            "user_claim_json_pointer": False,
            "groups_claim": "",
            "bound_audiences": list(self.bound_audiences),
            "bound_subject": self.bound_subject,
            "bound_claims_type": self.bound_claims_type,
            "bound_claims": {key: _plain(value) for key, value in self.bound_claims.items()},
            "claim_mappings": dict(self.claim_mappings),
            "clock_skew_leeway": 0,
            "expiration_leeway": 0,
            "not_before_leeway": 0,
            "verbose_oidc_logging": False,
            "token_policies": list(self.token_policies),
            "token_policies_template_claims": False,  # OpenBao's own; another server drops it and reads as without
            "token_no_default_policy": self.token_no_default_policy,
            "token_ttl": int(self.token_ttl.total_seconds()),
            "token_max_ttl": int(self.token_max_ttl.total_seconds()),
            "token_explicit_max_ttl": int(self.token_explicit_max_ttl.total_seconds()),
            "token_period": 0,
            "token_num_uses": 0,
            "token_type": self.token_type,
            **cidrs,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredState:
    """All that should exist, in one namespace (empty: the root namespace)."""

    auth: AuthMount
    namespace: str = ""
    kv_mounts: tuple[KvMount, ...] = ()
    policies: tuple[Policy, ...] = ()
    roles: tuple[Role, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Guide:
    """The facts of one credential that the guide's steps are made of."""

    issuer: str
    jwks_url: str
    audience: str
    organization_id: UUID
    credential_id: UUID
    project_ids: tuple[UUID, ...] = ()
    """The projects that may use the credential; empty while none is known: then every project could log in."""
    role_name: str
    mount: str = "jwt"
    kv_path: str = KV_PATH
    kv_version: Literal[1, 2] = 2
    policy_name: str = ""
    """Empty: named after the KV engine, so that two engines never share a policy."""
    namespace: str = ""
    secret_namespace: str | None = None
    """None: that of the auth method."""
    keys: KeySource | None = None
    """None: the Vault fetches `jwks_url`."""
    token_explicit_max_ttl: timedelta = EXPLICIT_MAX_TTL


def guide(facts: Guide) -> DesiredState:
    """Give the whole desired state for one credential: mount, config, KV engine, policy and a narrow role."""
    claims: dict[str, ClaimValue] = {
        "organizationId": str(facts.organization_id),
        "apiKeyType": "oidc",
        "credentialId": str(facts.credential_id),
    }
    if facts.project_ids:
        claims["projectId"] = tuple(sorted(str(project) for project in facts.project_ids))
    kv_path = paths.checked(facts.kv_path, "KV path")
    policy_name = facts.policy_name or f"runpass-read-{kv_path.replace('/', '-')}"
    here = paths.namespace(facts.namespace)
    secrets_in = here if facts.secret_namespace is None else paths.namespace(facts.secret_namespace)
    seen = f"{below(here, secrets_in)}{kv_path}"
    policy = Policy(name=_name(policy_name, "policy"), text=read_policy(seen, facts.kv_version))
    role = Role(
        name=_name(facts.role_name, "role"),
        user_claim="environmentId",
        bound_audiences=(facts.audience,),
        bound_claims=claims,
        claim_mappings={claim: claim for claim in METADATA_CLAIMS},
        token_policies=(policy.name,),
        token_explicit_max_ttl=facts.token_explicit_max_ttl,
    )
    config = JwtConfig(keys=facts.keys or JwksUrl(facts.jwks_url), bound_issuer=facts.issuer)
    return DesiredState(
        namespace=here,
        auth=AuthMount(path=paths.checked(facts.mount, "auth mount path"), config=config),
        kv_mounts=(KvMount(path=kv_path, version=facts.kv_version, namespace=secrets_in),),
        policies=(policy,),
        roles=(role,),
    )


def below(namespace: str, other: str) -> str:
    """Give how a policy in `namespace` begins a path of `other`, a namespace at or below it.

    Raises `PathInvalid` for one that is neither: no policy reaches it.
    """
    if other == namespace:
        return ""
    if namespace and not other.startswith(f"{namespace}/"):
        raise PathInvalid(
            "the namespace of the secrets is not below that of the auth method, so no policy there reaches it",
            hint="Put the auth method in the same namespace, or in one above.",
        )
    return f"{other.removeprefix(namespace).strip('/')}/"


def read_policy(kv_path: str, version: Literal[1, 2]) -> str:
    """Give a policy's text that allows reading and listing all secrets of one engine and nothing else.

    Raises `PathInvalid` for a path in which Vault's policies would see a pattern or a template.
    """
    # SECURITY: `*`, a segment `+` and `{{` would widen the policy beyond this engine.
    if any(character in kv_path for character in '*+{}"'):
        raise PathInvalid("the KV path holds a character that means something in a policy", hint='Avoid * + { } and ".')
    read, listing = (f"{kv_path}/data/*", f"{kv_path}/metadata/*") if version == 2 else (f"{kv_path}/*",) * 2  # noqa: PLR2004 -- KV version 2
    if read == listing:
        return f'path "{read}" {{\n  capabilities = ["read", "list"]\n}}\n'
    return f'path "{read}" {{\n  capabilities = ["read"]\n}}\n\npath "{listing}" {{\n  capabilities = ["list"]\n}}\n'


def requests(state: DesiredState) -> tuple[Request, ...]:
    """Give the writes that make `state` in an empty Vault, in an order that works."""
    return (
        *namespace_requests(*namespaces(state)),
        enabling(state),
        config_request(state),
        *(kv_request(state, kv) for kv in state.kv_mounts),
        *(policy_request(state, policy) for policy in state.policies),
        *(role_request(state, role) for role in state.roles),
    )


def namespaces(state: DesiredState) -> tuple[str, ...]:
    """Give the namespaces that the state stands in: the auth method's first."""
    return tuple(dict.fromkeys([state.namespace, *(kv_namespace(state, kv) for kv in state.kv_mounts)]))


def kv_namespace(state: DesiredState, kv: KvMount) -> str:
    """Give the namespace of a KV engine."""
    return state.namespace if kv.namespace is None else kv.namespace


def namespace_requests(*wanted: str) -> tuple[Request, ...]:
    """Give the writes that make namespaces, parents first."""
    found: dict[str, Request] = {}
    for namespace in wanted:
        parts = namespace.split("/") if namespace else []
        for depth, part in enumerate(parts):
            parent = "/".join(parts[:depth])
            found[f"{parent}/{part}".strip("/")] = Request("POST", f"sys/namespaces/{part}", {}, parent)
    return tuple(found.values())


def enabling(state: DesiredState) -> Request:
    """Give the write that enables the auth method."""
    auth = state.auth
    tuned = {} if auth.token_type is None else {"config": {"token_type": auth.token_type}}
    data = {"type": "jwt", "description": auth.description, **tuned}
    return Request("POST", f"sys/auth/{auth.path}", data, state.namespace)


def tuning(state: DesiredState) -> Request:
    """Give the write that tunes the auth method. This path needs no sudo; `sys/auth/<mount>/tune` does."""
    return Request(
        "POST", f"sys/mounts/auth/{state.auth.path}/tune", {"token_type": state.auth.token_type}, state.namespace
    )


def config_request(state: DesiredState) -> Request:
    """Give the write of the auth method's configuration."""
    return Request("POST", config_path(state), state.auth.config.parameters(), state.namespace)


def kv_request(state: DesiredState, kv: KvMount) -> Request:
    """Give the write that enables a KV engine."""
    data = {"type": "kv", "description": kv.description, "options": {"version": str(kv.version)}}
    return Request("POST", f"sys/mounts/{kv.path}", data, kv_namespace(state, kv))


def policy_request(state: DesiredState, policy: Policy) -> Request:
    """Give the write of a policy."""
    return Request("POST", policy_path(policy), {"policy": policy.text}, state.namespace)


def role_request(state: DesiredState, role: Role) -> Request:
    """Give the write of a role: all of it, since a Vault resets some of what is left out and keeps the rest."""
    return Request("POST", role_path(state, role), role.parameters(), state.namespace)


def config_path(state: DesiredState) -> str:
    """Give where the auth mount's configuration is read and written."""
    return f"auth/{state.auth.path}/config"


def role_path(state: DesiredState, role: Role) -> str:
    """Give where a role is read and written."""
    return f"auth/{state.auth.path}/role/{role.name}"


def policy_path(policy: Policy) -> str:
    """Give where a policy is read and written."""
    return f"sys/policies/acl/{policy.name}"


def _name(text: str, what: str) -> str:
    """Give a name as the Vault stores it: in lower case, and without a slash."""
    name = paths.checked(text, f"{what}'s name").lower()
    if "/" in name or " " in name or name.startswith("-"):
        raise PathInvalid(f"the {what}'s name must not hold a slash or a space, nor start with a dash")
    return name


def _plain(value: ClaimValue) -> Any:
    return list(value) if isinstance(value, tuple) else value
