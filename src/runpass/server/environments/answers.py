"""Environments as the API shows them, with their newest deployments."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from starlette.responses import Response

from runpass.ids import EnvironmentId
from runpass.server.access.users import User, users
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.deployments import store
from runpass.server.deployments.answers import DeploymentAnswer, deployment_answer, deployment_answers
from runpass.server.deployments.model import DeploymentStatus, DeploymentType
from runpass.server.environments.lifespans import shown
from runpass.server.environments.settings import SettingsAnswer
from runpass.server.http.preconditions import tell_tag
from runpass.server.http.wire import ApiModel, Moment
from runpass.server.tenancy.model import Environment, EnvironmentStatus

OWN_TEMPLATE = "own_template"
"""Setting: the id of the template that was made for this environment alone."""

REVISION = "blueprint_revision"
"""Setting: the revision that was asked for when the environment was made."""


class NeverDeployedAnswer(ApiModel):
    """What stands for the newest deployment where there is none: env0's clients find the template by it."""

    blueprint_id: UUID | None
    blueprint_revision: str
    type: DeploymentType = DeploymentType.DEPLOY
    status: DeploymentStatus = DeploymentStatus.NEVER_DEPLOYED


class EnvironmentAnswer(SettingsAnswer):
    """Response: an environment with its newest deployment."""

    id: UUID
    name: str
    project_id: UUID
    organization_id: UUID
    blueprint_id: UUID | None = None
    is_single_use_blueprint: bool = False
    workspace_name: str
    status: EnvironmentStatus
    is_archived: bool
    lifespan_end_at: str | None = None
    """As it was asked for, where that was a date."""
    latest_deployment_log_id: UUID | None = None
    latest_deployment_log: DeploymentAnswer | NeverDeployedAnswer
    created_by: str
    user_id: str
    user: User
    created_at: Moment
    updated_at: Moment


def environment_answers(tx: Transaction, environments: Sequence[Environment]) -> list[EnvironmentAnswer]:
    """Show environments of one organization, with three queries however many they are."""
    if not environments:
        return []
    latest = store.latest_deployments(tx, [item.id for item in environments])
    answers = {EnvironmentId(item.environment_id): item for item in deployment_answers(tx, list(latest.values()))}
    makers = users(tx, environments[0].organization_id, {item.created_by for item in environments})
    return [_answer(item, answers.get(item.id), makers[item.created_by]) for item in environments]


def environment_answer(
    tx: Transaction, cipher: Cipher, environment: Environment, response: Response
) -> EnvironmentAnswer:
    """Show one environment, with what its newest deployment gave back and its entity tag."""
    found = store.latest_deployments(tx, [environment.id]).get(environment.id)
    latest = None if found is None else deployment_answer(tx, cipher, found)
    makers = users(tx, environment.organization_id, {environment.created_by})
    tell_tag(response, environment.updated_at)
    return _answer(environment, latest, makers[environment.created_by])


def _answer(environment: Environment, latest: DeploymentAnswer | None, maker: User) -> EnvironmentAnswer:
    never = NeverDeployedAnswer(
        blueprint_id=environment.template_id, blueprint_revision=environment.settings.get(REVISION, "")
    )
    settings: dict[str, Any] = {
        name: value for name, value in environment.settings.items() if name in SettingsAnswer.model_fields
    }
    return EnvironmentAnswer(
        id=environment.id,
        name=environment.name,
        project_id=environment.project_id,
        organization_id=environment.organization_id,
        blueprint_id=environment.template_id,
        is_single_use_blueprint=environment.settings.get(OWN_TEMPLATE, "") == str(environment.template_id),
        workspace_name=environment.workspace_name,
        status=environment.status,
        is_archived=environment.is_archived,
        lifespan_end_at=shown(environment.lifespan_end_at, environment.settings),
        latest_deployment_log_id=latest.id if latest else None,
        latest_deployment_log=latest or never,
        created_by=environment.created_by,
        user_id=environment.created_by,
        user=maker,
        created_at=environment.created_at,
        updated_at=environment.updated_at,
        **settings,
    )
