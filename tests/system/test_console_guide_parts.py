"""The console in a real browser: from an empty organization to a tree of projects, on a wide screen and a phone.

With `WRITE_SCREENSHOT=1` it draws `docs/images/project.png` anew.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from browser import real_browser, visiting
from factories import Tenant, World
from programs import running_server
from runpass.server.opening import open_parts
from runpass.server.settings import load_settings

SCREENSHOT = Path(__file__).parents[2] / "docs" / "images" / "project.png"


@dataclass(frozen=True)
class Console:
    """A server with an organization that has nothing yet, and one with a project in use."""

    url: str
    empty: Tenant
    used: Tenant
    project: str
    browser: Browser


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with running_server(tmp_path_factory.mktemp("guide"), log_level="error") as server, real_browser() as browser:
        parts = open_parts(load_settings(environment=server.environment).settings)
        world: Any = World(parts.database, parts.cipher, parts.clock)  # type: ignore[arg-type]
        empty, used = world.tenant("Acme"), world.tenant("Globex")
        payments = used.project("payments")
        used.project("card-terminals", payments)
        template = used.template(payments)
        used.queue(used.environment(payments, template, "production"))
        used.environment(payments, template, "staging-with-a-name-that-is-much-longer-than-a-phone-is-wide" * 2)
        yield Console(server.url, empty, used, f"/console/projects/{payments.id}", browser)
        parts.close()


def open_page(page: Page, tenant: Tenant, path: str) -> None:
    page.goto(path)
    page.get_by_label("API key id").fill(tenant.api_key.api_key_id)
    page.get_by_label("Its secret").fill(tenant.api_secret.reveal())
    page.get_by_role("button", name="Sign in").press("Enter")
    page.wait_for_load_state()


def test_a_person_makes_a_project_and_one_below_it(console: Console):
    with visiting(console.browser, console.url) as (page, _):
        open_page(page, console.empty, f"/console/organizations/{console.empty.id}/projects")
        assert "There is no project yet." in page.locator("main").inner_text()
        page.get_by_label("Name", exact=True).fill("payments")
        page.get_by_role("button", name="Make the project").press("Enter")
        page.get_by_role("status").wait_for()
        assert page.get_by_role("heading", level=1).inner_text() == "payments"
        page.get_by_role("link", name="New sub-project").press("Enter")
        page.get_by_label("Name", exact=True).fill("card-terminals")
        page.get_by_role("button", name="Make the project").press("Enter")
        page.get_by_role("heading", name="card-terminals", level=1).wait_for()
        page.get_by_role("main").get_by_role("link", name="payments").press("Enter")
        page.get_by_role("heading", name="payments", level=1).wait_for()
        assert "It cannot be deleted now: the project has sub-projects" in page.locator("main").inner_text()


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_a_project_without_scrolling_sideways(console: Console, *, dark: bool):
    with visiting(console.browser, console.url, dark=dark, width=360) as (page, _):
        open_page(page, console.used, console.project)
        for path in (console.project, f"/console/organizations/{console.used.id}/projects"):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path


def test_a_project_shows_its_environments_with_what_was_last_deployed(console: Console):
    with visiting(console.browser, console.url) as (page, _):
        open_page(page, console.used, console.project)
        row = page.get_by_role("row").filter(has_text="production").inner_text()
        assert "Made, not deployed yet" in row
        page.get_by_role("row").filter(has_text="production").get_by_role("link").last.click()
        page.get_by_role("heading", level=1, name="Deployment of production").wait_for()
        page.go_back()
        if os.environ.get("WRITE_SCREENSHOT") == "1":
            page.screenshot(path=SCREENSHOT)
