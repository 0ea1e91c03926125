"""The pages of a project's credentials: what they show and change, to whom, and that no text does more than be read."""

from collections.abc import Iterator

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from console import Browser, console, new_key
from factories import Tenant, World
from runpass.protocol.credentials import CredentialKind, parse
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.store import assigned_ids
from runpass.server.db.schema import metadata
from runpass.server.tenancy.model import Project

EVIL = "<script>alert(1)</script>\"'&amp;{{70001*70001}}\u202e\x1b[31m"
ROLE = {"roleArn": "arn:aws:iam::123456789012:role/deploy", "duration": 3600}


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with console(world) as found:
        yield found


@pytest.fixture
def browser(client: TestClient, tenant: Tenant) -> Browser:
    found = Browser(client)
    found.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal()))
    return found


def with_role(client: TestClient, tenant: Tenant, project: Project, role: ProjectRole) -> Browser:
    found = Browser(client)
    found.sign_in(new_key(tenant.world, tenant.id, OrganizationRole.USER, {project.id: role}))
    return found


def page_of(project: Project) -> str:
    return f"/console/projects/{project.id}/credentials"


def assigned(world: World, project: Project) -> list[object]:
    with world.database.read() as tx:
        return list(assigned_ids(tx, project.id))


def send(browser: Browser, project: Project, **fields: str) -> tuple[int, str]:
    answer = browser.post(page_of(project), browser.form(page_of(project)) | fields)
    return answer.status_code, answer.headers.get("location") or answer.text


def remove_path(project: Project, credential: StoredCredential) -> str:
    return f"{page_of(project)}/{credential.id}/remove"


def test_a_credential_is_assigned_and_taken_away_with_a_warning_between(browser: Browser, world: World, tenant: Tenant):
    project, credential = tenant.project("payments"), tenant.credential(name="production-vault")
    assert "Nothing is assigned" in browser.get(page_of(project)).text
    status, place = send(browser, project, credentialId=str(credential.id))
    assert (status, place) == (303, f"{page_of(project)}?done=assigned")
    text = browser.get(place).text
    assert "The credential is assigned." in text
    assert f'href="/console/credentials/{credential.id}">production-vault</a>' in text
    assert "There is no credential that could be assigned and is not." in text
    for number in range(23):
        tenant.environment(project, None, f"environment {number:02}")
    ask = remove_path(project, credential)
    text = browser.get(ask).text
    assert "23 environments" in text
    assert "no credential of type VAULT_OIDC" in text
    assert "environment 19" in text
    assert "environment 20" not in text
    assert "And 3 more." in text
    assert assigned(world, project) == [credential.id], "asking changes nothing"
    answer = browser.post(ask, browser.form(ask))
    assert (answer.status_code, answer.headers["location"]) == (303, f"{page_of(project)}?done=removed")
    assert assigned(world, project) == []
    assert browser.get(ask).status_code == 404


def test_what_is_inherited_says_from_where_and_what_of_it_counts(browser: Browser, tenant: Tenant):
    top = tenant.project("company")
    middle = tenant.project("team", top)
    low = tenant.project("service", middle)
    for name, place in (("of-all", top), ("of-team", middle), ("second-of-team", middle)):
        tenant.assign(tenant.credential(name=name), place)
    tenant.assign(tenant.credential_of(parse(CredentialKind.AWS_OIDC, ROLE), CredentialKind.AWS_OIDC, name="aws"), top)
    tenant.assign(tenant.credential(tenant.project("stranger"), name="strays"), low)
    text = browser.get(page_of(middle)).text
    assert text.count("Used, one of 2 of this type") == 2
    assert "Not used: a nearer one of this type replaces it." in text
    assert "No runner can use this type yet" in text
    assert f'inherited from <a href="{page_of(top)}">company</a>' in text
    low_text = browser.get(page_of(low)).text
    assert "Not used: it belongs to another project." in low_text
    assert f'inherited from company / <a href="{page_of(middle)}">team</a>' in low_text


def test_the_warning_says_what_is_got_instead_and_when_nobody_loses_it(browser: Browser, tenant: Tenant):
    top = tenant.project("top")
    below = tenant.project("below", top)
    above, nearer = tenant.credential(name="above"), tenant.credential(name="nearer")
    tenant.assign(above, top)
    tenant.assign(nearer, below)
    assert "No environment loses it" in browser.get(remove_path(below, nearer)).text
    tenant.environment(below, None, "production")
    text = browser.get(remove_path(below, nearer)).text
    assert "1 environment" in text
    assert "it gets above, which is inherited" in " ".join(text.split())
    assert "No environment loses it" in browser.get(remove_path(top, above)).text


def test_what_is_wrong_stands_at_its_field(client: TestClient, browser: Browser, world: World, tenant: Tenant):
    project, other = tenant.project(), tenant.project("other")
    strange = tenant.credential(other, name="of another project")
    cost = tenant.credential_of(parse(CredentialKind.AWS_ASSUMED_ROLE, ROLE), CredentialKind.AWS_ASSUMED_ROLE)
    tenant.credential(name="one to choose")
    text = browser.get(page_of(project)).text
    assert "one to choose (VAULT_OIDC)" in text
    assert str(cost.id) not in text
    assert str(strange.id) not in text
    for wrong in ("", "x", str(strange.id), str(cost.id), "00000000-0000-7000-8000-000000000000"):
        status, text = send(browser, project, credentialId=wrong)
        assert (status, "field-credentialId-error" in text) == (422, True), wrong
    admin = with_role(client, tenant, project, ProjectRole.ADMIN)
    status, text = send(admin, project, otherId="typed")
    assert (status, "field-otherId-error" in text, 'value="typed"' in text) == (422, True, True)
    assert assigned(world, project) == []


def test_an_archived_project_takes_none_and_says_why(browser: Browser, world: World, tenant: Tenant):
    project, credential = tenant.project(), tenant.credential()
    with world.database.write() as tx:
        tx.execute(update(metadata.tables["projects"]).values(is_archived=True))
    status, text = send(browser, project, credentialId=str(credential.id))
    assert (status, "is archived. Unarchive it first." in text) == (409, True)


def test_whoever_manages_a_project_alone_assigns_an_organizations_credential_by_its_id(
    client: TestClient, world: World, tenant: Tenant
):
    top = tenant.project("hidden-above")
    project = tenant.project("mine", top)
    own, of_all = tenant.credential(project, name="own"), tenant.credential(name="of-all")
    tenant.credential(top, name="of-the-project-above")
    tenant.assign(of_all, top)
    admin = with_role(client, tenant, project, ProjectRole.ADMIN)
    text = admin.get(page_of(project)).text
    assert "own (VAULT_OIDC)" in text
    assert "of-all (VAULT_OIDC)" not in text
    assert "of-the-project-above" not in text
    assert "inherited from a project above, which you may not see" in text
    assert "hidden-above" not in text
    assert f'"/console/credentials/{of_all.id}"' not in text, "its tests are linked, its page is not"
    assert send(admin, project, otherId=f" {of_all.id} ")[0] == 303
    assert send(admin, project, credentialId=str(own.id))[0] == 303
    assert assigned(world, project) == [of_all.id, own.id]


def test_whoever_may_only_look_sees_ids_and_no_form(client: TestClient, tenant: Tenant):
    top = tenant.project("hidden-above")
    project = tenant.project("seen", top)
    here, above = tenant.credential(name="here-it-is"), tenant.credential(name="above-it-is")
    tenant.assign(here, project)
    tenant.assign(above, top)
    for role in (ProjectRole.VIEWER, ProjectRole.DEPLOYER):
        viewer = with_role(client, tenant, project, role)
        text = viewer.get(page_of(project)).text
        assert str(here.id) in text
        for hidden in (str(above.id), "here-it-is", "above-it-is", "hidden-above", 'method="post" action="/console/p'):
            assert hidden not in text
        assert viewer.get(remove_path(project, here)).status_code == 403
        form = viewer.form("/console/sessions")
        assert viewer.post(page_of(project), form | {"credentialId": str(above.id)}).status_code == 403
        assert viewer.post(remove_path(project, here), form).status_code == 403
        assert viewer.get(page_of(top)).status_code == 404


def test_long_lists_are_paged_and_choices_found_by_name(browser: Browser, tenant: Tenant):
    project = tenant.project()
    for number in range(51):
        tenant.assign(tenant.credential(name=f"assigned {number:03}"), project)
    for number in range(201):
        tenant.credential(name=f"free {number:03}")
    text = browser.get(page_of(project)).text
    assert 'rel="next"' in text
    assert "free 199" in text
    assert "free 200" not in text
    assert "The first 200 are offered." in text
    assert 'rel="prev"' in browser.get(f"{page_of(project)}?offset=50").text
    text = browser.get(f"{page_of(project)}?name=FREE+200").text
    assert "free 200 (VAULT_OIDC)" in text
    assert "free 199" not in text
    assert "has this in its name" in browser.get(f"{page_of(project)}?name=nothing").text


def test_no_name_does_more_than_be_read(browser: Browser, world: World, tenant: Tenant):
    top = tenant.project()
    project = tenant.project("below", top)
    tenant.environment(project, None)
    credential, inherited = tenant.credential(), tenant.credential()
    tenant.credential()
    tenant.assign(inherited, top)
    tenant.assign(credential, project)
    with world.database.write() as tx:
        for table in ("projects", "environments", "credentials"):
            tx.execute(update(metadata.tables[table]).values(name=f"{table}-name{EVIL}"))
    text = browser.get(page_of(project)).text + browser.get(remove_path(project, credential)).text
    for live in ("<script>", "4900140001", "\u202e", "\x1b"):
        assert live not in text
    for shown in ("projects-name", "environments-name", "credentials-name"):
        assert f"{shown}&lt;script&gt;" in text, shown
