"""A project's credentials in a real browser, and a connection that a real runner tests at a real OpenBao.

With `WRITE_SCREENSHOT=1` it draws `docs/images/connection-test.png` anew.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from browser import real_browser, visiting
from runpass.local.admin import Admin
from scene import PASSWORD, Project, Scene
from scene_steps import environment_of

SCREENSHOT = Path(__file__).parents[2] / "docs" / "images" / "connection-test.png"


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


def test_a_credential_is_assigned_by_a_click_and_its_removal_names_who_loses_it(
    scene: Scene, guided: Project, browser: Browser
):
    project = scene.api.project(scene.unique("clicked"))
    environment = environment_of(scene, project, {"type": "shell", "commands": ["true"]})
    with visiting(browser, scene.stage.settings.public_url, width=360) as (page, _):
        sign_in(page, scene.api)
        page.goto(f"/console/projects/{project}")
        page.get_by_role("main").get_by_role("link", name="Credentials").click()
        page.get_by_text("Nothing is assigned").wait_for()
        page.get_by_label("Credential").select_option(label=f"{guided.role} (VAULT_OIDC)")
        page.get_by_role("button", name="Assign").click()
        page.get_by_text("The credential is assigned.").wait_for()
        page.get_by_role("link", name=f"Take away… {guided.role}").click()
        page.get_by_role("heading", name=f"Take {guided.role} away").wait_for()
        assert "1 environment loses it" in page.inner_text("main")
        assert environment["name"] in page.get_by_role("table").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        page.get_by_role("button", name="Take it away").click()
        page.get_by_text("The credential was taken away.").wait_for()


def test_a_connection_is_tested_while_the_page_looks_on(scene: Scene, guided: Project, browser: Browser):
    with visiting(browser, scene.stage.settings.public_url) as (page, _):
        sign_in(page, scene.api)
        page.goto(f"/console/projects/{guided.id}/credentials")
        page.get_by_role("link", name=f"Test… the connection of {guided.role}").click()
        page.get_by_label("Secrets that runs read").fill(f"{guided.kv}/app.password")
        page.get_by_role("button", name="Test the connection").click()
        page.locator("#outcome", has_text="Works").wait_for()
        login = page.locator(".checks > li", has=page.get_by_role("heading", name="The login"))
        assert login.locator(".badge").inner_text() in {"OK", "Look at it"}
        assert PASSWORD not in page.content()
        assert page.locator("#test[hx-trigger]").count() == 0
    assert scene.tokens(guided.mount) == []


def test_what_stops_a_connection_stands_there_with_the_next_step(scene: Scene, guided: Project, browser: Browser):
    project = scene.api.project(scene.unique("mistaken"))
    credential = scene.credential(scene.openbao.address, f"{guided.role}x", guided.mount)
    scene.api.assign(credential, project)
    with visiting(browser, scene.stage.settings.public_url) as (page, _):
        sign_in(page, scene.api)
        page.goto(f"/console/credentials/{credential}/tests?project={project}")
        page.get_by_role("button", name="Test the connection").click()
        page.locator("#outcome", has_text="Does not work").wait_for()
        page.get_by_role("link", name="The role").click()
        role = page.locator(".checks > li:target")
        assert "Failed" in role.inner_text()
        assert "Next:" in role.inner_text()
        if os.environ.get("WRITE_SCREENSHOT") == "1":
            page.evaluate("scrollTo(0, 0)")
            page.screenshot(path=SCREENSHOT, full_page=True, clip={"x": 0, "y": 0, "width": 1280, "height": 1150})
        page.get_by_role("link", name="Test again").click()
        assert "Does not work" in page.get_by_role("table", name="Tests of the last 30 days").inner_text()
