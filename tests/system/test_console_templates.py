"""The console in a real browser: a template is made and attached to a project, then it is given variables.

With `WRITE_SCREENSHOT=1` it draws `docs/images/template.png` and `docs/images/variables.png` anew.
"""

import os
from collections.abc import Iterator, Mapping
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
from runpass.server.tenancy.model import Environment, Project
from runpass.server.variables.model import Details, ValueSchema, VariableScope

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SECRET = "a sensitive value, typed once"


@dataclass(frozen=True)
class Console:
    """A server with an organization that has a project, an environment and a variable, and no template."""

    url: str
    tenant: Tenant
    project: Project
    environment: Environment
    browser: Browser


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with running_server(tmp_path_factory.mktemp("templates"), log_level="error") as server, real_browser() as browser:
        parts = open_parts(load_settings(environment=server.environment).settings)
        world: Any = World(parts.database, parts.cipher, parts.clock)  # type: ignore[arg-type]
        tenant = world.tenant("Acme")
        project = tenant.project("payments")
        environment = tenant.environment(project, None, "production")
        size = Details(description="of the machines", value_schema=ValueSchema(enum=("small", "large")))
        tenant.variable(VariableScope.GLOBAL, tenant.id, "SIZE", "small", details=size)
        tenant.variable(VariableScope.GLOBAL, tenant.id, "REGION", "eu-1", details=Details(is_readonly=True))
        tenant.variable(VariableScope.ENVIRONMENT, environment.id, "LONG", "long-and-never-broken" * 20)
        yield Console(server.url, tenant, project, environment, browser)
        parts.close()


def open_page(page: Page, console: Console, path: str) -> None:
    page.goto(path)
    page.get_by_label("API key id").fill(console.tenant.api_key.api_key_id)
    page.get_by_label("Its secret").fill(console.tenant.api_secret.reveal())
    press(page, "Sign in")


def press(page: Page, button: str) -> None:
    page.get_by_role("button", name=button, exact=True).press("Enter")
    page.wait_for_load_state()


def fill(page: Page, fields: Mapping[str, str]) -> None:
    for label, value in fields.items():
        page.get_by_label(label).fill(value)


def picture(page: Page, name: str) -> None:
    if os.environ.get("WRITE_SCREENSHOT") == "1":
        page.screenshot(path=IMAGES / name)


def make_template(page: Page, console: Console) -> None:
    """Make a template of type shell, after one try without a command, and attach it to the project."""
    open_page(page, console, f"/console/organizations/{console.tenant.id}/templates")
    page.get_by_role("link", name="New template").press("Enter")
    page.get_by_label("Kind").select_option("shell")
    press(page, "Go on")
    fill(page, {"Name": "web shop", "Commands of a destroy": "./destroy"})
    page.get_by_label("Commands", exact=True).fill("./build\n# next command\n./deploy")
    press(page, "Make the template")
    assert page.get_by_role("heading", level=1).inner_text() == "web shop"
    assert page.get_by_label("Commands, 2 of 2").inner_text() == "./deploy"
    page.get_by_label("Project", exact=True).select_option("payments")
    press(page, "Attach")
    assert "may run the template" in page.get_by_role("status").inner_text()
    assert page.get_by_role("table").get_by_role("link", name="payments").count() == 1
    picture(page, "template.png")


def give_it_a_variable(page: Page) -> None:
    """Give the template a sensitive variable, after a mistake that stands at its field."""
    page.get_by_role("link", name="Variables of this template").press("Enter")
    page.wait_for_load_state()
    page.locator("#field-name").fill("not a name")
    page.locator("#field-value").fill(SECRET)
    page.get_by_label("Sensitive").check()
    press(page, "Make the variable")
    assert "must be letters, digits and underscores" in page.locator("#field-name-error").inner_text()
    assert page.get_by_label("Sensitive").is_checked()
    assert SECRET not in page.content()
    page.locator("#field-name").fill("API_TOKEN")
    page.locator("#field-value").fill(SECRET)
    press(page, "Make the variable")
    assert page.get_by_role("status").inner_text() == "The variable was made."
    row = page.get_by_role("row").filter(has_text="API_TOKEN").inner_text()
    assert "Sensitive not shown" in row
    assert "here" in row


def give_the_project_its_own_value(page: Page, console: Console) -> None:
    """Take an inherited variable with choices, and choose another one for the project."""
    page.goto(f"/console/projects/{console.project.id}")
    page.get_by_role("link", name="Variables of this project").press("Enter")
    page.get_by_role("link", name="A value of its own here: SIZE").press("Enter")
    page.wait_for_load_state()
    page.locator("#field-value").select_option("large")
    press(page, "Make the variable")
    row = page.get_by_role("row").filter(has_text="SIZE").inner_text()
    assert "large" in row
    assert "in place of the one of: organization" in row
    assert page.get_by_role("link", name="A value of its own here: REGION").count() == 0
    picture(page, "variables.png")


def test_a_template_is_made_and_attached_and_variables_are_given(console: Console):
    with visiting(console.browser, console.url) as (page, complaints):
        make_template(page, console)
        give_it_a_variable(page)
        assert all("422" in item for item in complaints.take())
        give_the_project_its_own_value(page, console)


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_variables_without_scrolling_sideways(console: Console, *, dark: bool):
    here = f"/console/environments/{console.environment.id}/variables"
    with visiting(console.browser, console.url, dark=dark, width=360) as (page, _):
        open_page(page, console, here)
        page.get_by_text("What a value may hold").click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.get_by_text("${vault:kv/app.*}").is_visible()
