"""Where runs belong, by name: one query for all the runs of a page."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from runpass.ids import DeploymentId, OrganizationId
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.deployments import deployments
from runpass.server.db.schema.tenancy import environments, projects


@dataclass(frozen=True, slots=True)
class RunPlace:
    """The names of a run's project and environment, as they are now."""

    project: str
    environment: str


def places_of_runs(
    tx: Transaction, organization_id: OrganizationId, deployment_ids: Collection[DeploymentId]
) -> Mapping[DeploymentId, RunPlace]:
    """Give where these deployments of an organization belong. Projects that were deleted since have names too."""
    query = (
        select(deployments.c.id, projects.c.name, environments.c.name)
        .join(projects, projects.c.id == deployments.c.project_id)
        .join(environments, environments.c.id == deployments.c.environment_id)
        .where(deployments.c.id.in_(deployment_ids), deployments.c.organization_id == organization_id)
    )
    return {DeploymentId(run): RunPlace(project, environment) for run, project, environment in tx.execute(query)}
