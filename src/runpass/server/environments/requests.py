"""Request bodies of environments: what of them can be done, and what env0 has and runpass does not."""

from itertools import islice
from typing import Annotated, Final, Literal, Self
from uuid import UUID

from pydantic import BeforeValidator, Field, model_validator

from runpass.errors import NotOffered
from runpass.ids import TemplateId
from runpass.protocol.wire import cut
from runpass.server.deployments.model import DeploymentType, DeployRequest
from runpass.server.environments.lifespans import Ttl
from runpass.server.environments.settings import SettingsBody
from runpass.server.environments.targets import split_targets
from runpass.server.http.wire import ApiModel, Flag, LongText, Name, PoolName, ShortText
from runpass.server.runners.model import DEFAULT_POOL
from runpass.server.templates.repository import Repository, Revision
from runpass.server.variables.requests import Changes


def _nothing(value: object) -> object:
    return None if value == "" else value


BlankIsNone = BeforeValidator(_nothing)
"""How programs in Go may spell "none"."""

RevisionText = Annotated[Revision, Field(max_length=255)]
WorkspaceName = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$")]
Command = Annotated[LongText, Field(min_length=1)]
Commands = Annotated[tuple[Command, ...], Field(max_length=100)]
Targets = ShortText | Annotated[tuple[ShortText, ...], Field(max_length=100), cut(100)]


class SetChanges(ApiModel):
    """`configurationSetChanges`: runpass has no sets of variables, so there is nothing to assign."""

    assign: Annotated[tuple[ShortText, ...], Field(max_length=100)] | None = None
    unassign: Annotated[tuple[ShortText, ...], Field(max_length=100)] | None = None


class DriftDetection(ApiModel):
    """When env0 would look for drift by itself."""

    enabled: Flag | None = None
    cron: ShortText | None = None


class SubEnvironment(ApiModel):
    """What env0 takes for one environment of a workflow. runpass has no workflows, so nothing of it is read."""


MAX_PARTS: Final = 100
MAX_PART_NAME: Final = 255


def _numbered(value: object) -> object:
    """Put numbers in place of the names, which nobody reads: an error's field must not repeat what a caller made up."""
    if not isinstance(value, dict):
        return value
    few = list(islice(value.items(), MAX_PARTS + 1))
    if any(len(str(name)) > MAX_PART_NAME for name, _ in few):
        raise ValueError(f"has a name longer than {MAX_PART_NAME} characters")
    return {str(number): part for number, (_, part) in enumerate(few)}


SubEnvironments = Annotated[
    dict[Annotated[str, Field(max_length=MAX_PART_NAME)], SubEnvironment],
    Field(max_length=MAX_PARTS),
    BeforeValidator(_numbered),
]


class Deploy(ApiModel):
    """Request: a deployment."""

    blueprint_id: Annotated[UUID | None, BlankIsNone] = None
    blueprint_revision: RevisionText | None = None
    blueprint_repository: Repository | None = None
    deployment_type: ShortText | None = None
    trigger_name: Literal["user", "terraform-cli", "workflow"] | None = None
    comment: LongText | None = None
    configuration_changes: Changes | None = None
    configuration_set_changes: SetChanges | None = None
    user_requires_approval: Flag | None = None
    task_commands: Commands | None = None
    targets: Targets | None = None
    sub_environments: SubEnvironments | None = None
    ttl: Ttl | None = None
    runner_pool: PoolName | None = None

    @model_validator(mode="after")
    def _task_has_commands(self) -> Self:
        if bool(self.task_commands) != (self.deployment_type == DeploymentType.TASK):
            raise ValueError("taskCommands and deploymentType task come together")
        return self

    @property
    def kind(self) -> DeploymentType:
        """Which kind of deployment this asks for. Raises `NotOffered` for those that only env0 has."""
        try:
            return DeploymentType(self.deployment_type or DeploymentType.DEPLOY)
        except ValueError:
            raise NotOffered("runpass runs deployments of the types deploy, destroy and task, and no others") from None

    def check_offered(self) -> None:
        """Raise `NotOffered` for what env0 has and runpass does not. Ignoring it would deploy something else."""
        _ = self.kind
        if self.sub_environments:
            raise NotOffered("workflows of several environments are not offered")
        check_sets(self.configuration_set_changes)

    def wanted(self, *, changed_variables: bool) -> DeployRequest:
        """Give the rule's view of this request."""
        return DeployRequest(
            template_id=TemplateId(self.blueprint_id) if self.blueprint_id else None,
            revision=self.blueprint_revision or "",
            comment=self.comment or "",
            pool=self.runner_pool or DEFAULT_POOL,
            kind=self.kind,
            repository=self.blueprint_repository or "",
            trigger=self.trigger_name or "user",
            requires_approval=bool(self.user_requires_approval),
            task_commands=self.task_commands or (),
            changed_variables=changed_variables,
            targets=split_targets(self.targets),
        )


class EnvironmentFields(SettingsBody):
    """What the requests for a new environment have in common."""

    name: Name
    project_id: UUID
    workspace_name: Annotated[WorkspaceName | None, BlankIsNone] = None
    configuration_changes: Changes | None = None
    configuration_set_changes: SetChanges | None = None
    prevent_auto_deploy: Flag | None = None
    ttl: Ttl | None = None
    drift_detection_request: DriftDetection | None = None

    def check_fields_offered(self) -> None:
        """Raise `NotOffered` for what env0 has and runpass does not."""
        check_sets(self.configuration_set_changes)
        if self.drift_detection_request and self.drift_detection_request.enabled:
            raise NotOffered(DRIFT)


class CreateEnvironment(EnvironmentFields):
    """Request: a new environment, deployed at once unless `preventAutoDeploy`."""

    deploy_request: Deploy
    type: ShortText | None = None


class ChangeEnvironment(SettingsBody):
    """Request: a change of an environment; what is left out stays as it is."""

    name: Name | None = None
    is_archived: Flag | None = None


class Destroy(ApiModel):
    """Request: a destruction; the body may be left out."""

    comment: LongText | None = None
    user_requires_approval: Flag | None = None
    runner_pool: PoolName | None = None

    def wanted(self) -> DeployRequest:
        """Give the rule's view of this request."""
        return DeployRequest(
            comment=self.comment or "",
            pool=self.runner_pool or DEFAULT_POOL,
            kind=DeploymentType.DESTROY,
            requires_approval=bool(self.user_requires_approval),
        )


class MoveEnvironment(ApiModel):
    """Request: the project that an environment is to belong to."""

    project_id: UUID


DRIFT = "runpass does not look for drift by itself: deploy with an approval, and read the plan"


def check_sets(changes: SetChanges | None) -> None:
    """Raise `NotOffered` where a set of variables is to be assigned or taken away."""
    if changes and (changes.assign or changes.unassign):
        raise NotOffered("sets of variables are not offered: set the variables where they are needed")
