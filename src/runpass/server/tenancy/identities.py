"""What an organization decides about its identity tokens: how `sub` is made, and which optional claims they have.

Stands among its policies, under the names of `IdentityPolicies`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field

from runpass.server.http.wire import ApiModel, Flag
from runpass.server.issuer.claims import TAGS, OptionalClaims, WorkloadClaims
from runpass.server.issuer.subjects import SubjectClaim, subject, unfit
from runpass.server.tenancy.model import Organization


def _checked(template: list[SubjectClaim]) -> list[SubjectClaim]:
    problem = unfit(template)
    if problem is not None:
        raise ValueError(problem)
    return template


def _tag(name: str) -> str:
    if name not in TAGS:
        raise ValueError(f"must be one of {', '.join(TAGS)}")
    return name


_SUBJECT: Final = "Which ids `sub` consists of; organizationId comes first. Null: the organization's own subject."
_TRANSITIVE: Final = "Session tags that AWS hands on when roles are chained; null: none."
SubjectTemplate = Annotated[
    list[SubjectClaim],
    Field(min_length=1, max_length=len(SubjectClaim)),
    AfterValidator(_checked),
]
TransitiveTags = Annotated[
    list[Annotated[str, Field(max_length=64), AfterValidator(_tag)]],
    Field(max_length=len(TAGS)),
]


class IdentityPolicies(ApiModel):
    """The fields of a request that decide about identity tokens; what is left out stays as it is."""

    identity_subject: Annotated[
        SubjectTemplate | None, Field(title="sub", description=_SUBJECT, examples=["organizationId"])
    ] = None
    identity_prefixed_claims: Annotated[
        Flag | None,
        Field(
            title="env0's prefixed claims",
            description="Whether tokens have env0's claims a second time, as `https://env0.com/<name>`.",
        ),
    ] = None
    identity_aws_tags: Annotated[
        Flag | None,
        Field(
            title="AWS session tags",
            description="Whether tokens have AWS session tags (`https://aws.amazon.com/tags`).",
        ),
    ] = None
    identity_aws_transitive_tags: Annotated[
        TransitiveTags | None, Field(title="Tags that AWS hands on", description=_TRANSITIVE, examples=["projectId"])
    ] = None


NAMES: Final = tuple(IdentityPolicies.model_fields)


def subject_of(organization: Organization, claims: WorkloadClaims, policies: Mapping[str, Any] | None = None) -> str:
    """Give the `sub` of a token with these claims, under the organization's policies or under others.

    Without a template it is the organization's own subject, byte for byte what it always was.
    """
    template = (organization.policies if policies is None else policies).get("identity_subject")
    if template is None:
        return organization.oidc_sub
    return subject(organization.id, template, claims.as_mapping())


def optional_claims_of(policies: Mapping[str, Any]) -> OptionalClaims:
    """Give the optional claims that these policies of an organization ask for."""
    return OptionalClaims(
        env0_prefixed=policies.get("identity_prefixed_claims") is True,
        aws_tags=policies.get("identity_aws_tags") is True,
        aws_transitive_tags=tuple(policies.get("identity_aws_transitive_tags") or ()),
    )
