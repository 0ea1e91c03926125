"""The pages of deployments: what they say of real rows, and that nothing in them does more than be read."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

import pytest
from sqlalchemy import update

from asgi_client import AsgiClient
from console import Browser, console, new_key
from factories import Tenant, World, holder
from runpass.ids import DeploymentId
from runpass.protocol.reports import Explained, Finish, LogEvent, LogLevel, Outcome, Refusal, Report, Step, StepStatus
from runpass.protocol.run_lease import RunLease
from runpass.secret import Secret
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.db.schema import metadata
from runpass.server.deployments.log_view import WINDOW
from runpass.server.deployments.model import DeployRequest
from runpass.server.deployments.run_leases import finish, save_report, take
from runpass.server.runners.model import Runner
from runpass.server.tenancy.model import Environment, Project

EVIL = "<script>alert(1)</script>\"'&amp;{{70001*70001}}`x`\u202e\x1b]0;x\x07"
REFUSAL = Refusal(
    code="role-refuses",
    reason="The role does not admit this run.",
    vault_error="claim does not match",
    hint="Look at the role.",
    checks=(Explained(name="projectId", passed=False, expected="the-project", received="another", fix="bao write x"),),
)


@dataclass
class Scene:
    """A deployment that a runner has taken, in a project with one environment."""

    world: World
    tenant: Tenant
    project: Project
    environment: Environment
    runner: Runner
    lease: RunLease

    @property
    def id(self) -> DeploymentId:
        return DeploymentId(self.lease.run.deployment_id)

    @property
    def path(self) -> str:
        return f"/console/deployments/{self.id}"

    def say(self, step: str, *messages: str, first: int = 1, status: StepStatus = StepStatus.IN_PROGRESS) -> None:
        now = self.world.clock.now()
        events = tuple(
            LogEvent(step=step, number=number, at=now, level=LogLevel.INFO, message=message)
            for number, message in enumerate(messages, start=first)
        )
        steps = (Step(name=step, order=1, status=status, started_at=now),)
        save_report(
            self.world.rules,
            holder(self.runner, self.lease),
            Report(fencing_token=self.lease.fencing_token, steps=steps, events=events),
        )

    def finish(self, outcome: Outcome = Outcome.SUCCESS, **more: object) -> None:
        word = Finish.model_validate({"fencing_token": self.lease.fencing_token, "outcome": outcome, **more})
        finish(self.world.rules, holder(self.runner, self.lease), word)


@pytest.fixture
def scene(world: World, tenant: Tenant) -> Scene:
    project, environment = tenant.somewhere_to_deploy()
    return taken(world, tenant, project, environment)


def taken(
    world: World, tenant: Tenant, project: Project, environment: Environment, wanted: DeployRequest | None = None
) -> Scene:
    runner = tenant.runner()
    tenant.queue(environment, wanted)
    lease = take(world.rules, runner)
    assert lease is not None
    return Scene(world, tenant, project, environment, runner, lease)


@pytest.fixture
def browser(world: World, tenant: Tenant) -> Iterator[Browser]:
    """A browser in which the tenant's admin is signed in."""
    with console(world) as client:
        yield signed_in(client, (tenant.api_key.api_key_id, tenant.api_secret.reveal()))


def signed_in(client: object, key: object) -> Browser:
    browser = Browser(client)  # type: ignore[arg-type]
    assert browser.sign_in(key).status_code == 303  # type: ignore[arg-type]
    return browser


def as_role(browser: Browser, scene: Scene, role: ProjectRole) -> Browser:
    key = new_key(scene.world, scene.tenant.id, OrganizationRole.USER, {scene.project.id: role})
    return signed_in(browser.client, key)


def page(browser: Browser, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200, answer.text
    return str(answer.text)


def words_of(text: str) -> str:
    """Give what a person reads."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", text.partition("<main")[2])).split())


def numbers(text: str) -> list[int]:
    """Give the numbers of the lines on a page."""
    return [int(found) for found in re.findall(r'<a class="number"[^>]*>(?:[^<]* )?(\d+)</a>', text)]


def test_a_deployment_is_shown_with_its_steps_and_its_log(browser: Browser, scene: Scene):
    scene.say("shell:1", "\x1b[32mfine\x1b[0m & <b>dandy</b>", "second")
    text = page(browser, scene.path)
    assert "Going on" in words_of(text)
    assert "Pool default" in words_of(text)
    assert '<span class="fg-2">fine</span> &amp; &lt;b&gt;dandy&lt;/b&gt;' in text
    assert f'href="{scene.path}?step=shell%3A1&amp;line=2#shell-1-L2">2</a>' in text
    assert 'data-events="' in text
    scene.finish()
    ended = page(browser, scene.path)
    assert "Succeeded" in words_of(ended)
    assert 'data-events="' not in ended, "nothing follows what has ended"
    assert "<button" not in ended.partition("<main")[2].partition('id="log"')[0]


def test_outputs_have_no_value_where_they_are_sensitive(browser: Browser, scene: Scene):
    outputs = '{"word": {"value": "<i>seen</i>", "type": "string"}, "list": {"value": [1], "type": "list"},'
    outputs += '"hidden": {"value": "canary", "sensitive": true, "type": "string"}}'
    scene.finish(outputs=Secret(outputs))
    text = page(browser, scene.path)
    assert "&lt;i&gt;seen&lt;/i&gt;" in text
    assert "hidden sensitive: not shown" in words_of(text)
    assert "canary" not in text


def test_a_refusal_is_explained_and_what_is_expected_is_for_those_who_manage_credentials(
    browser: Browser, scene: Scene
):
    scene.finish(Outcome.FAILURE, refusal=REFUSAL, error="no secrets")
    text = page(browser, scene.path)
    assert "Check Received Expected" in words_of(text)
    assert "the-project" in text
    assert "bao write x" in text
    seen = page(as_role(browser, scene, ProjectRole.VIEWER), scene.path)
    assert "The Vault said: claim does not match" in words_of(seen)
    assert "another" in seen
    assert "the-project" not in seen
    assert "bao write x" not in seen
    assert "MANAGE_CREDENTIALS" in seen


def test_a_refusal_without_both_sides_is_told_once_and_leads_to_the_credentials(browser: Browser, scene: Scene):
    check = Explained(name="role_not_found", passed=False, expected="", received="", fix="Look at the role.")
    refusal = REFUSAL.model_copy(update={"checks": (check,)})
    scene.finish(Outcome.FAILURE, refusal=refusal, error=refusal.reason)
    text = page(browser, scene.path)
    assert text.count(refusal.reason) == 1
    assert text.count("Look at the role.") == 1
    assert "role_not_found" not in text
    assert f'href="/console/projects/{scene.project.id}/credentials"' in text


def test_a_log_is_read_window_by_window_and_a_link_to_a_line_opens_the_window_that_has_it(
    browser: Browser, scene: Scene
):
    for first in range(1, 2 * WINDOW + 501, 500):
        scene.say("task", *(f"line {number}" for number in range(first, first + 500)), first=first)
    last = 2 * WINDOW + 500
    text = page(browser, scene.path)
    assert numbers(text) == list(range(last - WINDOW + 1, last + 1))
    (earlier,) = re.findall(r'href="([^"]+)">Earlier lines', text)
    before = page(browser, unescape(earlier))
    assert numbers(before) == list(range(last - 2 * WINDOW + 1, last - WINDOW + 1))
    assert "Later lines" in before
    linked = page(browser, f"{scene.path}?step=task&line={WINDOW + 1}")
    assert numbers(linked) == list(range(WINDOW + 1, 2 * WINDOW + 1))
    assert f'id="task-L{WINDOW + 1}"' in linked
    (later,) = re.findall(r'href="([^"]+)">Later lines', linked)
    assert numbers(page(browser, unescape(later)))[-1] == last
    assert numbers(page(browser, f"{scene.path}?step=task&line={last + 9_999_999}")) != []
    assert "There is no such step." in page(browser, f"{scene.path}?step=other")


def test_a_log_is_searched_without_scripts(browser: Browser, scene: Scene):
    scene.say("shell:1", "nothing", "100% SURE_", "100 percent")
    found = page(browser, f"{scene.path}?find=100%25+sure_")
    assert numbers(found) == [2]
    assert "1 line holds “100% sure_”." in words_of(found)
    assert "No line holds “&lt;x&gt;”." in page(browser, f"{scene.path}?find=%3Cx%3E")
    for wrong in (f"find={'x' * 201}", "find=%00", "step=a&line=x", "step=a&before=99999999999", "step=a&line=-1"):
        assert browser.get(f"{scene.path}?{wrong}").status_code == 422, wrong


def test_the_whole_log_comes_as_a_file_in_which_nothing_is_obeyed(browser: Browser, scene: Scene):
    scene.say("one", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07\r\u202e", "ä")
    scene.say("two", *(f"line {number}" for number in range(1, 1000)))
    scene.say("two", *(f"line {number}" for number in range(1000, 1500)), first=1000)
    answer = browser.get(f"{scene.path}/log.txt")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="deployment-{scene.id}.txt"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    lines = answer.content.decode().split("\n")
    assert lines[:4] == ["=== one (IN_PROGRESS) ===", "red", "\\x1b]0;title\\x07\\r\\u202e", "ä"]
    assert lines[4:] == ["=== two (IN_PROGRESS) ===", *(f"line {number}" for number in range(1, 1500)), ""]


def test_the_file_ends_with_the_session_that_asked_for_it(browser: Browser, scene: Scene):
    """SECURITY: whoever reads slowly has it open for as long as they like."""
    scene.say("one", *(f"line {number}" for number in range(1, 1000)))
    scene.say("one", *(f"line {number}" for number in range(1000, 1500)), first=1000)
    form, read = browser.form(), b""

    def signs_out(part: bytes) -> None:
        nonlocal read
        read += part
        if b"line 999" in part:
            assert browser.post("/console/sign-out", form).status_code == 303

    client = AsgiClient(browser.client.app)
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    client.send("GET", f"{scene.path}/log.txt", {"Cookie": cookies.encode()}, heard=signs_out)
    client.close()
    assert b"line 999" in read
    assert b"line 1499" not in read
    assert read.endswith(b"=== the rest of the log could not be read ===\n")


def test_a_plan_is_approved_once_by_those_who_may(browser: Browser, world: World, tenant: Tenant):
    project, environment = tenant.somewhere_to_deploy()
    scene = taken(world, tenant, project, environment, DeployRequest(requires_approval=True))
    scene.finish()
    viewer = as_role(browser, scene, ProjectRole.VIEWER)
    assert "Approve the plan" not in page(viewer, scene.path)
    assert viewer.post(f"{scene.path}/approve", viewer.form()).status_code == 403
    assert "Approve the plan" in page(browser, scene.path)
    answer = browser.post(f"{scene.path}/approve", browser.form(scene.path))
    assert (answer.status_code, answer.headers["location"]) == (303, f"{scene.path}?done=approved")
    text = words_of(page(browser, answer.headers["location"]))
    assert "Approved. A runner takes it again" in text
    assert "Approved, waits for a runner" in text
    again = browser.post(f"{scene.path}/approve", browser.form(scene.path))
    assert again.status_code == 409
    assert "Approved, waits for a runner" in words_of(again.text)
    assert browser.post(f"{scene.path}/cancel", browser.form(scene.path)).headers["location"].endswith("cancelled")
    assert "done=" not in page(browser, f"{scene.path}?done=nonsense")


def test_what_goes_on_is_aborted_and_what_waits_is_cancelled(browser: Browser, scene: Scene):
    assert "Abort" in page(browser, scene.path)
    answer = browser.post(f"{scene.path}/cancel", browser.form(scene.path))
    assert answer.status_code == 409
    assert "cannot cancel" in words_of(answer.text)
    for _ in range(2):
        aborted = browser.post(f"{scene.path}/abort", browser.form(scene.path))
        assert aborted.headers["location"] == f"{scene.path}?done=aborted"
    assert "Being aborted" in words_of(page(browser, scene.path))
    queued = scene.tenant.queue(scene.environment)
    path = f"/console/deployments/{queued.id}"
    assert "Nothing was said yet." in page(browser, path)
    browser.post(f"{path}/cancel", browser.form(path))
    assert "Cancelled" in words_of(page(browser, path))


def test_the_deployments_of_an_environment_are_listed_page_by_page(browser: Browser, world: World, tenant: Tenant):
    _, environment = tenant.somewhere_to_deploy()
    path = f"/console/environments/{environment.id}/deployments"
    assert "runpass deployment start" in page(browser, path)
    for number in range(52):
        tenant.queue(environment, DeployRequest(comment=f"comment {number}"))
    text = page(browser, path)
    assert text.count("Waits for a runner") == 50
    assert "comment 51" in text
    assert "comment 1<" not in text
    assert page(browser, f"{path}?offset=50").count("Waits for a runner") == 2


def test_no_text_of_anybody_does_more_than_be_read(browser: Browser, scene: Scene):
    scene.say("task", EVIL)
    scene.finish(Outcome.FAILURE, refusal=REFUSAL, error="x")
    evil_check = {"name": f"check{EVIL}", "received": f"received{EVIL}", "expected": f"expected{EVIL}", "fix": EVIL}
    refusal = {"code": "x", "reason": f"reason{EVIL}", "vault_error": f"vault{EVIL}", "hint": EVIL}
    columns = {
        "projects": ("name",),
        "environments": ("name",),
        "templates": ("name",),
        "api_keys": ("name",),
        "runner_pools": ("name",),
        "deployments": ("comment", "error", "failed_step", "repository"),
        "deployment_steps": ("name",),
    }
    with scene.world.database.write() as tx:
        for table, names in columns.items():
            tx.execute(update(metadata.tables[table]).values({name: f"{name}-{table}{EVIL}"[:64] for name in names}))
        values = {
            "refusal": {**refusal, "checks": [evil_check]},
            "leaks": [{"secret": f"secret{EVIL}", "step": f"leaky{EVIL}"}],
            "revision": f"revision{EVIL}"[:255],
        }
        tx.execute(update(metadata.tables["deployments"]).values(values))
        step = f"name-deployment_steps{EVIL}"[:128]
        tx.execute(update(metadata.tables["deployment_log_events"]).values({"step": step}))
    lists = f"/console/environments/{scene.environment.id}/deployments"
    seen = ""
    for path in (scene.path, f"{scene.path}/run", f"{scene.path}?find=alert", lists):
        text = page(browser, path)
        assert "<script>alert" not in text
        assert "4900140001" not in text
        assert not {"\u202e", "\x1b", "\x07"} & set(text)
        seen += text
    expected = [f"{name}-{table}" for table, names in columns.items() for name in names]
    expected += ["check", "received", "expected", "reason", "vault", "secret", "leaky", "revision"]
    for word in expected:
        assert f"{word}&lt;script&gt;" in seen, word
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in seen
    assert "\\u202e\\x1b]0;x\\x07" in seen
