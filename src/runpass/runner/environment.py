"""The environment that commands get: built from nothing, so that it holds nothing of the runner's own."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from uuid import UUID

from runpass.protocol.run_lease import RunFacts, Variable
from runpass.protocol.variable_names import is_control, refusal
from runpass.runner import mask_file, outputs
from runpass.runner.workspace import Workspace

SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAX_VARIABLE: Final = 131_072
"""Bytes of `NAME=value` and its NUL: Linux's MAX_ARG_STRLEN."""
MAX_VARIABLES: Final = 1024 * 1024
"""Bytes of all of them: Linux gives a quarter of the stack's limit, 2 MiB by default, to arguments and variables."""
SHOWN: Final = 5


def refuse(variables: Iterable[Variable]) -> str | None:
    """Give the sentence that refuses these variables, or nothing if a program can be given them all."""
    variables = list(variables)
    sentence = refusal(variable.name for variable in variables)
    return sentence or unfit({variable.name: variable.value.reveal() for variable in variables})


def unfit(variables: Mapping[str, str]) -> str | None:
    """Give the sentence that refuses these values, or nothing if a program can be given them all."""
    with_nul = sorted(name for name, value in variables.items() if "\0" in value)
    if with_nul:
        return (
            "The values of these variables hold a NUL character, which no environment can carry: "
            f"{', '.join(with_nul)}."
        )
    return oversized({name: len(value.encode(errors="surrogatepass")) for name, value in variables.items()})


def oversized(lengths: Mapping[str, int]) -> str | None:
    """Give the sentence that refuses values of these lengths, or nothing if a program can be given them all."""
    sizes = {name: len(name) + length + len("=\0") for name, length in lengths.items()}
    large = sorted(name for name, size in sizes.items() if size > MAX_VARIABLE)
    if large:
        return f"These variables are larger than the 128 KiB that a program can be given in one: {', '.join(large)}."
    if sum(sizes.values()) > MAX_VARIABLES:
        largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[:SHOWN]
        return f"The variables are larger than 1 MiB together; the largest are {', '.join(largest)}."
    return None


def clash(user: Iterable[str], own: Iterable[str]) -> str | None:
    """Give the sentence that refuses names which the run gets from runpass itself, or nothing if there are none."""
    both = sorted(set(user) & set(own))
    return f"These variables are set by runpass itself: {', '.join(both[:SHOWN])}." if both else None


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
        "ENV0_DEPLOYER_USER_ID": _text(run.deployer_id),
        "ENV0_REVIEWER_NAME": run.reviewer_name,
        "ENV0_REVIEWER_EMAIL": run.reviewer_email,
        "ENV0_REVIEWER_USER_ID": _text(run.reviewer_id),
        outputs.VARIABLE: str(workspace.output),
        "ENV0_ENV": str(workspace.passed_on),
        mask_file.VARIABLE: str(workspace.masks),
    }
    return {name: value.replace("\0", "") for name, value in given.items() if value is not None}


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
