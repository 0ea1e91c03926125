"""What a declaration means: the desired state, with every role bound. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from runpass.vault.declaration.model import Declaration, IssuerTable, PolicyTable, RoleTable
from runpass.vault.desired import (
    METADATA_CLAIMS,
    AuthMount,
    ClaimValue,
    DesiredState,
    JwtConfig,
    KvMount,
    Policy,
    Role,
    below,
    read_policy,
)
from runpass.vault.key_sources import DiscoveryUrl, JwksUrl, KeySource, PushedKeys
from runpass.vault.sweeper import with_sweeper


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the caller read for the declaration."""

    texts: Mapping[str, str] = field(default_factory=dict)
    """Files that it names, by the path it names them with."""
    public_keys: tuple[str, ...] = ()
    """PEM; for keys that are pushed."""


def wanted_files(declared: Declaration) -> tuple[str, ...]:
    """Give the files that a caller has to read."""
    named = [declared.issuer.ca_file, *(policy.file for policy in declared.policies.values())]
    return tuple(dict.fromkeys(name for name in named if name is not None))


def jwks_url(issuer: IssuerTable) -> str:
    """Give where the issuer's key set is."""
    return issuer.jwks_url or f"{issuer.url}.well-known/jwks.json"


def state_of(declared: Declaration, given: Given) -> DesiredState:
    """Give the desired state; raises `PathInvalid` for secrets that no policy can reach."""
    auth = declared.auth
    config = JwtConfig(
        keys=_keys(declared.issuer, given),
        bound_issuer=declared.issuer.url,
        jwt_supported_algs=tuple(declared.issuer.algorithms),
        default_role=auth.default_role,
    )
    state = DesiredState(
        namespace=declared.vault.namespace,
        auth=AuthMount(path=auth.mount, config=config, description=auth.description, token_type=auth.token_type),
        kv_mounts=tuple(
            KvMount(path=path, version=kv.version, description=kv.description, namespace=kv.namespace)
            for path, kv in declared.kv.items()
        ),
        policies=tuple(
            Policy(name=name, text=_text(declared, policy, given)) for name, policy in declared.policies.items()
        ),
        roles=tuple(_role(declared, name, role) for name, role in declared.roles.items()),
    )
    return with_sweeper(state, declared.organization_id) if declared.sweeper.enabled else state


def _keys(issuer: IssuerTable, given: Given) -> KeySource:
    ca = "" if issuer.ca_file is None else given.texts[issuer.ca_file]
    match issuer.keys:
        case "jwks":
            return JwksUrl(jwks_url(issuer), ca)
        case "discovery":
            return DiscoveryUrl(issuer.url, ca)
        case "pushed":
            return PushedKeys(given.public_keys)


def _text(declared: Declaration, policy: PolicyTable, given: Given) -> str:
    if policy.text is not None:
        return policy.text
    if policy.file is not None:
        return given.texts[policy.file]
    path = str(policy.read_kv)
    kv = declared.kv[path]
    here = declared.vault.namespace
    return read_policy(f"{below(here, here if kv.namespace is None else kv.namespace)}{path}", kv.version)


def _role(declared: Declaration, name: str, role: RoleTable) -> Role:
    claims: dict[str, ClaimValue] = {
        **{key: tuple(value) if isinstance(value, list) else value for key, value in role.bound_claims.items()},
        "organizationId": str(declared.organization_id),
        "apiKeyType": "oidc",
        "credentialId": str(role.credential_id),
    }
    if role.project_ids is not None:
        claims["projectId"] = tuple(sorted(str(project) for project in role.project_ids))
    if role.phases is not None:
        claims["phase"] = tuple(sorted(role.phases))
    return Role(
        name=name,
        user_claim="environmentId",
        bound_audiences=(role.audience or declared.issuer.url.removesuffix("/"),),
        bound_claims=claims,
        claim_mappings={claim: claim for claim in METADATA_CLAIMS},
        token_policies=tuple(role.policies),
        token_ttl=role.token_ttl,
        token_explicit_max_ttl=role.token_explicit_max_ttl or declared.run_timeout,
        token_bound_cidrs=tuple(role.token_bound_cidrs),
    )
