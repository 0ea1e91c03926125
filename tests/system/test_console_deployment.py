"""A deployment in a real browser, while a real runner works on it with a secret of a real OpenBao.

With `WRITE_SCREENSHOT=1` it draws `docs/images/deployment.png` anew.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from browser import real_browser, visiting
from runpass.local.admin import Admin
from scene import PASSWORD, Project, Scene, as_role
from scene_steps import environment_of, until

SCREENSHOT = Path(__file__).parents[2] / "docs" / "images" / "deployment.png"
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script>"
RED = r"\033[31mred\033[0m"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with real_browser() as found:
        yield found


@pytest.fixture(scope="module")
def guided(scene: Scene) -> Project:
    return scene.guided()


def sign_in(page: Page, key: Admin) -> None:
    given = json.loads(key.key_file())
    page.goto("/console/sign-in")
    page.get_by_label("API key id").fill(given["apiKeyId"])
    page.get_by_label("Its secret").fill(given["apiKeySecret"])
    page.get_by_role("button", name="Sign in").press("Enter")
    page.get_by_role("heading", level=1).wait_for()


def waiting_for(file: Path) -> str:
    """Give a command that waits for a file, at most a minute."""
    return f"for n in $(seq 600); do test -e {file} && break; sleep 0.1; done"


def test_the_log_is_seen_while_it_is_written_and_obeyed_by_nobody(
    scene: Scene, guided: Project, browser: Browser, tmp_path: Path
):
    gate = tmp_path / "go-on"
    for place in (tmp_path, *tmp_path.parents):
        if "pytest" in str(place):
            place.chmod(0o711)  # the run's user looks for the file
    parts = (f"printf 'first {RED}\\n'", waiting_for(gate), f"echo '{EVIL}'", 'echo "secret: $FROM_VAULT"', "echo last")
    variables = {"FROM_VAULT": guided.reference}
    deployment = scene.api.start(scene.unique("watched"), guided.id, ["; ".join(parts)], variables)
    with visiting(browser, scene.stage.settings.public_url) as (page, _):
        sign_in(page, scene.api)
        page.goto(f"/console/deployments/{deployment}")
        page.locator(".line", has_text="first red").wait_for()
        assert page.locator(".line .fg-1").text_content() == "red"
        assert page.locator("#status").inner_text() == "Going on"
        assert page.get_by_role("button", name="Abort").is_visible()
        card = page.get_by_role("region", name="Its pass")
        for word in ("In use", guided.role, f"auth/{guided.mount}", "2 min 0 s", "default"):
            card.locator("article").get_by_text(word).first.wait_for()
        card.locator("[data-until]", has_text=" s").wait_for()
        gate.touch()
        page.locator(".line", has_text="last").wait_for()
        page.locator("#status", has_text="Succeeded").wait_for()
        page.locator("#live", has_text="The deployment has ended.").wait_for()
        assert page.get_by_role("button", name="Abort").count() == 0
        text = page.locator("#steps").text_content() or ""  # a line out of sight has no inner text
        assert EVIL in text
        assert "secret: ***" in text
        assert PASSWORD not in page.content()
        card.locator(".badge", has_text="Revoked").wait_for()
        assert card.get_by_text(deployment).count() == 1
        assert card.locator("[data-until]").count() == 0
        if os.environ.get("WRITE_SCREENSHOT") == "1":
            page.screenshot(path=SCREENSHOT, full_page=True)
        page.locator(".line", has_text="last").locator("a.number").click()
        page.locator(".line:target", has_text="last").wait_for()


def test_a_plan_is_approved_by_a_click_which_another_browser_sees(scene: Scene, guided: Project, browser: Browser):
    template = {"type": "shell", "planCommands": ["echo planned"], "commands": ["echo applied"]}
    environment = environment_of(scene, guided.id, template)
    url = scene.stage.settings.public_url
    with as_role(scene, guided.id, "Planner") as planner, as_role(scene, guided.id, "Deployer") as deployer:
        queued = planner.call("POST", f"/environments/{environment['id']}/deployments", {"userRequiresApproval": False})
        until(planner, queued["id"], "WAITING_FOR_USER")
        with visiting(browser, url) as (theirs, _), visiting(browser, url) as (ours, _):
            for page, key in ((theirs, planner), (ours, deployer)):
                sign_in(page, key)
                page.goto(f"/console/deployments/{queued['id']}")
                page.locator("#status", has_text="Waits for an approval").wait_for()
            assert theirs.get_by_role("button", name="Approve the plan").count() == 0
            ours.get_by_role("button", name="Approve the plan").click()
            theirs.locator("#status", has_text="Succeeded").wait_for()
            theirs.locator(".line", has_text="applied").wait_for()


def test_a_refusal_stands_there_with_both_sides_for_those_who_may_see_them(
    scene: Scene, guided: Project, browser: Browser
):
    with scene.operator() as operator:
        role = f"auth/{guided.mount}/role/{guided.role}"
        kept = operator.read(role).data
        operator.write(role, {**kept, "bound_audiences": ["https://somebody-else.example.com"]})
        deployment, _ = scene.deploy(guided.id, "echo never", FROM_VAULT=guided.reference)
        operator.write(role, kept)
    assert deployment["status"] == "FAILURE"
    path = f"/console/deployments/{deployment['id']}"
    with as_role(scene, guided.id, "Viewer") as viewer:
        for key, sees in ((scene.api, True), (viewer, False)):
            with visiting(browser, scene.stage.settings.public_url) as (page, _):
                sign_in(page, key)
                page.goto(path)
                assert page.get_by_role("heading", name="Why it got no secrets").is_visible()
                table = page.get_by_role("table", name="What the Vault looked at")
                assert (table.get_by_role("columnheader", name="Expected").count() == 1) == sees
                assert page.get_by_role("button", name="Abort").count() == 0


def test_a_session_that_ends_takes_the_stream_with_it(scene: Scene, guided: Project, browser: Browser, tmp_path: Path):
    gate = tmp_path / "go-on"
    deployment = scene.api.start(scene.unique("left"), guided.id, [f"echo begun; {waiting_for(gate)}"])
    with visiting(browser, scene.stage.settings.public_url) as (page, complaints):
        sign_in(page, scene.api)
        page.goto(f"/console/deployments/{deployment}")
        page.locator(".line", has_text="begun").wait_for()
        elsewhere = page.context.new_page()
        elsewhere.goto("/console/sessions")
        elsewhere.get_by_role("button", name="Sign out").click()
        page.locator("#live", has_text="Your session is over.").wait_for()
        complaints.take()
    gate.touch()
    scene.api.call("POST", f"/environments/deployments/{deployment}/abort")
    deadline = time.monotonic() + 60
    while scene.api.call("GET", f"/environments/deployments/{deployment}")["status"] not in {"ABORTED", "SUCCESS"}:
        assert time.monotonic() < deadline
        time.sleep(0.2)
