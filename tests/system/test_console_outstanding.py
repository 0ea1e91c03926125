"""The console in a real browser: signing in, what is outstanding, signing out.

With `WRITE_SCREENSHOT=1` it draws `docs/images/outstanding.png` anew.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from browser import real_browser, visiting
from factories import Tenant, World
from programs import RunningServer, running_server
from runpass.protocol.identity import ForJob
from runpass.protocol.vault_logins import LoginEnd
from runpass.server.opening import Parts, open_parts
from runpass.server.settings import load_settings
from vault_run import Run, gone

SCREENSHOT = Path(__file__).parents[2] / "docs" / "images" / "outstanding.png"
LEFT, LOST = "Vault tokens that may still live", "Logins of which nobody knows"


@dataclass(frozen=True)
class Console:
    """A server with one organization whose runs have left something of each kind, and one without any run."""

    server: RunningServer
    parts: Parts
    tenant: Tenant
    empty: Tenant
    browser: Browser

    @property
    def page(self) -> str:
        return f"/console/organizations/{self.tenant.id}/outstanding"


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with running_server(tmp_path_factory.mktemp("console"), log_level="error") as server, real_browser() as browser:
        parts = open_parts(load_settings(environment=server.environment).settings)
        world: Any = World(parts.database, parts.cipher, parts.clock)  # type: ignore[arg-type]
        tenant, empty = world.tenant("Acme"), world.tenant("Globex")
        left = Run(world, tenant, address="https://vault.example.com", roleName="web-production")
        login = left.log_in()
        left.tell(login)
        left.passport.issue(left.holder, ForJob())
        left.finish(gone(login, LoginEnd.FAILED))
        lost = Run(world, tenant, address="https://vault.example.com", roleName="lost-and-silent")
        lost.log_in()
        lost.finish(tells=False)
        yield Console(server, parts, tenant, empty, browser)
        parts.close()


def sign_in(page: Page, tenant: Tenant, secret: str | None = None) -> None:
    page.get_by_label("API key id").fill(tenant.api_key.api_key_id)
    page.get_by_label("Its secret").fill(secret or tenant.api_secret.reveal())
    page.get_by_role("button", name="Sign in").press("Enter")
    page.wait_for_load_state()


def test_a_person_signs_in_sees_what_is_outstanding_and_signs_out(console: Console):
    with visiting(console.browser, console.server.url) as (page, _):
        page.goto(console.page)
        assert page.title() == "Sign in · runpass"
        sign_in(page, console.tenant)
        assert page.url.endswith(console.page)
        assert page.get_by_role("heading", level=1).inner_text() == "What is outstanding"
        known = page.get_by_role("table", name="Logins that gave a token, whose run is over")
        (row,) = known.get_by_role("row").all()[1:]
        assert "web-production" in row.inner_text()
        assert "The Vault could not be asked when the run ended." in row.inner_text()
        assert "a runner of the pool is sent to revoke it" in row.inner_text()
        unknown = page.get_by_role("table", name="Logins that may have given a token, whose run is over")
        assert "lost-and-silent" in unknown.inner_text()
        assert "Nobody knows" in unknown.inner_text()
        tokens = page.get_by_role("table", name="Identity tokens of jobs that ended, which have not expired")
        assert tokens.get_by_role("row").count() == 2
        page.get_by_role("link", name="Sessions").click()
        assert page.get_by_text("(this one)").count() == 1
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_load_state()
        assert page.title() == "Sign in · runpass"
        page.goto(console.page)
        assert page.title() == "Sign in · runpass"


def test_the_cookie_is_kept_over_plain_http_on_this_machine_and_no_script_sees_it(console: Console):
    with visiting(console.browser, console.server.url) as (page, _):
        page.goto("/console/sign-in")
        sign_in(page, console.tenant)
        (cookie,) = page.context.cookies()
        assert cookie["name"] == "__Host-runpass-session"
        assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")
        assert page.evaluate("document.cookie") == ""


def test_the_first_page_leads_there_and_an_organization_without_anything_is_told_what_that_means(console: Console):
    with visiting(console.browser, console.server.url) as (page, complaints):
        page.goto("/console")
        sign_in(page, console.empty)
        assert page.get_by_role("heading", level=1).inner_text() == "Globex"
        page.get_by_role("link", name="What is outstanding").click()
        text = page.inner_text("main")
        assert "Nothing is known to be outstanding, and there is nothing for you to do." in text
        assert " 0 " not in text
        page.goto(console.page)
        assert page.get_by_role("heading", level=1).inner_text() == "Not found"
        assert all("404" in item for item in complaints.take())
        page.get_by_role("link", name="To the first page").click()


def test_a_wrong_key_is_told_so_and_may_try_again(console: Console):
    with visiting(console.browser, console.server.url) as (page, complaints):
        page.goto("/console/sign-in")
        sign_in(page, console.tenant, "rps_wrong")
        assert (
            page.get_by_role("alert").inner_text()
            == "The name or the password is wrong, or the API key id or its secret."
        )
        assert page.get_by_label("Its secret").input_value() == ""
        assert all("401" in item for item in complaints.take())
        sign_in(page, console.tenant)
        assert page.get_by_role("heading", level=1).inner_text() == "Acme"


def test_a_session_that_is_over_leads_back_to_the_page_that_was_wanted(console: Console):
    with visiting(console.browser, console.server.url) as (page, _):
        page.goto("/console/sign-in")
        sign_in(page, console.tenant)
        with console.parts.database.write() as tx:
            tx.exec_driver_sql("UPDATE console_sessions SET ends_at = '2020-01-01 00:00:00.000000'")
        page.goto(console.page)
        assert page.title() == "Sign in · runpass"
        sign_in(page, console.tenant)
        assert page.url.endswith(console.page)


def test_it_is_used_with_the_keyboard_alone(console: Console):
    with visiting(console.browser, console.server.url) as (page, _):
        page.goto("/console/sign-in")
        page.keyboard.type(console.tenant.api_key.api_key_id)  # the first field has the focus
        page.keyboard.press("Tab")
        page.keyboard.type(console.tenant.api_secret.reveal())
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Acme").wait_for()
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        link = page.get_by_role("link", name="What is outstanding")
        while not link.evaluate("link => link === document.activeElement"):
            page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.get_by_role("heading", name=LEFT).wait_for()


def test_another_site_can_neither_sign_a_person_out_nor_show_the_console_inside_it(console: Console):
    with visiting(console.browser, console.server.url) as (page, complaints):
        page.goto("/console/sign-in")
        sign_in(page, console.tenant)
        there = console.server.url.replace("127.0.0.1", "localhost")  # another site to a browser
        page.route(f"{there}/evil", lambda route: route.fulfill(content_type="text/html", body=evil(console)))
        page.goto(f"{there}/evil")
        assert page.frames[1].url.startswith("chrome-error://"), "the browser was told to refuse it"
        page.get_by_role("button").click()
        page.wait_for_url(f"{console.server.url}/**")
        complaints.take()  # of the frame, which may have been refused or broken off
        page.goto("/console/sessions")
        assert page.get_by_role("heading", level=1).inner_text() == "Sessions"


def evil(console: Console) -> str:
    """A page of another site that sends our form and shows our page."""
    url = console.server.url
    field = '<input name="form_token" value="x">'
    form = f'<form method="post" action="{url}/console/sign-out">{field}<button>Win a prize</button></form>'
    return f'{form}<iframe src="{url}/console/"></iframe>'


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone_in_light_and_in_dark(console: Console, *, dark: bool):
    with visiting(console.browser, console.server.url, dark=dark, width=360) as (page, _):
        page.goto(console.page)
        sign_in(page, console.tenant)
        page.get_by_role("heading", name=LOST).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(20, 24, 27)" if dark else "rgb(251, 251, 249)")


def test_the_picture_in_the_documentation(console: Console):
    with visiting(console.browser, console.server.url, width=1280) as (page, _):
        page.goto(console.page)
        sign_in(page, console.tenant)
        assert str(datetime.now(UTC).year) in page.inner_text("main")
        if os.environ.get("WRITE_SCREENSHOT") == "1":
            page.screenshot(path=SCREENSHOT, full_page=True)
