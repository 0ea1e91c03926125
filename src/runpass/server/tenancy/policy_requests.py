"""Request bodies of policies. The console draws its forms from them."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StrictInt

from runpass.server.http.wire import ApiModel, Flag, ShortText
from runpass.server.tenancy.identities import IdentityPolicies
from runpass.server.tenancy.lifetimes import InheritedLifetime, Lifetime
from runpass.server.tenancy.model import MAX_ALLOWED, MAX_AUDIENCE, IdentityIssuer

Most = Annotated[StrictInt | None, Field(ge=0, le=2_147_483_647)]
AllowedAudience = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_AUDIENCE,
        pattern=r"^[!-~]+$",
        description="An audience, or with `*` at its end the beginning of one.",
    ),
]
Audiences = Annotated[list[AllowedAudience], Field(max_length=MAX_ALLOWED)]
_AUDIENCES = "Which audiences jobs may ask identity tokens for, beside the shared one; null: any."
_ISSUER = (
    "Whose tokens runs get: the `shared` issuer's, or the organization's `own`; `prepared` publishes the own one's keys"
    " while tokens still are of the shared one."
)


class ChangePolicies(IdentityPolicies):
    """Request: policies of an organization; what is left out stays as it is, and null takes a limit away."""

    max_ttl: Annotated[Lifetime, Field(title="Longest life of an environment", examples=["1-w"])] = None
    default_ttl: Annotated[Lifetime, Field(title="Life of an environment if nothing is said", examples=["3-d"])] = None
    requires_approval: Annotated[
        Flag | None, Field(title="Approval", description="Whether every plan waits for an approval.")
    ] = None
    allowed_identity_audiences: Annotated[
        Audiences | None,
        Field(title="Audiences", description=_AUDIENCES, examples=["https://sts.example.com"]),
    ] = None
    identity_issuer: Annotated[IdentityIssuer | None, Field(title="Issuer", description=_ISSUER)] = None
    enable_oidc: Annotated[
        Flag | None,
        Field(title="OIDC", description="Whether every job gets a token of its own, even without a credential."),
    ] = None
    allow_clear_text_vault: Annotated[
        Flag | None,
        Field(
            title="Vaults without TLS",
            description="Whether credentials may name an `http://` Vault on another machine.",
        ),
    ] = None
    do_not_report_skipped_status_checks: Flag | None = None
    do_not_consider_merge_commits_for_pr_plans: Flag | None = None
    enforce_pr_commenter_permissions: Flag | None = None
    allow_mergeable_bypass_for_pr_apply: Flag | None = None


class PolicyFields(ApiModel):
    """What a project's policy says."""

    requires_approval_default: Annotated[
        Flag,
        Field(
            title="Approval",
            description="Enforced: deployments in the project and below it wait for an approval.",
        ),
    ] = False
    disable_destroy_environments: Annotated[
        Flag,
        Field(
            title="No destruction",
            description="Enforced: environments in the project and below it cannot be destroyed.",
        ),
    ] = False
    max_ttl: Annotated[InheritedLifetime, Field(title="Longest life of an environment", examples=["1-w"])] = None
    default_ttl: Annotated[
        InheritedLifetime, Field(title="Life of an environment if nothing is said", examples=["3-d"])
    ] = None
    number_of_environments: Most = None
    number_of_environments_total: Most = None
    include_cost_estimation: Flag = False
    skip_apply_when_plan_is_empty: Flag = False
    skip_redundant_deployments: Flag = False
    run_pull_request_plan_default: Flag = False
    continuous_deployment_default: Flag = False
    force_remote_backend: Flag = False
    drift_detection_enabled: Flag = False
    drift_detection_cron: ShortText | None = None
    auto_drift_remediation: ShortText | None = None
    vcs_pr_comments_enabled_default: Flag = False
    outputs_as_inputs_enabled: Flag = False


class ChangePolicy(PolicyFields):
    """Request: the whole new policy of a project. What runpass does not enforce is kept and given back."""

    project_id: UUID
