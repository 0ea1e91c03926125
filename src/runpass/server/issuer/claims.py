"""The claims of a workload identity token: our public contract, in one place.

A relying party binds these names and values, so a claim that was published is never renamed, never changes type and
never changes meaning. All are strings. A claim whose fact is unknown is left out, never empty, so that a role that
binds it refuses. Names without a prefix are env0's (`oidc` documentation of env0); the rest is ours and marked so.

`claims_of` is what a token gets and `supported` what the documents list; both read the same fields.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Final, Self

from runpass.server.issuer import aws_tags

in_json: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode
API_KEY_TYPE = "oidc"
MAX_CLAIM = 1024
"""Characters; longer facts (a repository's URL, say) stop the mint rather than being cut."""
ENV0_PREFIX: Final = "https://env0.com/"
"""What the names of env0's older duplicates begin with."""
AWS_TAGS: Final = aws_tags.CLAIM


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadClaims:
    """Every custom claim, as facts about one run. `None` leaves a claim out."""

    api_key_type: str = field(
        default=API_KEY_TYPE,
        metadata={"claim": "apiKeyType", "meaning": "Always `oidc`. Bind it, as env0's guide does.", "ours": False},
    )
    organization_id: str = field(
        metadata={"claim": "organizationId", "aws_tag": True, "meaning": "The organization's id."}
    )
    organization: str = field(
        metadata={"claim": "organization", "aws_tag": True, "meaning": "The same value as `organizationId`."}
    )
    project_id: str = field(metadata={"claim": "projectId", "aws_tag": True, "meaning": "The project's id."})
    project_name: str = field(metadata={"claim": "projectName", "meaning": "The project's name. Mutable: bind ids."})
    template_id: str = field(metadata={"claim": "templateId", "aws_tag": True, "meaning": "The template's id."})
    template_name: str = field(metadata={"claim": "templateName", "meaning": "The template's name. Mutable."})
    environment_id: str = field(
        metadata={"claim": "environmentId", "aws_tag": True, "meaning": "The environment's id. The best `user_claim`."}
    )
    environment_name: str = field(metadata={"claim": "environmentName", "meaning": "The environment's name. Mutable."})
    workspace_name: str = field(metadata={"claim": "workspaceName", "meaning": "The Terraform workspace's name."})
    deployment_log_id: str = field(metadata={"claim": "deploymentLogId", "meaning": "The deployment's id: one run."})
    deployment_type: str = field(
        metadata={"claim": "deploymentType", "aws_tag": True, "meaning": "`deploy`, `destroy`, `task`, …"}
    )
    deployer_email: str | None = field(
        default=None,
        metadata={
            "claim": "deployerEmail",
            "aws_tag": True,
            "meaning": "The address of the person who started the deployment, if the ID Token of their last sign-in"
            " with the OpenID Connect provider called it verified. Absent for API keys and for people with a password."
            " Addresses change hands: bind it beside ids, never alone.",
        },
    )
    env0_tag: str | None = field(
        default=None,
        metadata={"claim": "env0Tag", "aws_tag": True, "meaning": "Value of the variable `ENV0_OIDC_TAG`, when set."},
    )
    phase: str = field(
        metadata={
            "claim": "phase",
            "meaning": "What this part of the run does: `plan`, `apply`, `destroy`, `task`.",
            "ours": True,
        }
    )
    repository: str | None = field(
        default=None, metadata={"claim": "repository", "meaning": "Where the code came from.", "ours": True}
    )
    revision: str | None = field(
        default=None, metadata={"claim": "revision", "meaning": "The revision that was asked for.", "ours": True}
    )
    commit: str | None = field(
        default=None,
        metadata={
            "claim": "commit",
            "meaning": "The commit that was planned, once the plan is approved.",
            "ours": True,
        },
    )
    runner_id: str = field(metadata={"claim": "runnerId", "meaning": "The runner that holds the run.", "ours": True})
    runner_pool: str = field(metadata={"claim": "runnerPool", "meaning": "The runner's pool.", "ours": True})
    runner_isolation: str = field(
        metadata={
            "claim": "runnerIsolation",
            "meaning": "How runs are kept apart: `uid`, `bubblewrap`, `none`.",
            "ours": True,
        }
    )
    credential_id: str | None = field(
        default=None,
        metadata={
            "claim": "credentialId",
            "meaning": "Only in the login token of that credential, which never leaves the runner: binding it makes"
            " assignment a boundary.",
            "ours": True,
        },
    )

    def as_mapping(self) -> dict[str, str]:
        """Give the claims by their wire names, unknown facts left out.

        Raises `ValueError` that names a claim longer than `MAX_CLAIM`.
        """
        found: dict[str, str] = {}
        for name, claim in _wire_names():
            value = getattr(self, name)
            if value is None or value == "":
                continue
            if len(value) > MAX_CLAIM:
                raise ValueError(f"the claim {claim} would be longer than {MAX_CLAIM} characters")
            found[claim] = value
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionalClaims:
    """What an organization wants in its tokens beside the claims above; nothing unless it says so."""

    env0_prefixed: bool = False
    aws_tags: bool = False
    aws_transitive_tags: tuple[str, ...] = ()


NONE: Final = OptionalClaims()


@cache
def _wire_names() -> tuple[tuple[str, str], ...]:
    """Give (field, claim) of every custom claim: minting asks for each token."""
    return tuple((item.name, item.metadata["claim"]) for item in fields(WorkloadClaims))


STANDARD_CLAIMS: Mapping[str, str] = {
    "iss": "The issuer URL, with its trailing slash.",
    "sub": "The organization's id, unless the organization has a template for it: then it begins with the id.",
    "aud": "One audience, a plain string.",
    "iat": "When the token was made (seconds).",
    "nbf": "The same moment: Vault computes it from `exp` when it is missing.",
    "exp": "When it ends (seconds).",
    "jti": "The token's id, also in the audit trail.",
}
_ENV0S: Final = tuple(item.metadata["claim"] for item in fields(WorkloadClaims) if not item.metadata.get("ours"))
TAGS: Final = tuple(item.metadata["claim"] for item in fields(WorkloadClaims) if item.metadata.get("aws_tag"))
"""The claims that are AWS session tags as well: env0's choice."""


@dataclass(frozen=True, slots=True)
class WrittenClaims:
    """All but the standard claims of a token as members of a JSON object, without its braces.

    Tokens that say the same of a run are made from one of these: writing it takes longer than an ES256 signature.
    """

    members: str

    @classmethod
    def of(cls, claims: Mapping[str, object]) -> Self:
        """Write claims. There must be one at least."""
        return cls(in_json(claims)[1:-1])


def written_claims(facts: WorkloadClaims, wanted: OptionalClaims = NONE) -> WrittenClaims:
    """Give what `claims_of` gives, written. Raises `ValueError` as `WorkloadClaims.as_mapping`."""
    return WrittenClaims.of(claims_of(facts, wanted))


def claims_of(facts: WorkloadClaims, wanted: OptionalClaims = NONE) -> dict[str, Any]:
    """Give all but the standard claims of a token by their wire names. Raises `ValueError` as `as_mapping`."""
    plain = facts.as_mapping()
    found: dict[str, Any] = dict(plain)
    if wanted.env0_prefixed:
        found |= {f"{ENV0_PREFIX}{name}": plain[name] for name in _ENV0S if name in plain}
    if wanted.aws_tags:
        tags = {name: plain[name] for name in TAGS if name in plain}
        found[AWS_TAGS] = aws_tags.session_tags(tags, wanted.aws_transitive_tags)
    return found


def documented() -> list[tuple[str, str, bool]]:
    """Give (claim, meaning, ours) of every claim that each token can have, in the order of the reference docs."""
    standard = [(name, meaning, False) for name, meaning in STANDARD_CLAIMS.items()]
    custom = [
        (item.metadata["claim"], item.metadata["meaning"], bool(item.metadata.get("ours")))
        for item in fields(WorkloadClaims)
    ]
    return standard + custom


def documented_optional() -> list[tuple[str, str, str]]:
    """Give (claim, policy, meaning) of every claim that an organization has to ask for."""
    tags = ", ".join(f"`{name}`" for name in TAGS)
    prefixed = [
        (f"{ENV0_PREFIX}{name}", "identityPrefixedClaims", f"The same value as `{name}`, under env0's older name.")
        for name in _ENV0S
    ]
    return [*prefixed, (AWS_TAGS, "identityAwsTags", f"An object: AWS session tags {tags}.")]


def supported() -> list[str]:
    """Give every claim name for `claims_supported` (OpenID Connect Discovery 1.0, section 3).

    One issuer signs for all organizations, so these are the claims that any of them can have in its tokens.
    """
    return [name for name, *_ in documented()] + [name for name, *_ in documented_optional()]
