"""The newest deployments of all that somebody may see, in however many projects."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, Label, Select, select

from runpass.ids import DeploymentId, OrganizationId, ProjectId
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.deployments import deployments
from runpass.server.db.schema.tenancy import projects
from runpass.server.deployments.model import Deployment
from runpass.server.deployments.store import deployments_with


def newest_deployments(
    tx: Transaction,
    organization_id: OrganizationId,
    visible: ColumnElement[bool],
    limit: int,
    *,
    refused: bool = False,
) -> list[Deployment]:
    """Give the newest deployments in visible projects that are not deleted, the newest first.

    `refused`: only those whose run did not get its secrets. It costs one look into an index for each visible project,
    and `limit` more for each of `limit` projects; how many deployments there are does not matter.
    """
    # Whatever is among the newest `limit` belongs to one of the `limit` projects whose newest one is the newest.
    rows = tx.execute(projects_query(organization_id, visible, limit, refused=refused)).all()
    found: set[DeploymentId] = set()
    for project, newest in rows:
        if newest is not None:
            found |= set(tx.execute(of_project_query(project, limit, refused=refused)).scalars())
    return deployments_with(tx, sorted(found, reverse=True)[:limit])


def projects_query(
    organization_id: OrganizationId, visible: ColumnElement[bool], limit: int, *, refused: bool
) -> Select[Any]:
    """Give the query for the visible projects with the newest deployments, and the id of each one's newest."""
    newest = _newest_of_project(refused=refused)
    there = (projects.c.organization_id == organization_id) & projects.c.deleted_at.is_(None)
    query = select(projects.c.id, newest).where(there, visible)
    return query.order_by(newest.desc().nulls_last()).limit(limit)


def of_project_query(project_id: ProjectId, limit: int, *, refused: bool) -> Select[Any]:
    """Give the query for the ids of a project's newest deployments.

    The condition is a range of one, for the reason that `store.page_query` gives.
    """
    mine = deployments.c.project_id.between(project_id, project_id)
    query = select(deployments.c.id).where(mine)
    if refused:
        query = query.where(_was_refused(deployments))
    return query.order_by(deployments.c.project_id.desc(), deployments.c.id.desc()).limit(limit)


def _newest_of_project(*, refused: bool) -> Label[Any]:
    past = deployments.alias("past")
    query = select(past.c.id).where(past.c.project_id == projects.c.id)
    if refused:
        query = query.where(_was_refused(past))
    newest = query.order_by(past.c.project_id.desc(), past.c.id.desc()).limit(1)
    return newest.correlate(projects).scalar_subquery().label("newest")


def _was_refused(table: FromClause) -> ColumnElement[bool]:
    return table.c.refusal.is_not(None)
