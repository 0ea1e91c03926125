"""Every page of the console as people meet it: what axe finds, on a phone, and what each page is called."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from axe import breaches
from browser import Complaints, real_browser, visiting
from factories import World
from programs import RunningServer, running_server
from runpass.server.opening import open_parts
from runpass.server.settings import load_settings
from surface_pages import PAGES
from surface_scene import Things, furnish

PUBLIC = {"GET /console", "GET /console/sign-in", "GET /console/join"}
ELSEWHERE = {"GET /console/set-up", "GET /console/password", "GET /console/sign-in/callback"}
"""Not there, where there is an organization, nothing for API keys (see `test_console_people`), and not there without
a provider (see `test_console_openid`)."""


@dataclass(frozen=True)
class Scene:
    """A running server with a tenant that has one of everything."""

    server: RunningServer
    ours: Things
    browser: Browser


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with running_server(tmp_path_factory.mktemp("pages"), log_level="error") as server, real_browser() as browser:
        parts = open_parts(load_settings(environment=server.environment).settings)
        world: Any = World(parts.database, parts.cipher, parts.clock)  # type: ignore[arg-type]
        yield Scene(server, furnish(world, "Acme", "canary"), browser)
        parts.close()


def sign_in(page: Page, scene: Scene) -> None:
    key = scene.ours.callers["Admin"]
    page.goto("/console/sign-in")
    page.get_by_label("API key id").fill(key.key.api_key_id)
    page.get_by_label("Its secret").fill(key.secret.reveal())
    page.get_by_role("button", name="Sign in").press("Enter")
    page.wait_for_load_state()


def shown(page: Page, complaints: Complaints, scene: Scene) -> Iterator[str]:
    """Show every page that a browser draws, the public ones without a session; give their routes."""
    signed_in = False
    routes = [each for each in PAGES if each.route.startswith("GET ") and each.route not in ELSEWHERE]
    for each in sorted(routes, key=lambda one: one.route not in PUBLIC):
        if each.route not in PUBLIC and not signed_in:
            sign_in(page, scene)
            signed_in = True
        answer = page.request.get(each.path(scene.ours.ids))
        if "<html" not in answer.text()[:200]:
            continue  # a file, or a part of a page
        page.goto(each.path(scene.ours.ids))
        yield each.route
    assert complaints.take() == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_serious(scene: Scene, *, dark: bool):
    with visiting(scene.browser, scene.server.url, dark=dark) as (page, complaints):
        found = {route: breaches(page) for route in shown(page, complaints, scene)}
    assert len(found) >= 5
    assert {route: lines for route, lines in found.items() if lines} == {}


def test_axe_does_find_what_is_there(scene: Scene):
    with visiting(scene.browser, scene.server.url) as (page, _):
        page.set_content('<html lang="en"><title>x</title><main><h1>x</h1><input type="text"></main></html>')
        assert [line.partition(":")[0] for line in breaches(page)] == ["label"]


def test_no_page_is_wider_than_a_phone(scene: Scene):
    with visiting(scene.browser, scene.server.url, width=360) as (page, complaints):
        wide = [
            route
            for route in shown(page, complaints, scene)
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
        ]
    assert wide == []


def test_every_page_has_one_heading_a_title_of_its_own_and_a_way_past_the_navigation(scene: Scene):
    with visiting(scene.browser, scene.server.url) as (page, complaints):
        titles = []
        for route in shown(page, complaints, scene):
            assert page.get_by_role("heading", level=1).count() == 1, route
            assert page.locator("a.skip").get_attribute("href") == "#content", route
            titles.append(page.title())
    assert len(set(titles)) >= len(titles) - 2, titles
