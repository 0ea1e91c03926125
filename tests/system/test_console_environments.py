"""An environment in a real browser: made, deployed, given an end, destroyed once that was asked, archived.

With `WRITE_SCREENSHOT=1` it draws `docs/images/environment.png` anew.
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
from programs import RunningServer, running_server
from runpass.server.opening import open_parts
from runpass.server.settings import load_settings
from runpass.server.tenancy.model import Project
from runpass.server.variables.model import VariableScope

SCREENSHOT = Path(__file__).parents[2] / "docs" / "images" / "environment.png"


@dataclass(frozen=True)
class Console:
    """A server with a project that has a template, a credential and variables, and no runner."""

    server: RunningServer
    tenant: Tenant
    project: Project
    browser: Browser


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with running_server(tmp_path_factory.mktemp("console"), log_level="error") as server, real_browser() as browser:
        parts = open_parts(load_settings(environment=server.environment).settings)
        world: Any = World(parts.database, parts.cipher, parts.clock)  # type: ignore[arg-type]
        tenant = world.tenant("Acme")
        project = tenant.project("payments")
        tenant.template(project, name="web-service")
        tenant.assign(tenant.credential(name="vault-production"), project)
        tenant.variable(VariableScope.GLOBAL, tenant.id, "REGION", "eu-central-1")
        tenant.variable(VariableScope.PROJECT, project.id, "DATABASE_PASSWORD", "canary-5678", is_sensitive=True)
        yield Console(server, tenant, project, browser)
        parts.close()


def sign_in(page: Page, tenant: Tenant) -> None:
    page.goto("/console/sign-in")
    page.get_by_label("API key id").fill(tenant.api_key.api_key_id)
    page.get_by_label("Its secret").fill(tenant.api_secret.reveal())
    page.get_by_role("button", name="Sign in").press("Enter")
    page.wait_for_load_state()


def follow(page: Page, role: Any, name: str, heading: str) -> None:
    """Press a link or a button, and see where it leads."""
    page.get_by_role(role, name=name, exact=True).click()
    page.get_by_role("heading", level=1, name=heading, exact=True).wait_for()


def test_an_environment_is_made_deployed_given_an_end_and_destroyed_once_that_was_asked(console: Console):
    with visiting(console.browser, console.server.url) as (page, complaints):
        sign_in(page, console.tenant)
        page.goto(f"/console/projects/{console.project.id}")
        follow(page, "link", "New environment", "New environment")
        page.get_by_label("Name").fill("web-production")
        page.get_by_label("Template").select_option("web-service")
        page.get_by_label("Variables").fill("TIER=\nNONSENSE")
        page.get_by_role("button", name="Make the environment").click()
        page.locator("#field-configurationChanges-error", has_text="line 2 must be NAME=value").wait_for()
        assert all("422" in item for item in complaints.take())
        assert page.get_by_label("Name").input_value() == "web-production"
        page.get_by_label("Variables").fill("TIER=gold")
        follow(page, "button", "Make the environment", "Deployment of web-production")
        assert page.locator("#status").inner_text() == "Waits for a runner"

        page.goto(f"/console/projects/{console.project.id}/environments?name=WEB")
        follow(page, "link", "web-production", "web-production")
        for table, shown in (
            ("The newest deployments", "Waits for a runner"),
            ("What a run would use now", "vault-production"),
            ("What a run would be given now", "eu-central-1"),
        ):
            assert shown in page.get_by_role("table", name=table).inner_text()
        assert "canary-5678" not in page.content()

        follow(page, "link", "Deploy", "Deploy web-production")
        page.get_by_label("Comment").fill("more replicas")
        follow(page, "button", "Deploy", "Deployment of web-production")
        assert "more replicas" in page.inner_text("main")

        follow(page, "link", "Deployments", "Deployments")
        follow(page, "link", "web-production", "web-production")
        page.get_by_label("Lives").select_option("for hours")
        page.get_by_label("Hours, or date").fill("72")
        page.get_by_role("button", name="Decide").click()
        page.get_by_role("status").get_by_text("When it ends was decided.").wait_for()
        if os.environ.get("WRITE_SCREENSHOT") == "1":
            page.screenshot(path=SCREENSHOT, full_page=True)

        follow(page, "link", "Destroy", "Destroy web-production?")
        follow(page, "link", "Leave it", "web-production")
        follow(page, "link", "Destroy", "Destroy web-production?")
        follow(page, "button", "Destroy it", "Destruction of web-production")


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone_in_light_and_in_dark(console: Console, *, dark: bool):
    environment = console.tenant.environment(console.project, None, "an-environment-with-a-rather-long-name-" * 4)
    with visiting(console.browser, console.server.url, dark=dark, width=360) as (page, _):
        sign_in(page, console.tenant)
        one, here = f"/console/environments/{environment.id}", f"/console/projects/{console.project.id}/environments"
        for path in (one, f"{one}/deploy", f"{one}/destroy", here, f"{here}/new"):
            page.goto(path)
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
