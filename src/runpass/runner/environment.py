"""The environment that commands get: built from nothing, so that it holds nothing of the runner's own."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from runpass.protocol.run_lease import RunFacts, Variable
from runpass.protocol.variable_names import is_control, refusal
from runpass.runner.workspace import Workspace

SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def refuse(variables: Iterable[Variable]) -> str | None:
    """Give the sentence that refuses these variables, or nothing if a program can be given them all."""
    variables = list(variables)
    sentence = refusal(variable.name for variable in variables)
    unfit = sorted({variable.name for variable in variables if "\0" in variable.value.reveal()})
    if sentence is None and unfit:
        return (
            f"The values of these variables hold a NUL character, which no environment can carry: {', '.join(unfit)}."
        )
    return sentence


def build(
    host: Mapping[str, str],
    user: Mapping[str, str],
    own: Mapping[str, str],
) -> dict[str, str]:
    """Give the whole environment. SECURITY: later ones win, so that runpass's own names cannot be replaced."""
    chosen = {name: value for name, value in user.items() if not is_control(name)}
    return {**host, **chosen, **own}


def of_run(run: RunFacts, workspace: Workspace, tool_path: Iterable[Path]) -> dict[str, str]:
    """Give what every run gets: where it is and who it is (`ENV0_*`, as env0 names them)."""
    given: dict[str, str | None] = {
        "PATH": ":".join([*(str(path) for path in tool_path), SYSTEM_PATH]),
        "HOME": str(workspace.home),
        "TMPDIR": str(workspace.tmp),
        "PWD": str(workspace.root),
        "USER": "runpass",
        "LOGNAME": "runpass",
        "SHELL": "/bin/sh",
        "ENV0_ROOT_DIR": str(workspace.root),
        "ENV0_ORGANIZATION_ID": str(run.organization_id),
        "ENV0_PROJECT_ID": str(run.project_id),
        "ENV0_PROJECT_NAME": run.project_name,
        "ENV0_ENVIRONMENT_ID": str(run.environment_id),
        "ENV0_ENVIRONMENT_NAME": run.environment_name,
        "ENV0_TEMPLATE_ID": str(run.template_id),
        "ENV0_TEMPLATE_NAME": run.template_name,
        "ENV0_DEPLOYMENT_LOG_ID": str(run.deployment_id),
        "ENV0_DEPLOYMENT_TYPE": run.deployment_type,
        "ENV0_DEPLOYMENT_REVISION": run.revision,
        "ENV0_WORKSPACE_NAME": run.workspace_name,
        "ENV0_DEPLOYER_NAME": run.deployer_name,
        "ENV0_DEPLOYER_EMAIL": run.deployer_email,
    }
    return {name: value.replace("\0", "") for name, value in given.items() if value is not None}
