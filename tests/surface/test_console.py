"""Every page of the console: for nobody, for another tenant, for each role, and with what headers."""

import os
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from starlette.testclient import TestClient

from console import HOST, OURS, Browser, hidden_fields
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.app import build_app
from runpass.server.web.cookies import SESSION
from surface_pages import PAGES
from surface_scene import Server, basic, key_of, routes

HERE = Path(__file__).parent
PUBLIC = {entry["route"] for entry in tomllib.loads((HERE / "public_routes.toml").read_text())["route"]}
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src {}; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
NONCE = re.compile(r"'nonce-([A-Za-z0-9_-]{22})'")
NONCE_IN_TEXT = re.compile(r'nonce="[^"]+"')
ROLES_FILE = HERE / "console_roles.txt"
SET_UP = {"GET /console/set-up", "POST /console/set-up"}
OPENID = {"POST /console/sign-in/openid", "GET /console/sign-in/callback"}
OF_PROJECTS = (
    *("parent", "project", "home", "empty project", "environment", "other environment", "credential", "assigned"),
    *("PROJECT variable", "ENVIRONMENT variable", "running", "queued", "waiting", "ended", "queued test"),
)
"""What somebody without a role on the scene's projects, nor on all of the organization, is told nothing of."""
ROLES = ("Admin", "User", "project Admin", "project Deployer", "project Planner", "project Viewer")


def page_of(organization: object) -> str:
    return f"/console/organizations/{organization}/outstanding"


def signed_in(server: Server, role: str = "Admin", client: TestClient | None = None) -> Browser:
    browser = Browser(client or server.client)
    assert browser.sign_in(server.ours.callers[role]).status_code == 303
    return browser


def pages(server: Server) -> dict[str, str]:
    """Give every route of the console with a path that an admin of ours may ask for."""
    return {page.route: page.path(server.ours.ids) for page in PAGES}


def guarded(answer: Any) -> None:
    """The answer has the headers of every page."""
    policy = answer.headers["content-security-policy"]
    nonce = NONCE.search(policy)
    assert policy == POLICY.format(nonce[0] if nonce else "'none'")
    scripts = re.findall(r"<script[^>]*>", answer.text) if "text/html" in answer.headers.get("content-type", "") else []
    assert all(nonce and f'nonce="{nonce[1]}" src="/console/assets/' in script for script in scripts)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cache-control"] in {"no-store", "no-cache"}
    if answer.headers["cache-control"] == "no-cache":
        assert "set-cookie" not in answer.headers


def test_nobody_sees_a_page_but_the_public_ones(server: Server):
    found = pages(server)
    assert set(found) == {route for route in routes(server.app) if " /console" in route}
    for route, path in found.items():
        browser = Browser(server.client)
        answer = browser.get(path) if route.startswith("GET") else browser.post(path, {})
        guarded(answer)
        if route not in PUBLIC:
            assert answer.status_code == 303, route
            assert answer.headers["location"].startswith("/console/sign-in"), route
            assert "set-cookie" not in answer.headers, "without the cookie it may be another site's request"
        elif answer.status_code != 200:
            assert route in {"GET /console", "POST /console/sign-in", "POST /console/join"} | SET_UP | OPENID, route


def test_a_form_that_no_page_of_ours_sent_changes_nothing(server: Server):
    for page in PAGES:
        if page.route.startswith("GET ") or page.route in PUBLIC:
            continue
        server.restore()
        browser = signed_in(server)
        fields = {**page.fields(server.ours.ids), "form_token": browser.form()["form_token"]}
        path = page.path(server.ours.ids)
        elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example.com"}
        wrong = ({"form_token": ""}, OURS), ({"form_token": "0" * 64}, OURS), ({}, elsewhere), ({}, {})
        for change, headers in wrong:
            answer = browser.post(path, fields | change, headers)
            guarded(answer)
            assert answer.status_code == 403, (page.route, change, headers)
        assert browser.post(path, fields).status_code in {200, 303}, page.route


def test_the_servers_name_alone_leads_to_the_first_page_and_nowhere_else(server: Server):
    for path in ("/", "/?next=https://evil.example.com", "/?//evil.example.com"):
        headers = {"Host": "evil.example.com", "X-Forwarded-Host": "evil.example.com"}
        answer = server.client.get(path, headers=headers, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console/"), path
        guarded(answer)
    assert server.client.get(f"{HOST}//evil.example.com/", follow_redirects=False).status_code == 404
    assert server.client.post("/", follow_redirects=False).status_code == 405


def test_no_other_bearer_is_a_session(server: Server):
    ours = server.ours
    secrets = [ours.runner.key, ours.join_token, ours.lease.lease_secret, ours.callers["Admin"].secret]
    for secret in [item.reveal() for item in secrets]:
        browser = Browser(server.client)
        browser.cookies[SESSION] = secret
        assert browser.get(page_of(ours.ids["organization"])).status_code == 303
        assert Browser(server.client).get("/console/", Authorization=f"Bearer {secret}").status_code == 303
    admin = Browser(server.client).get("/console/", **basic(ours.callers["Admin"]))
    assert admin.status_code == 303


def test_what_each_role_may_do_is_exactly_what_the_table_says(server: Server):
    lines = [f"{'':92}" + "".join(f"{role:18}" for role in ROLES).rstrip()]
    for page in PAGES:
        if page.route in PUBLIC:
            continue
        row = []
        for role in ROLES:
            server.restore()
            browser = signed_in(server, role)
            answer = page.ask(browser, server.ours.ids)
            guarded(answer)
            row.append(answer.status_code)
        lines.append(f"{page.route:92}" + "".join(f"{status:<18}" for status in row).rstrip())
    found = "\n".join(lines) + "\n"
    if os.environ.get("WRITE_EXPECTED") == "1":
        ROLES_FILE.write_text(found)
    assert found == ROLES_FILE.read_text(), "read the difference, and if it is meant, run again with WRITE_EXPECTED=1"


def test_another_tenants_ids_are_as_unknown_as_ids_that_do_not_exist(server: Server):
    """SECURITY: in every path, another tenant's id must neither work nor be told from a made-up one."""
    browser = signed_in(server)
    for page in PAGES:
        for name in page.names.values():
            said = set()
            assert page.ask(browser, {**server.ours.ids, name: "x"}).status_code == 404, (page.route, name)
            for strange in (server.theirs.ids[name], uuid4()):
                answer = page.ask(browser, {**server.ours.ids, name: strange})
                guarded(answer)
                assert answer.status_code == 404, (page.route, name, strange)
                said.add(answer.text.replace(answer.headers["x-request-id"], "").replace(str(strange), ""))
            assert len({NONCE_IN_TEXT.sub("", text) for text in said}) == 1, (page.route, name)


def test_an_admin_of_another_project_finds_nothing_of_this_one(server: Server):
    """SECURITY: neither by an id in a path, nor in what the pages of the organization list."""
    tenant = server.ours.tenant
    neighbour = key_of(tenant, OrganizationRole.USER, tenant.project("next door").id, ProjectRole.ADMIN)
    browser = Browser(server.client)
    assert browser.sign_in(neighbour).status_code == 303
    hidden = {name: server.ours.ids[name] for name in OF_PROJECTS}
    for page in PAGES:
        if page.route in PUBLIC or page.route == "POST /console/sign-out":
            continue
        answer = page.ask(browser, server.ours.ids)
        guarded(answer)
        if set(page.names.values()) & set(OF_PROJECTS):
            assert answer.status_code == 404, page.route
        elif page.route.startswith("GET "):
            assert not [name for name, one in hidden.items() if str(one) in answer.text], page.route


def test_no_page_says_a_word_of_what_the_request_calls_the_server(server: Server):
    """SECURITY: addresses come from the settings, so that nobody's cache and nobody's link can be made to differ."""
    evil = "evil.example.com"
    names = {"Host": evil, "X-Forwarded-Host": evil, "X-Forwarded-Proto": "gopher", "Forwarded": f"host={evil}"}
    browser, nobody = signed_in(server), Browser(server.client)
    for route, path in pages(server).items():
        if not route.startswith("GET "):
            continue
        for visitor in (browser, nobody):
            answer = visitor.get(path, **names)
            guarded(answer)
            said = answer.text + "".join(answer.headers.values())
            assert evil not in said, route
            assert "gopher" not in said, route
            assert answer.headers.get("location", "/console/").startswith("/console"), route


def test_the_navigation_offers_what_the_visitor_may_see(server: Server):
    for role in ROLES:
        browser = signed_in(server, role)
        home = browser.get("/console/").text
        for path in re.findall(r'<li><a href="([^"]+)"', home):
            assert browser.get(path).status_code == 200, (role, path)


def test_accessors_are_for_admins_of_the_organization(server: Server):
    accessor = "accessor-of-a-token-left-behind"
    page = page_of(server.ours.ids["organization"])
    assert accessor in signed_in(server).get(page).text
    seen = signed_in(server, "project Admin").get(page).text
    assert "1 Vault token of ended runs may still live." in seen
    assert accessor not in seen


def test_a_page_holds_no_secret(server: Server):
    secrets = [key.secret.reveal() for things in (server.ours, server.theirs) for key in things.callers.values()]
    secrets += ["canary-7c1e", server.ours.runner.key.reveal(), server.ours.lease.lease_secret.reveal()]
    browser = signed_in(server)
    for route, path in pages(server).items():
        if route.startswith("GET"):
            text = browser.get(path).text
            assert not [item for item in (*secrets, browser.session) if item in text], route


def test_a_refusal_is_recorded_as_the_api_records_its_own(server: Server):
    client = TestClient(build_app(server.parts))  # one that has recorded nothing yet
    browser = signed_in(server, "project Viewer", client)
    answer = browser.get(page_of(server.ours.ids["organization"]))
    guarded(answer)
    assert answer.status_code == 403
    assert "VIEW_CREDENTIALS" in answer.text
    query = {"organizationId": str(server.ours.ids["organization"]), "action": "access.denied"}
    admin = basic(server.ours.callers["Admin"])
    events = server.client.get("/api/audit-events", params=query, headers=admin).json()
    assert [event["detail"]["route"] for event in events] == [
        "GET /console/organizations/{organization_id}/outstanding"
    ]


def test_errors_are_pages_with_the_same_headers(server: Server):
    browser = signed_in(server)
    for path, status in (("/console/nothing", 404), ("/console/assets/../x", 404), ("/console/sign-out", 405)):
        answer = browser.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/html; charset=utf-8")
        guarded(answer)
    with server.parts.database.write() as tx:
        tx.exec_driver_sql("UPDATE vault_logins SET accessor_sealed = x'01'")
    answer = browser.get(page_of(server.ours.ids["organization"]))
    assert (answer.status_code, answer.headers["content-type"]) == (500, "text/html; charset=utf-8")
    guarded(answer)
    assert answer.headers["x-request-id"] in answer.text
    assert "Traceback" not in answer.text


def test_what_is_no_form_is_refused(server: Server):
    browser = signed_in(server)
    fields = browser.form()
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    bad = [
        ({"Content-Type": "application/json"}, b"{}", 422),
        (form, b"form_token=x&form_token=y", 422),
        (form, b"form_token=%ff", 422),
        (form, b"a=" + b"x" * 20_000, 413),
        (form, b"&".join(b"a%d=1" % number for number in range(60)), 422),
    ]
    for headers, body, status in bad:
        sent = {"Sec-Fetch-Site": "same-origin", "Cookie": f"{SESSION}={browser.session}", **headers}
        answer = server.client.post("/console/sign-out", content=body, headers=sent, follow_redirects=False)
        assert answer.status_code == status, body[:40]
        guarded(answer)
    assert browser.post("/console/sign-out", fields).status_code == 303


def test_wrong_keys_and_passwords_in_forms_count_with_wrong_keys_at_the_api(server: Server):
    settings = server.parts.settings.model_copy(update={"failed_login_limit": 3})
    admin = server.ours.callers["Admin"]
    client = TestClient(build_app(replace(server.parts, settings=settings)))
    inside = signed_in(server, client=client)
    right = basic(admin)
    assert client.get("/api/organizations", headers=right).status_code == 200
    assert client.get("/api/organizations", headers=basic(replace(admin, secret=server.ours.join_token)))
    guesser = Browser(client)
    statuses = [guesser.sign_in((name, "wrong")).status_code for name in ("rpk_x", "ann", "rpk_x", "ann")]
    assert statuses == [401, 401, 429, 429]
    for path in ("/console/join", "/console/set-up", "/console/password"):
        assert guesser.post(path, guesser.form("/console/join")).status_code == 429, path
    fields = guesser.form("/console/sign-in")
    sent = {"Sec-Fetch-Site": "same-origin", **right}
    answer = guesser.post("/console/sign-in", {**fields, "name": "x", "secret": "y"}, sent)
    assert answer.status_code == 429, "a right key in a header must not buy guesses in the form"
    guarded(answer)
    assert int(answer.headers["retry-after"]) >= 1
    assert "Too many requests" in answer.text
    assert inside.get("/console/").status_code == 200
    assert client.get("/api/organizations", headers=right).status_code == 200


def test_a_browser_asks_whether_the_style_sheet_has_changed(server: Server):
    browser = Browser(server.client)
    first = browser.get("/console/assets/console.css")
    assert (first.status_code, first.headers["content-type"]) == (200, "text/css; charset=utf-8")
    again = browser.get("/console/assets/console.css", **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert browser.get("/console/assets/layout.html").status_code == 404


def test_the_form_of_the_sign_in_is_the_same_in_every_tab(server: Server):
    browser = Browser(server.client)
    first, second = (hidden_fields(browser.get("/console/sign-in").text) for _ in range(2))
    assert first == second
