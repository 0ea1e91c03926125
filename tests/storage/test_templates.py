"""Templates of every kind come back as they were, and two who meet at one do not harm each other."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from factories import MovingClock, Tenant, World
from runpass.errors import Conflict
from runpass.server.db.engine import Database
from runpass.server.templates import store
from runpass.server.templates.making import Draft, make_template
from runpass.server.templates.model import GitSource, Retry, RetryRule, ShellSource, SshKey, TemplateType

CODE = GitSource(
    repository="git@git.example.com:team/code.git",
    revision="main",
    path="/infra/",
    retry=Retry(on_deploy=RetryRule(times=2, error_regex="time.*out")),
    is_git_lab=True,
    ssh_keys=(SshKey(id="1", name="é"),),
    github_installation_id=9_007_199_254_740_991,
    terraform_version="RESOLVE_FROM_TERRAFORM_CODE",
)


def make(tenant: Tenant, name: str = "code", **more):
    draft = Draft(name, "what for", TemplateType.TERRAFORM, CODE)
    with tenant.world.database.write() as tx:
        return make_template(tx, tenant.id, draft, by="test", now=tenant.world.clock.now(), **more)


def test_a_template_with_a_repository_comes_back_as_it_was_made(tenant: Tenant, database: Database):
    made = make(tenant)
    with database.read() as tx:
        assert store.get_template(tx, tenant.id, made.id) == made
    assert isinstance(made.source, GitSource)
    assert made.source.path == "infra/"


def test_a_shell_template_keeps_all_three_lists(tenant: Tenant, database: Database):
    source = ShellSource(commands=("a",), plan_commands=("p", "q"), destroy_commands=("d",))
    with database.write() as tx:
        draft = Draft("shell", "", TemplateType.SHELL, source)
        made = make_template(tx, tenant.id, draft, by="test", now=tenant.world.clock.now())
        assert store.get_template(tx, tenant.id, made.id) == made


def test_a_template_of_one_environment_is_attached_and_in_no_list(tenant: Tenant, database: Database):
    project = tenant.project()
    made = make(tenant, only_for=project.id)
    with database.read() as tx:
        assert store.get_template(tx, tenant.id, made.id) == made
        assert store.list_templates(tx, tenant.id) == []
        assert store.list_templates(tx, tenant.id, project_ids=[project.id]) == []
    assert made.is_single_use
    assert made.project_ids == (project.id,)


def test_templates_are_listed_by_name_by_projects_and_in_pages(tenant: Tenant, database: Database):
    project, other = tenant.project(), tenant.project("other")
    first, second, third = tenant.template(project, other), tenant.template(other), make(tenant)
    with database.read() as tx:

        def ids(*args, **chosen):
            return [item.id for item in store.list_templates(tx, tenant.id, *args, **chosen)]

        assert ids() == [first.id, second.id, third.id]
        assert ids("template") == [first.id, second.id]
        assert ids(project_ids=[project.id]) == [first.id]
        assert ids(project_ids=[project.id, other.id]) == [first.id, second.id]
        assert ids(project_ids=[]) == []
        assert ids(limit=1) == [first.id]
        assert ids(limit=2, offset=1) == [second.id, third.id]


def test_a_change_on_top_of_a_change_that_was_not_seen_is_refused(tenant: Tenant, world: World, clock: MovingClock):
    read = make(tenant)
    clock.advance(timedelta(seconds=1))
    with world.database.write() as tx:
        store.change_template(tx, read, {"name": "theirs"}, clock.now())
    with pytest.raises(Conflict, match="changed by somebody else"), world.database.write() as tx:
        store.change_template(tx, read, {"name": "ours"}, clock.now())
    with world.database.read() as tx:
        found = store.get_template(tx, tenant.id, read.id)
    assert found is not None
    assert (found.name, found.updated_at) == ("theirs", clock.now())


def test_attaching_at_the_same_moment_attaches_once(tenant: Tenant, database: Database):
    project, template = tenant.project(), tenant.template()

    def attach(_: int) -> None:
        with database.write() as tx:
            store.attach(tx, template, project.id)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(attach, range(8)))
    with database.read() as tx:
        found = store.get_template(tx, tenant.id, template.id)
    assert found is not None
    assert found.project_ids == (project.id,)
