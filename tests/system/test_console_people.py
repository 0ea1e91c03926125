"""The console's doors for people, in a real browser: the first run, signing in by name, inviting, joining."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from axe import breaches
from browser import Complaints, real_browser, visiting
from programs import RunningServer, run_cli, running_server
from runpass.server.tenancy.setting_up import FILE_NAME

PASSWORD = "stapled horses gallop"


@dataclass(frozen=True)
class Fresh:
    """A server that nobody has set up."""

    server: RunningServer
    browser: Browser

    @property
    def token_file(self) -> Path:
        return self.server.data_dir / FILE_NAME


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fresh]:
    directory = tmp_path_factory.mktemp("people")
    with running_server(directory, workers=2) as server, real_browser() as browser:
        yield Fresh(server, browser)


def fill(page: Page, fields: Mapping[str, str]) -> None:
    for label, value in fields.items():
        page.get_by_label(label, exact=True).fill(value)


def press(page: Page, button: str) -> None:
    page.get_by_role("button", name=button, exact=True).press("Enter")
    page.wait_for_load_state()


def set_up(page: Page, token: str) -> None:
    page.goto("/console/set-up")
    fill(page, {"Set-up token": token, "Organization": "Acme", "Name": "ann@example.com"})
    fill(page, {"Display name": "Ann Smith", "New password": PASSWORD})
    press(page, "Set up")


def sign_in(page: Page, name: str, password: str = PASSWORD) -> None:
    page.goto("/console/sign-in")
    page.get_by_label("Name, or API key id").fill(name)
    page.get_by_label("Password, or its secret").fill(password)
    press(page, "Sign in")


def two_tokens(fresh: Fresh) -> tuple[str, str]:
    """Give the token of the server's start and the one that took its place; neither is told but in the file."""
    server = fresh.server
    first = fresh.token_file.read_text().strip()
    assert fresh.token_file.stat().st_mode & 0o777 == 0o600
    assert str(fresh.token_file) in server.log
    said = run_cli("set-up-token", environment=server.environment)
    assert str(fresh.token_file) in said.stdout + said.stderr
    second = fresh.token_file.read_text().strip()
    assert not [token for token in (first, second) if token in said.stdout + said.stderr + server.log]
    return first, second


def first_run(page: Page, complaints: Complaints, fresh: Fresh) -> None:
    """Set the server up, with a token that is over and then with the right one, and sign out."""
    over, token = two_tokens(fresh)
    page.goto("/console/set-up")
    assert breaches(page) == []
    set_up(page, over)
    assert "wrong, was used, or is too old" in page.get_by_role("alert").inner_text()
    set_up(page, token)
    assert page.title() == "Acme · runpass"
    assert page.get_by_role("heading", level=1).inner_text() == "Acme"
    assert not fresh.token_file.exists()
    page.goto("/console/password")
    assert breaches(page) == []
    press(page, "Sign out")
    assert page.title() == "Sign in · runpass"
    page.goto("/console/set-up")
    assert page.title() == "Not found · runpass"
    assert [text for text in complaints.take() if "401" not in text and "404" not in text] == []


def invited(page: Page) -> str:
    """Sign in by password, invite Bob, make an API key; give Bob's code."""
    sign_in(page, "Ann@Example.com")
    page.get_by_role("link", name="People").click()
    fill(page, {"Name": "bob", "Display name": "Bob"})
    page.get_by_label("Role in the organization").select_option("User")
    press(page, "Invite")
    assert "This is the only time that the code is shown" in page.get_by_role("status").inner_text()
    assert breaches(page) == []
    code = page.locator("#code").inner_text()
    page.get_by_role("link", name="API keys").first.click()
    fill(page, {"Name": "ci"})
    press(page, "Make it")
    assert page.locator("#made-id").inner_text().startswith("rpk_")
    return code


def joins(page: Page, complaints: Complaints, code: str) -> None:
    """Join with the code, which is good once, and sign in by password."""
    page.goto("/console/sign-in")
    page.get_by_role("link", name="join").click()
    fill(page, {"Name": "bob", "Invitation code": code, "New password": PASSWORD})
    press(page, "Join")
    assert page.title() == "Acme · runpass"
    assert page.get_by_role("link", name="People").count() == 0
    press(page, "Sign out")
    page.goto("/console/join")
    fill(page, {"Name": "bob", "Invitation code": code, "New password": PASSWORD})
    press(page, "Join")
    assert "The name or the code is wrong" in page.get_by_role("alert").inner_text()
    assert "401" in complaints.take()[0]
    sign_in(page, "bob")
    assert page.title() == "Acme · runpass"


def test_from_the_first_run_to_somebody_who_joins(fresh: Fresh):
    with visiting(fresh.browser, fresh.server.url) as (page, complaints):
        first_run(page, complaints, fresh)
        code = invited(page)
    with visiting(fresh.browser, fresh.server.url, width=360) as (page, complaints):
        joins(page, complaints, code)
    refused = run_cli("set-up-token", environment=fresh.server.environment, check=False)
    assert refused.returncode != 0
    assert "there is an organization already" in refused.stderr
