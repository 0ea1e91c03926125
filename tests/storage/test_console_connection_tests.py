"""The pages of connection tests: who asks for one and sees it, what each state says, and that nothing is obeyed."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from console import Browser, console, new_key
from factories import Tenant, World
from runpass.protocol.reports import Explained
from runpass.protocol.vault_tasks import Checked, Verdict
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.credentials.model import StoredCredential
from runpass.server.db.schema import metadata
from runpass.server.tenancy.model import Project
from runpass.server.vault_tasks import store
from runpass.server.vault_tasks.connection_tests import MOST_RECENT
from runpass.server.vault_tasks.model import TAKES, WAITS, VaultTask

EVIL = "<script>alert(1)</script>\"'&amp;{{70001*70001}}\u202e\x1b[31m"


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with console(world) as found:
        yield found


@pytest.fixture
def browser(client: TestClient, tenant: Tenant) -> Browser:
    found = Browser(client)
    found.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal()))
    return found


@pytest.fixture
def credential(tenant: Tenant) -> StoredCredential:
    return tenant.credential(name="production-vault")


@pytest.fixture
def project(tenant: Tenant, credential: StoredCredential) -> Project:
    found = tenant.project("payments")
    tenant.assign(credential, found)
    return found


def list_of(credential: StoredCredential) -> str:
    return f"/console/credentials/{credential.id}/tests"


def page_of(task: VaultTask) -> str:
    return f"/console/credentials/{task.credential_id}/tests/{task.id}"


def with_role(client: TestClient, tenant: Tenant, project: Project, role: ProjectRole) -> Browser:
    found = Browser(client)
    found.sign_in(new_key(tenant.world, tenant.id, OrganizationRole.USER, {project.id: role}))
    return found


def send(browser: Browser, path: str, **fields: str) -> tuple[int, str]:
    answer = browser.post(path, browser.form() | fields)
    return answer.status_code, answer.headers.get("location") or answer.text


def taken(tenant: Tenant, task: VaultTask) -> None:
    runner = tenant.runner()
    with tenant.world.database.write() as tx:
        assert store.take_next(tx, (task.pool_id, None), runner.id, b"x" * 32, tenant.world.clock.now())


def finished(tenant: Tenant, task: VaultTask, *checks: Checked) -> None:
    taken(tenant, task)
    with tenant.world.database.write() as tx:
        assert store.finish_task(tx, task.id, checks, tenant.world.clock.now())


def test_a_test_is_asked_for_and_followed_from_waiting_to_what_was_seen(
    browser: Browser, world: World, tenant: Tenant, credential: StoredCredential, project: Project
):
    tenant.join_token()  # makes the pool
    given = {"projectId": str(project.id), "pool": "default", "paths": "kv/app.password\r\n\r\n kv/other "}
    status, page = send(browser, list_of(credential), **given)
    assert (status, page.startswith(f"{list_of(credential)}/")) == (303, True)
    with world.database.read() as tx:
        (task,) = store.list_tasks(
            tx, tenant.id, credential.id, metadata.tables["projects"].c.id == project.id, limit=9
        )
    assert task.paths == ("kv/app.password", "kv/other")
    text = browser.get(page).text
    assert "Waits for a runner" in text
    assert "is in touch. Start one" in text
    assert f'hx-get="{page}/checks?seen=QUEUED-alone" hx-trigger="every 1s"' in text
    assert browser.get(f"{page}/checks?seen=QUEUED-alone").status_code == 204
    tenant.runner()
    assert "is in touch. Start one" not in browser.get(f"{page}/checks?seen=QUEUED-alone").text
    checks = (
        Checked(name="dns", verdict=Verdict.OK, seen="127.0.0.1"),
        Checked(name="role", verdict=Verdict.FAILED, seen="no such role", next_step="Write it:\nbao write …"),
        Checked(name="login", verdict=Verdict.SKIPPED),
    )
    finished(tenant, task, *checks)
    for part in (browser.get(page).text, browser.get(f"{page}/checks?seen=QUEUED").text):
        assert "Does not work: 1 check failed" in part
        assert 'To mend first: <a href="#check-2">The role</a>' in part
        assert "bao write …" in part
        assert "hx-trigger" not in part
    assert f'href="{page}"' in browser.get(list_of(credential)).text


def test_what_nobody_took_or_ended_says_what_to_do(
    browser: Browser, world: World, tenant: Tenant, credential: StoredCredential, project: Project
):
    task = tenant.connection_test(credential, project)
    world.clock.advance(WAITS)
    text = browser.get(page_of(task)).text
    assert "No runner of the pool took it within 5 minutes" in text
    assert "hx-trigger" not in text
    lost = tenant.connection_test(credential, project)
    taken(tenant, lost)
    assert "A runner tries it" in browser.get(page_of(lost)).text
    world.clock.advance(TAKES)
    assert "Nothing is known of what it saw." in browser.get(page_of(lost)).text


def test_nothing_is_called_working_that_did_not_log_in(
    browser: Browser, tenant: Tenant, credential: StoredCredential, project: Project
):
    ok, warning = Verdict.OK, Verdict.WARNING
    for verdicts, said in (
        ({"login": ok}, ">Works<"),
        ({"login": ok, "weak_spots": warning}, ">Works; 1 thing to look at<"),
        ({"dns": ok}, ">Nothing failed, but nobody logged in<"),
        ({"login": Verdict.SKIPPED, "new": Verdict.UNKNOWN}, ">Nothing failed, but nobody logged in<"),
    ):
        task = tenant.connection_test(credential, project)
        finished(tenant, task, *(Checked(name=name, verdict=verdict) for name, verdict in verdicts.items()))
        assert said in browser.get(page_of(task)).text


def test_projects_that_inherit_it_are_offered_and_those_with_a_nearer_one_are_not(
    client: TestClient, browser: Browser, tenant: Tenant, credential: StoredCredential, project: Project
):
    below, replaced = tenant.project("below", project), tenant.project("replaced", project)
    tenant.assign(tenant.credential(name="nearer"), replaced)
    text = browser.get(f"{list_of(credential)}?project={below.id}").text
    assert f'<option value="{below.id}" selected>payments / below</option>' in text
    assert str(replaced.id) not in text
    theirs = with_role(client, tenant, below, ProjectRole.ADMIN)
    text = theirs.get(list_of(credential)).text
    assert ">below</option>" in text
    assert ">payments" not in text
    assert f'href="/console/credentials/{credential.id}"' not in text
    assert send(theirs, list_of(credential), projectId=str(project.id))[0] == 422
    unused = tenant.credential(name="unused")
    assert "Assign it first" in browser.get(list_of(unused)).text
    assert theirs.get(list_of(unused)).status_code == 404


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_is_kept(
    browser: Browser, tenant: Tenant, credential: StoredCredential, project: Project
):
    tenant.join_token()
    good = {"projectId": str(project.id), "pool": "default", "paths": "typed"}
    other = tenant.project("without it")
    for wrong, field in (
        ({"projectId": "x"}, "projectId"),
        ({"projectId": str(other.id)}, "projectId"),
        ({"projectId": "00000000-0000-7000-8000-000000000000"}, "projectId"),
        ({"pool": "nowhere"}, "pool"),
        ({"paths": f"typed\n{'x' * 600}"}, "paths"),
    ):
        status, text = send(browser, list_of(credential), **{**good, **wrong})
        assert (status, f"field-{field}-error" in text, "typed" in text) == (422, True, True), wrong
    for _ in range(MOST_RECENT):
        tenant.connection_test(credential, project)
    answer = browser.post(list_of(credential), browser.form() | good)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
    assert "typed" in answer.text
    assert 'rel="next"' in browser.get(list_of(credential)).text


def test_only_who_manages_the_projects_credentials_sees_a_test(
    client: TestClient, tenant: Tenant, credential: StoredCredential, project: Project
):
    task, elsewhere = tenant.connection_test(credential, project), tenant.credential()
    admin = with_role(client, tenant, project, ProjectRole.ADMIN)
    assert admin.get(page_of(task)).status_code == 200
    assert page_of(task) in admin.get(list_of(credential)).text
    assert admin.get(f"{list_of(elsewhere)}/{task.id}").status_code == 404
    deployer = with_role(client, tenant, project, ProjectRole.DEPLOYER)
    for path in (page_of(task), f"{page_of(task)}/checks", list_of(credential)):
        assert deployer.get(path).status_code == 404
    assert send(deployer, list_of(credential), projectId=str(project.id))[0] == 404


def test_a_page_that_is_open_when_the_session_ends_is_loaded_again(
    world: World, tenant: Tenant, browser: Browser, credential: StoredCredential, project: Project
):
    path = f"{page_of(tenant.connection_test(credential, project))}/checks?seen=QUEUED"
    world.clock.advance(timedelta(hours=13))
    answer = browser.get(path, **{"HX-Request": "true"})
    assert (answer.status_code, answer.headers["hx-refresh"], answer.text) == (204, "true", "")
    assert browser.get(path).status_code == 303


def test_no_text_of_a_vault_or_a_name_does_more_than_be_read(
    browser: Browser, world: World, tenant: Tenant, credential: StoredCredential, project: Project
):
    explained = Explained(
        name=f"a-name{EVIL}", passed=False, expected=f"expected{EVIL}", received=f"received{EVIL}", fix=f"fix{EVIL}"
    )
    seen, step = f"seen{EVIL}", f"step{EVIL}\nsecond{EVIL}"
    name = f"check-name{EVIL}"
    task = tenant.connection_test(credential, project, f"a-path{EVIL[:-5]}")
    failed = Checked(name=name, verdict=Verdict.FAILED, seen=seen, next_step=step, explained=(explained,))
    finished(tenant, task, failed, Checked(name="x", verdict=Verdict.OK, next_step=f"line{EVIL}"))
    with world.database.write() as tx:
        for table in ("projects", "credentials", "runners"):
            tx.execute(update(metadata.tables[table]).values(name=f"{table}-name{EVIL}"))
    text = browser.get(page_of(task)).text + browser.get(list_of(credential)).text
    for live in ("<script>", "4900140001", "\u202e", "\x1b"):
        assert live not in text
    for shown in ("projects-name", "credentials-name", "runners-name", "check-name", "seen", "step", "second"):
        assert f"{shown}&lt;script&gt;" in text, shown
    for shown in ("line", "a-name", "expected", "received", "fix", "a-path"):
        assert f"{shown}&lt;script&gt;" in text, shown
