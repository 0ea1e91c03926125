"""What taking a credential away from a project does: which environments lose it, and what they get instead."""

from dataclasses import dataclass
from typing import Final

from runpass.server.credentials import store
from runpass.server.credentials.assignment import effective
from runpass.server.credentials.choice_store import ReachedEnvironment, environments_reached
from runpass.server.credentials.model import StoredCredential
from runpass.server.db.engine import Transaction
from runpass.server.tenancy.model import Project

MOST_COUNTED: Final = 1_000
"""Environments beyond which they are not counted."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What ends with an assignment."""

    environments: tuple[ReachedEnvironment, ...]
    """Those that get something else then, or nothing; at most `MOST_COUNTED`."""
    is_complete: bool
    instead: tuple[StoredCredential, ...]
    """What of the same kind they get then. Nothing: their runs have none."""
    instead_is_inherited: bool
    """Whether that comes from a project above, and not from what is left at this one."""


def environments_that_lose(
    tx: Transaction, project: Project, credential: StoredCredential, *, most: int = MOST_COUNTED
) -> Loss:
    """Give which environments, of a project and those below it, get something else without this assignment.

    An environment is not among them where a nearer project has a credential of the same kind, nor where the very same
    one is inherited. Archived ones are left out.
    """
    assigned = [pair for pair in store.assigned_to(tx, project.path) if pair[1].kind is credential.kind]
    left = [pair for pair in assigned if (pair[0], pair[1].id) != (project.id, credential.id)]
    instead = effective(project.path, left)
    found: list[ReachedEnvironment] = []
    if {item.id for item in effective(project.path, assigned)} != {item.id for item in instead}:
        found = environments_reached(tx, project.id, credential.kind, most + 1)
    return Loss(
        environments=tuple(found[:most]),
        is_complete=len(found) <= most,
        instead=instead,
        instead_is_inherited=not any(place == project.id for place, _ in left),
    )
