"""What a runner runs for a template: scripts for `sh -e`, each in the workspace's root. Pure.

SECURITY: whatever comes from a template, an environment or a request stands in single quotes (`shlex.quote`) behind
`--`, and git may speak only the protocols of `repository.SCHEMES`: never `ext::`, which runs a program.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from runpass.protocol.run_lease import Command
from runpass.server.templates.model import GitSource, ShellSource, Source, TemplateType
from runpass.server.templates.repository import SCHEMES, repository_refusal, revision_refusal

_PROGRAMS: Final = {TemplateType.TERRAFORM: "terraform", TemplateType.OPENTOFU: "tofu"}
_PLAN = '"${TMPDIR:?}/runpass.tfplan"'
CHECKOUT_STEP: Final = "git:clone"
_COMMIT_LINE = re.compile(r"Commit ([0-9a-f]{40}|[0-9a-f]{64})")
_MAYBE_A_COMMIT = re.compile(r"[0-9a-fA-F]{4,64}")


@dataclass(frozen=True, slots=True)
class StepCommands:
    """What runs in each phase. Every list can be run alone, in a fresh workspace."""

    plan: tuple[Command, ...]
    """Before the approval of a deploy. Changes nothing."""
    apply: tuple[Command, ...]
    """The deploy itself."""
    destroy: tuple[Command, ...]
    apply_includes_plan: bool
    """Whether `apply` and `destroy` plan by themselves, so that without approval they are all there is to run."""
    destroy_plan: tuple[Command, ...] = ()
    """Before the approval of a destroy. Changes nothing."""
    checkout: tuple[Command, ...] = ()
    """What brings the code and nothing else: what comes before the commands of a task."""


def unrunnable(template_type: TemplateType) -> str | None:
    """Say that no runner can run templates of this type yet, or nothing if they can."""
    if template_type is TemplateType.SHELL or template_type in _PROGRAMS:
        return None
    return f"no runner runs templates of type {template_type.value} yet"


def commands_of(
    template_type: TemplateType,
    source: Source,
    *,
    revision: str,
    repository: str,
    workspace_name: str,
    targets: Sequence[str] = (),
) -> StepCommands:
    """Give what a runner runs. Empty `revision` and `repository` mean the template's own.

    `workspace_name` is Terraform's workspace, made if it is not there; empty leaves the one that `init` gives.

    Raises `ValueError`, with a sentence, for what `unrunnable` names and for a repository or revision that git must
    not be given.
    """
    refusal = unrunnable(template_type)
    if refusal is not None:
        raise ValueError(refusal)
    if isinstance(source, ShellSource):
        return _shell(source)
    if template_type not in _PROGRAMS:
        raise ValueError("a template of type shell has no repository")
    code = source.model_copy(
        update={"repository": repository or source.repository, "revision": revision or source.revision}
    )
    return _terraform(_PROGRAMS[template_type], code, workspace_name, targets)


def _shell(source: ShellSource) -> StepCommands:
    return StepCommands(
        plan=_numbered("plan", source.plan_commands),
        apply=_numbered("shell", source.commands),
        destroy=_numbered("destroy", source.destroy_commands),
        apply_includes_plan=False,
    )


def _numbered(name: str, scripts: Sequence[str]) -> tuple[Command, ...]:
    return tuple(Command(step=f"{name}:{number}", script=script) for number, script in enumerate(scripts, start=1))


def _terraform(program: str, code: GitSource, workspace_name: str, targets: Sequence[str]) -> StepCommands:
    enter = _entering(program, code.path)
    chosen = "".join(f" {shlex.quote(f'-target={target}')}" for target in targets)
    plan = f"{enter}{program} plan -input=false -no-color -out={_PLAN}{chosen}\n"
    destroy_plan = f"{enter}{program} plan -destroy -input=false -no-color -out={_PLAN}{chosen}\n"
    carry_out = f"{enter}{program} apply -input=false -no-color {_PLAN}\n"
    checkout = (checkout_of(code.repository, code.revision),)
    begin = (*checkout, Command(step="tf:init", script=_init(program, enter, workspace_name)))
    planned = (*begin, Command(step="tf:plan", script=plan))
    destruction = (*begin, Command(step="tf:plan", script=destroy_plan))
    output = f'{enter}{program} output -no-color -json > "${{RUNPASS_OUTPUT:?}}"\n'
    return StepCommands(
        plan=planned,
        apply=(
            *planned,
            Command(step="tf:apply", script=carry_out),
            Command(step="tf:output", script=output),
        ),
        destroy=(*destruction, Command(step="tf:destroy", script=carry_out)),
        apply_includes_plan=True,
        destroy_plan=destruction,
        checkout=checkout,
    )


def _init(program: str, enter: str, workspace_name: str) -> str:
    script = f"{enter}{program} version\n{program} init -input=false -no-color\n"
    if not workspace_name:
        return script
    return f"{script}{program} workspace select -or-create=true -no-color -- {shlex.quote(workspace_name)}\n"


def _entering(program: str, path: str) -> str:
    """Give the beginning of a step: the program is there, and so is the folder."""
    missing = "The repository has no folder that the path of the template names."
    return (
        f"{_needing(program)}"
        "export TF_IN_AUTOMATION=1 TF_INPUT=0 CHECKPOINT_DISABLE=1\n"
        f"cd -- {shlex.quote(f'./{path}')} 2>/dev/null || {{ echo '{missing}' >&2; exit 1; }}\n"
    )


def checkout_of(repository: str, revision: str) -> Command:
    """Give the step that brings the code; its last line tells the commit, as `told_commit` reads it.

    Raises `ValueError`, with a sentence, for what git must not be given.
    """
    refusal = repository_refusal(repository) or revision_refusal(revision)
    if refusal is not None or not repository:
        raise ValueError(f"the code cannot be fetched: the repository or revision {refusal or 'is missing'}")
    return Command(step=CHECKOUT_STEP, script=_checkout(repository, revision))


def told_commit(line: str) -> str | None:
    """Give the commit that a line of the step's log tells."""
    found = _COMMIT_LINE.fullmatch(line)
    return found[1] if found else None


def _checkout(url: str, wanted: str) -> str:
    repository, revision = shlex.quote(url), shlex.quote(wanted or "HEAD")
    fetch = "git fetch --quiet --no-recurse-submodules"
    find = f"{fetch} --depth=1 --no-tags -- origin {revision}"
    take = "git -c submodule.recurse=false checkout --quiet --detach"
    if _MAYBE_A_COMMIT.fullmatch(wanted):
        # Not every server gives single commits, and none a shortened id: then all is fetched, and it is found there.
        everything = f"{fetch} --tags -- origin '+refs/heads/*:refs/remotes/origin/*'"
        found = shlex.quote(f"{wanted}^{{commit}}")
        body = f"if {find} 2>/dev/null; then\n{take} FETCH_HEAD --\nelse\n{everything}\n{take} {found} --\nfi\n"
    else:
        body = f"{find}\n{take} FETCH_HEAD --\n"
    return (
        f"{_needing('git')}"
        f"export GIT_ALLOW_PROTOCOL={':'.join(SCHEMES)} GIT_TERMINAL_PROMPT=0\n"
        "git -c init.defaultBranch=none init --quiet --template= .\n"
        f"git remote add -- origin {repository}\n"
        f"{body}"
        'echo "Commit $(git rev-parse HEAD)"\n'
    )


def _needing(program: str) -> str:
    return (
        f"command -v {program} >/dev/null 2>&1 || "
        f"{{ echo 'This runner has no program {program}: install it, and name its folder in RUNPASS_TOOL_PATH.' >&2; "
        "exit 127; }\n"
    )
