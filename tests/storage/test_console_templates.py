"""The page of templates: what it shows of real rows, and that nothing in them does more than be read."""

from collections.abc import Iterator

import pytest
from sqlalchemy import update

from console import Browser, console
from factories import Tenant, World
from runpass.server.db.schema import metadata

EVIL = "<script>alert(1)</script>\"'&amp;{{70001*70001}}\u202e\x1b[31m"


@pytest.fixture
def browser(world: World, tenant: Tenant) -> Iterator[Browser]:
    with console(world) as client:
        found = Browser(client)
        found.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal()))
        yield found


def page(browser: Browser, tenant: Tenant, query: str = "") -> str:
    answer = browser.get(f"/console/organizations/{tenant.id}/templates{query}")
    assert answer.status_code == 200
    return str(answer.text)


def test_templates_are_listed_with_their_code_and_where_they_may_run(browser: Browser, tenant: Tenant):
    assert "There is no template here." in page(browser, tenant)
    tenant.template(tenant.project())
    text = page(browser, tenant)
    assert "shell" in text
    assert "1 project<" in text
    for _ in range(50):
        tenant.template(tenant.project())
    assert 'rel="next"' in page(browser, tenant)
    assert 'rel="next"' not in page(browser, tenant, "?offset=50")


def test_no_text_of_a_template_does_more_than_be_read(browser: Browser, world: World, tenant: Tenant):
    shell, git = (tenant.template(tenant.project()) for _ in range(2))
    table = metadata.tables["templates"]
    source = {name: f"{name}<script>" for name in ("revision", "path")}
    source["repository"] = "https://git.example.com/repository<script>"
    with world.database.write() as tx:
        for column in ("name", "description"):
            tx.execute(update(table).where(table.c.id == shell.id).values({column: f"{column}{EVIL}"}))
        tx.execute(update(table).where(table.c.id == git.id).values(type="terraform", source=source))
    text = page(browser, tenant)
    assert "<script>" not in text
    assert "4900140001" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    for shown in ("name", "description", "revision", "path", "repository"):
        assert f"{shown}&lt;script&gt;" in text, shown
