"""The records of this room."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from runpass.ids import OrganizationId, ProjectId, TemplateId
from runpass.protocol.wire import Record
from runpass.server.http.patterns import Pattern
from runpass.server.http.wire import Flag, LongText, Name, ShortText
from runpass.server.templates.repository import CodePath, Repository, Revision

Script = Annotated[LongText, Field(min_length=1)]
Scripts = Annotated[tuple[Script, ...], Field(max_length=100)]
Number = Annotated[int, Field(strict=True, ge=0, le=9_007_199_254_740_991)]


class TemplateType(StrEnum):
    """What kind of code a template runs: env0's kinds, and one of ours."""

    SHELL = "shell"
    """Ours: commands, each in a shell of its own, in an empty workspace."""
    TERRAFORM = "terraform"
    OPENTOFU = "opentofu"
    TERRAGRUNT = "terragrunt"
    PULUMI = "pulumi"
    K8S = "k8s"
    CLOUDFORMATION = "cloudformation"
    HELM = "helm"
    ANSIBLE = "ansible"
    WORKFLOW = "workflow"
    MODULE = "module"
    APPROVAL_POLICY = "approval-policy"
    CUSTOM_FLOW = "custom-flow"
    ENVIRONMENT_DISCOVERY = "environment-discovery"


class ShellSource(Record):
    """What a template of type `shell` runs. `plan_commands` come before the approval, if one is required."""

    commands: Annotated[Scripts, Field(min_length=1)]
    plan_commands: Scripts = ()
    destroy_commands: Scripts = ()


class RetryRule(Record):
    """How often a failed deployment is to be repeated, and after which errors. Kept; nothing repeats yet."""

    times: Annotated[int, Field(strict=True, ge=1, le=3)]
    error_regex: Pattern | None = None


class Retry(Record):
    """When a failed deployment is to be repeated."""

    on_deploy: RetryRule | None = None
    on_destroy: RetryRule | None = None


class SshKey(Record):
    """A key that env0 would clone with. Kept; a runner clones with what it has itself."""

    id: Name
    name: Name


class GitSource(Record):
    """Where a template's code is: env0's fields.

    `repository`, `revision` and `path` are what runpass uses; the others are kept and given back as they came.
    """

    repository: Repository
    revision: Revision = ""
    path: CodePath = ""
    retry: Retry = Retry()
    is_git_lab: Flag = False
    is_git_lab_enterprise: Flag = False
    is_git_hub_enterprise: Flag = False
    is_bitbucket_server: Flag = False
    is_azure_dev_ops: Flag = False
    is_terragrunt_run_all: Flag = False
    is_helm_repository: Flag = False
    ssh_keys: Annotated[tuple[SshKey, ...], Field(max_length=100)] = ()
    token_id: ShortText | None = None
    token_name: ShortText | None = None
    github_installation_id: Number | None = None
    vcs_connection_id: ShortText | None = None
    bitbucket_client_key: ShortText | None = None
    terraform_version: ShortText | None = None
    opentofu_version: ShortText | None = None
    terragrunt_version: ShortText | None = None
    terragrunt_tf_binary: ShortText | None = None
    file_name: ShortText | None = None
    helm_chart_name: ShortText | None = None
    ansible_version: ShortText | None = None


Source = ShellSource | GitSource


@dataclass(frozen=True, slots=True)
class Template:
    """A template. A deleted one keeps answering with `is_deleted`, because environments still name it."""

    id: TemplateId
    organization_id: OrganizationId
    name: str
    description: str
    type: TemplateType
    source: Source
    is_deleted: bool
    project_ids: tuple[ProjectId, ...]
    created_by: str
    created_at: datetime
    updated_at: datetime
    is_single_use: bool = False
    """Made for one environment, and not listed."""
