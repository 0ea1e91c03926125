"""The scripts of a Terraform template, run by `sh -e` with real git and real Terraform, as a runner runs them."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from runpass.protocol.run_lease import Command
from runpass.server.templates.model import GitSource, TemplateType
from runpass.server.templates.steps import StepCommands, commands_of
from services import needs

CODE = """
terraform {
  backend "local" {
    path          = "%(state)s/terraform.tfstate"
    workspace_dir = "%(state)s/workspaces"
  }
}
variable "greeting" { default = "hello" }
variable "hidden" {
  default   = "canary"
  sensitive = true
}
resource "terraform_data" "one" { input = var.greeting }
resource "terraform_data" "two" { input = "two" }
output "greeting" { value = terraform_data.one.output }
output "hidden" {
  value     = var.hidden
  sensitive = true
}
"""


@dataclass(frozen=True)
class Done:
    """How a list of commands ended."""

    steps: list[str]
    status: int
    stderr: str
    output: dict | None
    stdout: str


@dataclass
class Place:
    """A git repository with Terraform code, a state outside of it, and a fresh workspace for every list."""

    directory: Path
    runs: int = 0

    @property
    def repository(self) -> Path:
        return self.directory / "repository"

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main")
        command = ["git", *identity, *arguments]
        return subprocess.run(command, cwd=self.repository, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, greeting: str) -> str:
        code = (CODE % {"state": self.directory / "state"}).replace('"hello"', f'"{greeting}"')
        (self.repository / "infra").mkdir(parents=True, exist_ok=True)
        (self.repository / "infra" / "main.tf").write_text(code)
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", greeting)
        return self.git("rev-parse", "HEAD")

    def steps(self, revision: str = "", **more) -> StepCommands:
        source = GitSource(repository=f"file://{self.repository}", path="/infra")
        wanted = {"revision": revision, "repository": "", "workspace_name": "team.a-1"} | more
        return commands_of(TemplateType.TERRAFORM, source, **wanted)

    def run(self, commands: Sequence[Command], **environment: str) -> Done:
        self.runs += 1
        here = self.directory / f"run-{self.runs}"
        for part in ("workspace", "home", "tmp"):
            (here / part).mkdir(parents=True)
        given = {
            "PATH": os.environ["PATH"],
            "HOME": str(here / "home"),
            "TMPDIR": str(here / "tmp"),
            "TF_CLI_CONFIG_FILE": "/dev/null",
            "RUNPASS_OUTPUT": str(here / "output.json"),
            **environment,
        }
        done, said, ended = [], "", None
        for command in commands:
            script = here / "script.sh"
            script.write_text(command.script)
            ended = subprocess.run(
                ["/bin/sh", "-e", str(script)],
                check=False,
                cwd=here / "workspace",
                env=given,
                capture_output=True,
                text=True,
            )
            done.append(command.step)
            said += ended.stdout
            if ended.returncode != 0:
                break
        assert ended is not None
        written = here / "output.json"
        output = json.loads(written.read_text()) if written.exists() else None
        return Done(done, ended.returncode, ended.stderr, output, said)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    needs("git", "terraform")
    made = Place(tmp_path)
    made.repository.mkdir()
    made.git("init", "--quiet")
    return made


def test_a_deploy_and_a_destroy_in_fresh_workspaces_share_the_state_of_the_users_backend(place: Place):
    place.commit("hello")
    steps = place.steps()
    planned = place.run(steps.plan)
    assert (planned.status, planned.output) == (0, None), planned.stderr
    assert "Plan: 2 to add, 0 to change, 0 to destroy." in planned.stdout
    applied = place.run(steps.apply)
    assert applied.status == 0, applied.stderr
    assert applied.output == {
        "greeting": {"sensitive": False, "type": "string", "value": "hello"},
        "hidden": {"sensitive": True, "type": "string", "value": "canary"},
    }
    assert "canary" not in applied.stdout
    assert (place.directory / "state" / "workspaces" / "team.a-1" / "terraform.tfstate").exists()
    again = place.run(steps.plan)
    assert "No changes." in again.stdout
    about_to_destroy = place.run(steps.destroy_plan)
    assert "Plan: 0 to add, 0 to change, 2 to destroy." in about_to_destroy.stdout
    destroyed = place.run(steps.destroy)
    assert (destroyed.status, destroyed.output) == (0, None), destroyed.stderr
    assert "2 destroyed" in destroyed.stdout


def test_a_branch_a_tag_a_commit_and_a_short_commit_are_found(place: Place):
    first = place.commit("first")
    place.git("tag", "v1")
    place.git("branch", "feature/x")
    last = place.commit("last")
    for revision, expected in (
        ("", last),
        ("main", last),
        ("refs/heads/main", last),
        ("v1", first),
        ("feature/x", first),
        (first, first),
        (first[:8], first),
    ):
        done = place.run(place.steps(revision).checkout)
        assert done.status == 0, (revision, done.stderr)
        assert done.stdout == f"Commit {expected}\n"


def test_a_revision_that_is_not_there_ends_the_clone(place: Place):
    place.commit("hello")
    for revision in ("nothing", "abcdef0123"):
        done = place.run(place.steps(revision).plan)
        assert (done.steps, done.status != 0) == (["git:clone"], True)


def test_targets_and_terraform_variables_reach_terraform(place: Place):
    place.commit("hello")
    done = place.run(place.steps(targets=["terraform_data.one"]).apply, TF_VAR_greeting="from outside")
    assert done.status == 0, done.stderr
    assert "Plan: 1 to add" in done.stdout
    assert done.output is not None
    assert done.output["greeting"]["value"] == "from outside"


def test_without_a_workspace_name_the_default_one_is_used(place: Place):
    place.commit("hello")
    assert place.run(place.steps(workspace_name="").apply).status == 0
    assert (place.directory / "state" / "terraform.tfstate").exists()


def test_a_workspace_name_is_no_option_and_runs_nothing(place: Place):
    place.commit("hello")
    for name in ("-lock=false", "-x.y"):
        done = place.run(place.steps(workspace_name=name).plan)
        assert done.status == 0 or "workspace" in done.stderr, done.stderr
    done = place.run(place.steps(workspace_name="$(touch ran);`touch ran`").plan)
    assert (done.steps[-1], done.status) == ("tf:init", 1)
    assert not list(place.directory.rglob("ran"))


def test_a_program_that_is_missing_is_named(place: Place):
    place.commit("hello")
    only_git = place.directory / "bin"
    only_git.mkdir()
    for program in ("git", "sh"):
        (only_git / program).symlink_to(shutil.which(program) or program)
    done = place.run(place.steps().plan, PATH=str(only_git))
    assert (done.steps, done.status) == (["git:clone", "tf:init"], 127)
    assert done.stderr.startswith("This runner has no program terraform: install it")
    done = place.run(place.steps().plan, PATH=str(place.directory))
    assert (done.steps, done.status) == (["git:clone"], 127)
    assert "no program git" in done.stderr


def test_a_folder_that_is_not_in_the_repository_is_told(place: Place):
    place.commit("hello")
    source = GitSource(repository=f"file://{place.repository}", path="elsewhere")
    steps = commands_of(TemplateType.TERRAFORM, source, revision="", repository="", workspace_name="a")
    done = place.run(steps.plan)
    assert (done.steps, done.status) == (["git:clone", "tf:init"], 1)
    assert done.stderr == "The repository has no folder that the path of the template names.\n"


def test_git_speaks_no_protocol_that_runs_a_program(place: Place):
    """Also where the repository itself asks for it: git's own list is closed, whatever a submodule or redirect says."""
    place.commit("hello")
    (clone,) = place.steps().checkout
    script = clone.script.replace(f"file://{place.repository}", "'ext::sh -c touch% ran'")
    assert script != clone.script
    done = place.run([Command(step="git:clone", script=script)])
    assert done.status != 0
    assert "transport 'ext' not allowed" in done.stderr
    assert not list(place.directory.rglob("ran"))


def test_a_submodule_is_not_fetched(place: Place):
    place.commit("hello")
    (place.repository / ".gitmodules").write_text('[submodule "s"]\n\tpath = s\n\turl = ext::sh -c touch% ran\n')
    place.git("update-index", "--add", "--cacheinfo", f"160000,{place.git('rev-parse', 'HEAD')},s")
    place.git("add", ".gitmodules")
    place.git("commit", "--quiet", "--message", "with a submodule")
    done = place.run(place.steps().checkout)
    assert done.status == 0, done.stderr
    assert not list(place.directory.rglob("ran"))
