"""What is assigned to a project and to those above it, and what of it counts, as a page shows it. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from runpass.ids import ProjectId
from runpass.protocol.credentials import CredentialKind
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.permissions import Permission
from runpass.server.credentials.assignment import effective
from runpass.server.credentials.model import StoredCredential
from runpass.server.tenancy.model import Project


class Standing(StrEnum):
    """What an assignment comes to for one project."""

    USED = "used"
    REPLACED = "replaced"
    """A nearer project has one of the same kind."""
    STRAY = "stray"
    """The credential belongs to a project that this one does not stand below."""


@dataclass(frozen=True, slots=True)
class AssignedRow:
    """One assignment, as somebody may see it."""

    credential: StoredCredential
    place: tuple[Project, ...]
    """Where it is assigned: the projects down to that one which the visitor may see; empty if that one is not."""
    is_here: bool
    standing: Standing
    is_one_of: int
    """How many of its kind count, if it is one of them."""
    may_open: bool
    """Whether the visitor may see the credential's own page."""


def assigned_rows(
    actor: Actor, path: Sequence[Project], assigned: Iterable[tuple[ProjectId, StoredCredential]]
) -> list[AssignedRow]:
    """Give what is assigned along a path (root first), the nearest first.

    SECURITY: whoever may not see the last project's credentials gets only what is assigned to projects that they may
    see, and a page shows them no more of it than the id; whoever may sees all that its runs get, as logs tell it too,
    but no name of a project above that they may not see.
    """
    pairs, ids = list(assigned), [project.id for project in path]
    used = effective(ids, pairs)
    used_ids, sees = {item.id for item in used}, actor.may(Permission.VIEW_CREDENTIALS, path[-1].scope)
    levels = {project_id: level for level, project_id in enumerate(ids)}
    nearest: dict[CredentialKind, int] = {}
    for place, credential in pairs:
        nearest[credential.kind] = max(levels[place], nearest.get(credential.kind, 0))
    number = Counter(item.kind for item in used)
    found = []
    for place, credential in sorted(pairs, key=lambda pair: -levels[pair[0]]):
        level = levels[place]
        shown = tuple(one for one in path[: level + 1] if actor.may(Permission.VIEW_PROJECT, one.scope))
        is_shown = bool(shown) and shown[-1].id == place
        if not (sees or is_shown):
            continue
        counts = level == nearest[credential.kind]
        standing = Standing.REPLACED if not counts else Standing.USED if credential.id in used_ids else Standing.STRAY
        found.append(
            AssignedRow(
                credential=credential,
                place=shown if is_shown else (),
                is_here=place == ids[-1],
                standing=standing,
                is_one_of=number[credential.kind] if standing is Standing.USED else 0,
                may_open=may_open(actor, path, credential),
            )
        )
    return found


def may_open(actor: Actor, path: Sequence[Project], credential: StoredCredential) -> bool:
    """Whether somebody may see a credential that is the organization's, or that of a project of this path."""
    if credential.project_id is None:
        return actor.may(Permission.VIEW_CREDENTIALS, ScopePath(credential.organization_id))
    owner = next((one for one in path if one.id == credential.project_id), None)
    return owner is not None and actor.may(Permission.VIEW_CREDENTIALS, owner.scope)
