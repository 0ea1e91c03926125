"""A real browser for tests: Chromium on PATH, or else the one that Playwright keeps.

Whatever it complains of fails the test: messages of errors, violations of the content security policy, dialogs,
failed requests.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from services import BROWSERS, browser_on_path, missing

WAIT_MILLISECONDS = 60_000


@contextmanager
def real_browser() -> Iterator[Browser]:
    """Give a running browser without a window; skip, or fail in CI, where there is none."""
    with sync_playwright() as playwright:
        found = browser_on_path() or playwright.chromium.executable_path
        if not Path(found).exists():
            missing("a browser", f"none of {', '.join(BROWSERS)} is on PATH, and Playwright has none")
        # A browser that root starts has no sandbox of its own; it opens nothing but our own pages.
        browser = playwright.chromium.launch(executable_path=found, chromium_sandbox=os.geteuid() != 0)
        yield browser
        browser.close()


class Complaints:
    """What a page complained of."""

    def __init__(self, page: Page) -> None:
        self.found: list[str] = []
        page.on("console", lambda message: self._note(message.type, message.text))
        page.on("pageerror", lambda error: self._note("error", str(error)))
        page.on("requestfailed", lambda request: self._failed(request.url, str(request.failure)))
        page.on("dialog", lambda dialog: (self._note("error", f"a dialog: {dialog.message}"), dialog.dismiss()))

    def take(self) -> list[str]:
        taken, self.found = self.found, []
        return taken

    def _failed(self, url: str, why: str) -> None:
        if "ERR_ABORTED" not in why:  # the icon of a page that was left before it had come
            self._note("error", f"{url} failed: {why}")

    def _note(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} or "Content Security Policy" in text:
            self.found.append(text)


@contextmanager
def visiting(browser: Browser, url: str, *, dark: bool = False, width: int = 1280) -> Iterator[tuple[Page, Complaints]]:
    """Give a page of a browser that nobody has used before; complaints that no test took fail it."""
    scheme = "dark" if dark else "light"
    context = browser.new_context(base_url=url, color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.set_default_timeout(WAIT_MILLISECONDS)
    complaints = Complaints(page)
    yield page, complaints
    left = complaints.take()
    assert left == [], left
    context.close()
