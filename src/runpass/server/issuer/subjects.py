"""`sub` from a template of an organization: its id, then the immutable ids that it wants told apart. Pure.

A template is a list of claim names, as GitHub's `include_claim_keys`. `organizationId, projectId, environmentId` gives

    <organization's id>:projectId:<id>:environmentId:<id>

Names stand in the text, so that two templates never give one subject.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

MAX_SUBJECT: Final = 255
"""ASCII characters (OpenID Connect Core 1.0, section 2)."""
SEPARATOR: Final = ":"


class SubjectClaim(StrEnum):
    """What a template may name: ids that never change, never a name, never a claim of RFC 7519."""

    ORGANIZATION_ID = "organizationId"
    PROJECT_ID = "projectId"
    ENVIRONMENT_ID = "environmentId"
    TEMPLATE_ID = "templateId"
    CREDENTIAL_ID = "credentialId"


def unfit(template: Sequence[SubjectClaim]) -> str | None:
    """Give what is wrong with a template, or nothing."""
    if not template or template[0] is not SubjectClaim.ORGANIZATION_ID:
        return "must begin with organizationId"
    if len(set(template)) != len(template):
        return "must not name a claim twice"
    return None


def subject(organization_id: UUID, template: Sequence[str], claims: Mapping[str, str]) -> str:
    """Give the subject of a token with these claims. What the token does not have is left out of it, name and all.

    Raises `ValueError` for a stored template that is none, and for a subject that would be too long.

    SECURITY: begins with the organization's own id whatever the template and the claims say, and nothing that follows
    can be taken for a separator: no organization can have another one's subject.
    """
    parts = [SubjectClaim(name) for name in template]
    problem = unfit(parts)
    if problem is not None:
        raise ValueError(f"the organization's subject template {problem}")
    found = [str(organization_id)]
    for name in parts[1:]:
        if claims.get(name):
            found += [name, escaped(claims[name])]
    text = SEPARATOR.join(found)
    if len(text) > MAX_SUBJECT:
        raise ValueError(f"the subject would be longer than {MAX_SUBJECT} characters")
    return text


def is_subject(text: str, organization_id: UUID, claims: Mapping[str, Any]) -> bool:
    """Whether there is a template by which a token with these claims has this subject."""
    names = text.split(SEPARATOR)[1::2]
    ids = {name: claims[name] for name in names if isinstance(claims.get(name), str)}
    try:
        return text == subject(organization_id, [SubjectClaim.ORGANIZATION_ID, *names], ids)
    except ValueError:
        return False


def escaped(value: str) -> str:
    """Give a value with everything but letters, digits, `-`, `.`, `_` and `~` percent-encoded (RFC 3986, 2.1)."""
    return quote(value, safe="")
