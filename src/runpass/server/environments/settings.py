"""What is decided about an environment beside its name: env0's fields, kept as they were sent.

Most of them speak of what env0 does by itself when code changes. runpass keeps them, so that env0's clients find what
they sent, and does nothing of its own with them; `requiresApproval` is the one that has an effect.
"""

from typing import Any

from runpass.server.http.wire import ApiModel, Flag, ShortText


class SettingsBody(ApiModel):
    """The settings in a request: what is left out, or null, stays as it is."""

    requires_approval: Flag | None = None
    continuous_deployment: Flag | None = None
    pull_request_plan_deployments: Flag | None = None
    auto_deploy_on_path_changes_only: Flag | None = None
    auto_deploy_by_custom_glob: ShortText | None = None
    vcs_commands_alias: ShortText | None = None
    vcs_pr_comments_enabled: Flag | None = None
    terragrunt_working_directory: ShortText | None = None
    is_remote_backend: Flag | None = None
    is_remote_apply_enabled: Flag | None = None
    k8s_namespace: ShortText | None = None

    def decided(self) -> dict[str, Any]:
        """Give what was sent, by field name: this is what `Environment.settings` holds."""
        return self.model_dump(include=set(SettingsBody.model_fields), exclude_none=True)


class SettingsAnswer(ApiModel):
    """The settings in a response. env0's clients read "" and false where nothing was ever sent."""

    requires_approval: bool = False
    continuous_deployment: bool = False
    pull_request_plan_deployments: bool = False
    auto_deploy_on_path_changes_only: bool = False
    auto_deploy_by_custom_glob: str = ""
    vcs_commands_alias: str = ""
    vcs_pr_comments_enabled: bool = False
    terragrunt_working_directory: str = ""
    is_remote_backend: bool = False
    is_remote_apply_enabled: bool = False
    k8s_namespace: str = ""
    type: str = "environment"
