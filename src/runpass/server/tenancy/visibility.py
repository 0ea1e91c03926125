"""Which projects an actor may see, as a condition for the database: whoever may see few reads few."""

from sqlalchemy import ColumnElement, or_, true

from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.tenancy import projects
from runpass.server.tenancy.tree_store import at_or_below, hierarchies

_NOWHERE = projects.c.hierarchy == ""
"""Holds for no project. Unlike a plain "false", with which SQLite reads them all, it is looked up."""


def visible_to(tx: Transaction, actor: Actor, permission: Permission = Permission.VIEW_PROJECT) -> ColumnElement[bool]:
    """Give the condition on `projects` for those where this actor has the permission.

    SECURITY: it says nothing of the organization; every query names that too.
    """
    places = actor.projects_with(permission)
    if places is None:
        return true()
    found = tops(hierarchies(tx, actor.organization_id, places)) if places else []
    return or_(*(at_or_below(top) for top in found)) if found else _NOWHERE


def tops(found: list[str]) -> list[str]:
    """Give those of these hierarchies (in order) that stand below no other one of them."""
    kept: list[str] = []
    for hierarchy in found:
        if not kept or not hierarchy.startswith(kept[-1]):
            kept.append(hierarchy)
    return kept
