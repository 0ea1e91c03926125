"""Request bodies of environments and deployments, and what of them cannot be done yet."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, field_validator

from runpass.clock import Clock
from runpass.ids import TemplateId
from runpass.secret import Secret
from runpass.server.access.actors import Actor
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.deployments.queue import DeployRequest
from runpass.server.http.wire import ApiModel, Flag, LongText, Name, PoolName, ShortText
from runpass.server.runners.model import DEFAULT_POOL
from runpass.server.tenancy.model import Environment
from runpass.server.variables.model import VariableScope
from runpass.server.variables.saving import Wanted, check_names, save


class VariableChange(ApiModel):
    """A variable to set on the environment before it is deployed."""

    name: Name
    value: LongText
    type: Literal[0, 1] = 0
    is_sensitive: Flag = False


Changes = Annotated[tuple[VariableChange, ...], Field(max_length=200)]


class Deploy(ApiModel):
    """Request: a deployment."""

    blueprint_id: UUID | None = None
    blueprint_revision: ShortText | None = None
    comment: LongText | None = None
    configuration_changes: Changes | None = None
    user_requires_approval: Flag | None = None
    runner_pool: PoolName | None = None

    @field_validator("user_requires_approval")
    @classmethod
    def _no_approval_yet(cls, value: bool | None) -> bool | None:  # noqa: FBT001 -- Pydantic's signature
        return refuse_approval(value)

    def wanted(self) -> DeployRequest:
        """Give the rule's view of this request."""
        template = TemplateId(self.blueprint_id) if self.blueprint_id else None
        pool = self.runner_pool or DEFAULT_POOL
        return DeployRequest(template, self.blueprint_revision or "", self.comment or "", pool)


class CreateEnvironment(ApiModel):
    """Request: a new environment, deployed at once unless `preventAutoDeploy`."""

    name: Name
    project_id: UUID
    deploy_request: Deploy
    workspace_name: Annotated[Name, Field(pattern=r"^[A-Za-z0-9._-]+$")] | None = None
    configuration_changes: Changes | None = None
    requires_approval: Flag | None = None
    prevent_auto_deploy: Flag | None = None

    @field_validator("requires_approval")
    @classmethod
    def _no_approval_yet(cls, value: bool | None) -> bool | None:  # noqa: FBT001 -- Pydantic's signature
        return refuse_approval(value)


def refuse_approval(value: bool | None) -> bool | None:  # noqa: FBT001 -- a validator's signature
    """Refuse to run without the approval that somebody asked for. SECURITY: fail closed until it is built."""
    if value:
        raise ValueError("must be false: deployments that wait for approval are not supported yet")
    return value


def save_changes(
    tx: Transaction, cipher: Cipher, environment: Environment, changes: Changes | None, *, caller: Actor, clock: Clock
) -> None:
    """Save the variables of a request as variables of the environment (env0's scope `DEPLOYMENT`)."""
    check_names([item.name for item in changes or ()], prefix="configurationChanges.")
    for item in changes or ():
        wanted = Wanted(
            scope=VariableScope.ENVIRONMENT,
            scope_id=environment.id,
            name=item.name,
            value=Secret(item.value),
            is_sensitive=item.is_sensitive,
            type=item.type,
        )
        save(tx, cipher, environment.organization_id, wanted, by=caller.audit_name, clock=clock)
