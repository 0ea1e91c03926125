"""Roles and permissions: one table, which the reference documentation prints.

The roles are env0's: organization `Admin` and `User`; project `Admin`, `Deployer`, `Planner`, `Viewer`. A role on a
project counts for its sub-projects and environments; of several roles the union counts.
"""

from collections.abc import Mapping
from enum import StrEnum


class Permission(StrEnum):
    """One thing that somebody may do. Names that env0 has are env0's."""

    VIEW_ORGANIZATION = "VIEW_ORGANIZATION"
    EDIT_ORGANIZATION_SETTINGS = "EDIT_ORGANIZATION_SETTINGS"
    VIEW_AUDIT = "VIEW_AUDIT"
    MANAGE_API_KEYS = "MANAGE_API_KEYS"
    MANAGE_PEOPLE = "MANAGE_PEOPLE"
    MANAGE_RELYING_PARTIES = "MANAGE_RELYING_PARTIES"
    MANAGE_RUNNERS = "MANAGE_RUNNERS"
    VIEW_TEMPLATES = "VIEW_TEMPLATES"
    MANAGE_TEMPLATES = "MANAGE_TEMPLATES"
    CREATE_PROJECT = "CREATE_PROJECT"
    VIEW_PROJECT = "VIEW_PROJECT"
    EDIT_PROJECT_SETTINGS = "EDIT_PROJECT_SETTINGS"
    VIEW_CREDENTIALS = "VIEW_CREDENTIALS"
    MANAGE_CREDENTIALS = "MANAGE_CREDENTIALS"
    VIEW_TOKEN_ACCESSORS = "VIEW_TOKEN_ACCESSORS"  # noqa: S105 -- a permission's name
    EDIT_ENVIRONMENT_SETTINGS = "EDIT_ENVIRONMENT_SETTINGS"
    ARCHIVE_ENVIRONMENT = "ARCHIVE_ENVIRONMENT"
    DEPLOY_CUSTOM_REVISION = "DEPLOY_CUSTOM_REVISION"
    RUN_PLAN = "RUN_PLAN"
    RUN_APPLY = "RUN_APPLY"
    RUN_TASK = "RUN_TASK"
    ABORT_DEPLOYMENT = "ABORT_DEPLOYMENT"


class OrganizationRole(StrEnum):
    """A role on the whole organization."""

    ADMIN = "Admin"
    USER = "User"


class ProjectRole(StrEnum):
    """A role on a project and all below it; the strongest first."""

    ADMIN = "Admin"
    DEPLOYER = "Deployer"
    PLANNER = "Planner"
    VIEWER = "Viewer"


_VIEWER = frozenset({Permission.VIEW_PROJECT})
_PLANNER = _VIEWER | {Permission.RUN_PLAN}
_DEPLOYER = _PLANNER | {
    Permission.RUN_APPLY,
    Permission.DEPLOY_CUSTOM_REVISION,
    Permission.ABORT_DEPLOYMENT,
    Permission.EDIT_ENVIRONMENT_SETTINGS,
}
_PROJECT_ADMIN = _DEPLOYER | {
    Permission.ARCHIVE_ENVIRONMENT,
    Permission.EDIT_PROJECT_SETTINGS,
    Permission.CREATE_PROJECT,
    Permission.VIEW_CREDENTIALS,
    Permission.MANAGE_CREDENTIALS,
}

ORGANIZATION_PERMISSIONS: Mapping[OrganizationRole, frozenset[Permission]] = {
    OrganizationRole.ADMIN: frozenset(Permission),
    OrganizationRole.USER: frozenset({Permission.VIEW_ORGANIZATION, Permission.VIEW_TEMPLATES}),
}

PROJECT_PERMISSIONS: Mapping[ProjectRole, frozenset[Permission]] = {
    ProjectRole.ADMIN: _PROJECT_ADMIN,
    ProjectRole.DEPLOYER: _DEPLOYER,
    ProjectRole.PLANNER: _PLANNER,
    ProjectRole.VIEWER: _VIEWER,
}
