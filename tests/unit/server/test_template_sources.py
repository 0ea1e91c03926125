"""Templates: which repositories and revisions are taken, and what is made of them for a runner."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runpass.server.templates.model import GitSource, ShellSource, TemplateType
from runpass.server.templates.repository import repository_refusal, revision_refusal
from runpass.server.templates.steps import commands_of, unrunnable

CODE = GitSource(repository="https://git.example.com/team/code.git", revision="main", path="/infra")


def steps(**changes):
    wanted = {"revision": "", "repository": "", "workspace_name": "team-a"} | changes
    return commands_of(wanted.pop("type", TemplateType.TERRAFORM), wanted.pop("source", CODE), **wanted)


def names(commands):
    return [item.step for item in commands]


@pytest.mark.parametrize(
    "repository",
    [
        "https://github.com/env0/templates",
        "https://gitlab.example.com:8443/group/sub/code.git",
        "ssh://git@git.example.com:22/team/code.git",
        "git://git.example.com/code",
        "file:///srv/git/code.git",
        "git@github.com:env0/templates.git",
        "git@ssh.dev.azure.com:v3/organization/project/code",
        "git.example.com:team/code",
    ],
)
def test_a_repository_is_a_url_or_scp_like(repository: str):
    assert repository_refusal(repository) is None


@pytest.mark.parametrize(
    "repository",
    [
        "ext::sh -c touch% /tmp/x",
        "ext::true",
        "-uhttps://example.com/x",
        "--upload-pack=true",
        "-oProxyCommand=true@host:x",
        "ssh://-oProxyCommand=true/x",
        "http://git.example.com/code",
        "ftp://git.example.com/code",
        "/srv/git/code",
        "../code",
        "https://",
        "https://git.example.com",
        "https://git.example.com:port/x",
        "https://git.example.com/a b",
        "https://git.example.com/a\nb",
        "https:////x",
        "c:\\code",
    ],
)
def test_what_git_must_not_be_given_is_no_repository(repository: str):
    refusal = repository_refusal(repository)
    assert refusal is not None
    assert repository not in refusal


@pytest.mark.parametrize(
    "repository",
    [
        "https://user:canary@git.example.com/code",
        "https://canary@git.example.com/code",
        "ssh://git:canary@git.example.com/code",
        "https://git.example.com/code?token=canary",
        "https://git.example.com/code#canary",
        "user:canary@git.example.com:code",
    ],
)
def test_a_repository_with_a_secret_in_it_is_refused_and_the_secret_not_repeated(repository: str):
    refusal = repository_refusal(repository)
    assert refusal is not None
    assert "canary" not in refusal


@pytest.mark.parametrize("revision", ["", "main", "feature/x", "v1.2.3", "refs/pull/1/head", "a1b2c3d", "ünïcode"])
def test_a_revision_is_a_branch_a_tag_or_a_commit(revision: str):
    assert revision_refusal(revision) is None


@pytest.mark.parametrize(
    "revision", ["-x", "--upload-pack=x", "+main", "a:b", "a..b", "a b", "a\nb", "HEAD~1", "HEAD^", "a@{1}", "*", "/a"]
)
def test_what_git_could_read_as_something_else_is_no_revision(revision: str):
    assert revision_refusal(revision) is not None


def test_a_shell_template_runs_its_commands_under_numbered_names():
    source = ShellSource(commands=("a", "b"), plan_commands=("p",), destroy_commands=("d",))
    made = steps(type=TemplateType.SHELL, source=source)
    assert [(item.step, item.script) for item in made.apply] == [("shell:1", "a"), ("shell:2", "b")]
    assert (names(made.plan), names(made.destroy), made.apply_includes_plan) == (["plan:1"], ["destroy:1"], False)


@pytest.mark.parametrize(("kind", "program"), [(TemplateType.TERRAFORM, "terraform"), (TemplateType.OPENTOFU, "tofu")])
def test_every_list_of_terraform_can_run_alone(kind: TemplateType, program: str):
    made = steps(type=kind)
    begin = ["git:clone", "tf:init", "tf:plan"]
    assert made.apply_includes_plan
    assert names(made.checkout) == ["git:clone"]
    assert (names(made.plan), names(made.destroy_plan)) == (begin, begin)
    assert names(made.apply) == [*begin, "tf:apply", "tf:output"]
    assert names(made.destroy) == [*begin, "tf:destroy"]
    assert all(f"{program} " in item.script for item in made.apply[1:])


def test_types_that_nobody_runs_are_told_so():
    runnable = {TemplateType.SHELL, TemplateType.TERRAFORM, TemplateType.OPENTOFU}
    assert {kind for kind in TemplateType if unrunnable(kind) is None} == runnable
    with pytest.raises(ValueError, match=r"^no runner runs templates of type pulumi yet$"):
        steps(type=TemplateType.PULUMI)


def test_what_git_must_not_be_given_makes_no_commands():
    for change in ({"repository": "ext::sh -c true"}, {"revision": "--upload-pack=x"}):
        with pytest.raises(ValueError, match="cannot be fetched"):
            steps(**change)


def test_a_request_has_another_revision_and_repository():
    (clone,) = steps(revision="v2", repository="git@git.example.com:other").checkout
    assert "git remote add -- origin git@git.example.com:other\n" in clone.script
    assert "-- origin v2\n" in clone.script


def test_an_empty_workspace_name_selects_none():
    assert "workspace select" in steps().plan[1].script
    assert "workspace" not in steps(workspace_name="").plan[1].script


@given(text=st.text(min_size=1, max_size=40))
def test_whatever_is_put_into_a_script_stays_one_word(text: str):
    made = steps(workspace_name=text, targets=[text], source=CODE.model_copy(update={"path": text}))
    for script, expected in (
        (made.plan[1].script.splitlines(keepends=True), text),
        (made.plan[2].script.splitlines(keepends=True), f"-target={text}"),
        (made.plan[2].script.splitlines(keepends=True), f"./{text}"),
    ):
        assert expected in shlex.split("".join(script), comments=False)
