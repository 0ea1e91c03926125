"""The first page in a real browser. With `WRITE_SCREENSHOT=1` it draws `docs/images/first-page.png` anew."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import update

from browser import real_browser, visiting
from factories import Tenant, World
from programs import RunningServer, running_server
from runpass.server.db.schema.deployments import deployments
from runpass.server.opening import open_parts
from runpass.server.settings import load_settings

SCREENSHOT = Path(__file__).parents[2] / "docs" / "images" / "first-page.png"
REFUSAL = {"code": "vault_role_does_not_bind", "reason": "The role web-production does not bind this project."}


@dataclass(frozen=True)
class Console:
    server: RunningServer
    tenant: Tenant
    empty: Tenant
    browser: Browser


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with running_server(tmp_path_factory.mktemp("first"), log_level="error") as server, real_browser() as browser:
        parts = open_parts(load_settings(environment=server.environment).settings)
        world: Any = World(parts.database, parts.cipher, parts.clock)  # type: ignore[arg-type]
        tenant, empty = world.tenant("Acme"), world.tenant("Globex")
        tenant.runner()
        project = tenant.project("web")
        tenant.assign(tenant.credential(), project)
        template = tenant.template(project)
        outcomes = {"production": "SUCCESS", "staging": "FAILURE", "preview": "SUCCESS"}
        for name, status in outcomes.items():
            deployment = tenant.queue(tenant.environment(project, template, name))
            refusal = REFUSAL if status == "FAILURE" else None
            changed = update(deployments).where(deployments.c.id == deployment.id)
            with parts.database.write() as tx:
                tx.execute(changed.values(status=status, refusal=refusal))
        yield Console(server, tenant, empty, browser)
        parts.close()


def sign_in(page: Page, tenant: Tenant) -> None:
    page.goto("/")
    page.get_by_label("API key id").fill(tenant.api_key.api_key_id)
    page.get_by_label("Its secret").fill(tenant.api_secret.reveal())
    page.get_by_role("button", name="Sign in").press("Enter")
    page.wait_for_load_state()


def test_a_newcomer_is_led_to_the_next_step_and_can_copy_its_command(console: Console):
    with visiting(console.browser, console.server.url) as (page, _):
        sign_in(page, console.empty)
        assert page.title() == "Globex · runpass"
        steps = page.get_by_role("list").filter(has_text="Start a runner").get_by_role("listitem")
        assert steps.count() == 8
        assert page.get_by_role("button", name="Copy the command").count() == 1
        page.get_by_role("link", name="Start a runner").press("Enter")
        page.wait_for_load_state()
        assert page.url.endswith("/runners#join")


def test_what_ran_and_what_was_refused_lead_to_the_deployment(console: Console):
    with visiting(console.browser, console.server.url) as (page, _):
        sign_in(page, console.tenant)
        newest = page.get_by_role("table", name="The newest deployments in projects that you may see")
        assert [row.inner_text().split("\n")[0] for row in newest.get_by_role("row").all()[1:]] == [
            "web / preview",
            "web / staging",
            "web / production",
        ]
        if os.environ.get("WRITE_SCREENSHOT") == "1":
            page.screenshot(path=SCREENSHOT, full_page=True)
        refused = page.get_by_role("table", name="did not get their secrets")
        assert REFUSAL["reason"] in refused.inner_text()
        refused.get_by_role("link", name="web / staging").press("Enter")
        page.wait_for_load_state()
        assert "/console/deployments/" in page.url
