"""Which credentials a project gets: those assigned to it, else those assigned to the nearest project above it.

For each kind the nearest level that has any wins, so that a sub-project can replace what it inherits. Two of one kind
at that level both count; whoever uses them refuses to choose.
"""

from collections.abc import Iterable, Sequence

from runpass.ids import ProjectId
from runpass.protocol.credentials import CredentialKind
from runpass.server.credentials import store
from runpass.server.credentials.model import StoredCredential
from runpass.server.db.engine import Transaction


def effective(
    path: Sequence[ProjectId], assigned: Iterable[tuple[ProjectId, StoredCredential]]
) -> tuple[StoredCredential, ...]:
    """Give the credentials that count for the last project of `path` (root first).

    SECURITY: a credential of a project is for that project and what is below it. One that is assigned elsewhere all the
    same counts for nobody, and nothing that is inherited takes its place.
    """
    by_level: dict[CredentialKind, dict[ProjectId, list[StoredCredential]]] = {}
    for project_id, credential in assigned:
        by_level.setdefault(credential.kind, {}).setdefault(project_id, []).append(credential)
    chosen: list[StoredCredential] = []
    for levels in by_level.values():
        nearest = next((project for project in reversed(path) if project in levels), None)
        chosen.extend(levels[nearest] if nearest is not None else ())
    return tuple(item for item in chosen if item.project_id is None or item.project_id in path)


def credentials_of(tx: Transaction, path: Sequence[ProjectId]) -> tuple[StoredCredential, ...]:
    """Give the credentials that count for a project, as they are assigned now."""
    return effective(path, store.assigned_to(tx, path))
