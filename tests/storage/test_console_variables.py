"""The pages of variables: what counts at a place, what they change, and that no sensitive value ever comes back."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import update
from starlette.testclient import TestClient

from console import Browser, console, new_key
from factories import Tenant, World
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.db.schema import metadata
from runpass.server.variables import store
from runpass.server.variables.model import (
    ConfigurationVariable,
    Details,
    Place,
    ValueFormat,
    ValueSchema,
    VariableRecord,
    VariableScope,
)

EVIL = "<script>alert(1)</script>\"'&amp;{{70001*70001}}\u202e\x1b[31m"
SECRET = "canary-5f0e9b"
GLOBAL, BLUEPRINT, PROJECT, ENVIRONMENT = VariableScope


@pytest.fixture
def client(world: World) -> Iterator[TestClient]:
    with console(world) as found:
        yield found


@pytest.fixture
def browser(client: TestClient, tenant: Tenant) -> Browser:
    found = Browser(client)
    found.sign_in((tenant.api_key.api_key_id, tenant.api_secret.reveal()))
    return found


def at(place: Place) -> str:
    folder = {GLOBAL: "organizations", BLUEPRINT: "templates", PROJECT: "projects", ENVIRONMENT: "environments"}
    return f"/console/{folder[place[0]]}/{place[1]}/variables"


def of(variable: VariableRecord) -> str:
    return f"/console/variables/{variable.id}"


def values_at(world: World, tenant: Tenant, place: Place) -> dict[str, ConfigurationVariable]:
    with world.database.read() as tx:
        return {item.name: item for item in store.list_variables(tx, world.cipher, tenant.id, [place])}


def send(browser: Browser, page: str, fields: dict[str, str], path: str = "") -> tuple[int, str]:
    """Send a form of a page; give the status, and the text or the place it leads to."""
    answer = browser.post(path or page, browser.form(page) | fields)
    return answer.status_code, answer.headers.get("location") or answer.text


def row_of(text: str, name: str) -> str:
    """Give the row of a variable in the table of a page."""
    (found,) = (row for row in text.split('<tr role="row">') if f">{name}</a>" in row or f'"Name">{name}<' in row)
    return found.partition("</tr>")[0]


def four_places(tenant: Tenant) -> list[Place]:
    project = tenant.project()
    template = tenant.template(project)
    environment = tenant.environment(project, template)
    return [(GLOBAL, tenant.id), (BLUEPRINT, template.id), (PROJECT, project.id), (ENVIRONMENT, environment.id)]


def test_a_variable_is_made_changed_and_deleted_at_each_place(browser: Browser, world: World, tenant: Tenant):
    for place in four_places(tenant):
        page = at(place)
        wanted = {"name": "SIZE", "type": "1", "value": "small\r\nor not", "description": "how much", "format": "HCL"}
        assert send(browser, page, wanted | {"enum": "", "isRequired": "true"}) == (303, f"{page}?done=created")
        assert "The variable was made." in browser.get(f"{page}?done=created").text
        made = values_at(world, tenant, place)["SIZE"]
        assert (made.type, made.clear_value, made.details.is_required) == (1, "small\nor not", True)
        assert made.details.value_schema == ValueSchema(format=ValueFormat.HCL)
        changed = {"name": "SIZE", "type": "1", "value": "large", "enum": "small\r\nlarge", "regex": "[a-z]+ ?"}
        assert send(browser, of(made), changed) == (303, f"{page}?done=changed")
        found = values_at(world, tenant, place)["SIZE"]
        assert (found.id, found.clear_value, found.details.is_required) == (made.id, "large", False)
        assert found.details == Details(regex="[a-z]+ ?", value_schema=ValueSchema(enum=("small", "large")))
        assert '<option value="large" selected>' in browser.get(of(made)).text
        assert send(browser, of(made), {}, f"{of(made)}/delete") == (303, f"{page}?done=deleted")
        assert values_at(world, tenant, place) == {}


def test_each_place_shows_what_counts_there_and_where_it_comes_from(browser: Browser, tenant: Tenant):
    organization, template, project, environment = places = four_places(tenant)
    for number, place in enumerate(places):
        tenant.variable(*place, "EVERYWHERE", f"value-{number}")
        tenant.variable(*place, f"ONLY_{number}", f"only-{number}")
    tenant.variable(*project, "KEPT", "project's")
    tenant.variable(*environment, "KEPT", "environment's")
    kept = Details(is_readonly=True, is_required=True)
    tenant.variable(*organization, "KEPT", "", details=kept)
    text = browser.get(at(environment)).text
    assert "value-3" in row_of(text, "EVERYWHERE")
    assert f'href="{at(project)}"' in row_of(text, "EVERYWHERE"), "which one it stands in place of"
    for hidden in ("value-0", "value-1", "value-2"):
        assert hidden not in text
    assert f'href="{at(template)}"' in row_of(text, "ONLY_1")
    assert "A value of its own here" in row_of(text, "ONLY_1")
    kept_here, kept_above = (row for row in text.split('<tr role="row">') if ">KEPT</a>" in row)
    assert "Does not count" in kept_here
    assert "Required, and empty" in kept_above
    assert "A value of its own here" not in kept_above, "it is read-only"
    assert "ONLY_1" not in browser.get(at(project)).text, "a project does not know its templates"
    assert "ONLY_2" not in browser.get(at(template)).text


def test_an_inherited_variable_begins_a_value_of_its_own_with_its_choices(browser: Browser, tenant: Tenant):
    organization, _, project, _ = four_places(tenant)
    schema = ValueSchema(enum=("small", "large"))
    above = tenant.variable(*organization, "SIZE", "small", details=Details(regex="[a-z]+", value_schema=schema))
    text = browser.get(f"{at(project)}?overrides={above.id}").text
    assert 'name="name" type="text" value="SIZE"' in text
    assert '<option value="small" selected>' in text
    assert "small\nlarge</textarea>" in text
    for nothing in ("x", "00000000-0000-7000-8000-000000000000"):
        assert 'name="name" type="text" value=""' in browser.get(f"{at(project)}?overrides={nothing}").text


def test_a_sensitive_value_is_never_shown_and_stays_when_it_is_left_empty(
    browser: Browser, world: World, tenant: Tenant
):
    for place in four_places(tenant):
        page = at(place)
        wanted = {"name": "TOKEN", "type": "0", "isSensitive": "true"}
        assert send(browser, page, wanted | {"value": SECRET})[0] == 303
        made = values_at(world, tenant, place)["TOKEN"]
        assert made.is_sensitive
        texts = [browser.get(path).text for path in (page, of(made), f"{page}?overrides={made.id}")]
        assert send(browser, of(made), wanted | {"value": "", "name": "RENAMED"})[0] == 303
        kept = values_at(world, tenant, place)["RENAMED"]
        assert (kept.id, kept.value.reveal(), kept.is_sensitive) == (made.id, SECRET, True)
        for fields, error in (
            ({"isSensitive": ""}, "must be typed again"),
            ({"regex": "x+"}, "must be sent again"),
            ({"value": f"{SECRET}-2", "regex": "x+"}, "must match the whole regex"),
            ({"value": f"{SECRET}-3", "name": "1"}, "must be letters, digits and underscores"),
        ):
            status, text = send(browser, of(made), wanted | {"value": ""} | fields)
            assert (status, error in text) == (422, True), fields
            texts.append(text)
        status, text = send(browser, page, wanted | {"value": SECRET, "name": "1"})
        assert status == 422
        assert SECRET not in "".join([*texts, text])
        assert send(browser, of(made), wanted | {"isSensitive": "", "value": "open"})[0] == 303
        assert values_at(world, tenant, place)["TOKEN"].clear_value == "open"


def test_what_is_wrong_stands_at_its_field_and_what_was_typed_is_kept(browser: Browser, world: World, tenant: Tenant):
    organization, _, project, environment = four_places(tenant)
    tenant.variable(*organization, "KEPT", "x", details=Details(is_readonly=True))
    there = tenant.variable(*project, "THERE", "before")
    stranger = "${env0:00000000-0000-7000-8000-000000000000:url}"
    right = {"name": "SIZE", "type": "0", "value": "typed"}
    for page, fields, error in (
        (at(project), {"name": ""}, "field-name-error"),
        (at(project), {"name": "LD_PRELOAD"}, "is reserved"),
        (at(project), {"name": "KEPT"}, "read-only at the scope GLOBAL"),
        (at(project), {"name": "THERE"}, "change that one"),
        (at(project), {"type": "typed"}, "field-type-error"),
        (at(project), {"type": "9" * 5_000}, "field-type-error"),
        (at(project), {"regex": "(typed"}, "field-regex-error"),
        (at(project), {"regex": "[0-9]+"}, "field-value-error"),
        (at(project), {"enum": "small\nlarge"}, "field-value-error"),
        (at(project), {"format": "typed"}, "field-format-error"),
        (at(project), {"enum": f"small\n{'x' * 65_537}"}, "the choice 2 is longer"),
        (at(project), {"description": "x" * 65_537}, "field-description-error"),
        (at(environment), {"value": "${vault:typed}"}, "field-value-error"),
        (at(environment), {"value": stranger}, "refers to an environment that is not there"),
        (at(environment), {"value": "typed", "format": "ENVIRONMENT_OUTPUT"}, "field-value-error"),
        (of(there), {"name": "1"}, "field-name-error"),
        (of(there), {"value": "${vault:typed}"}, "field-value-error"),
    ):
        status, text = send(browser, page, right | fields)
        assert status == 422, fields
        assert error in text, fields
        assert "typed" in text or stranger in text or "enum" in fields
    assert values_at(world, tenant, project)["THERE"].clear_value == "before"


def test_a_form_that_was_drawn_before_a_change_overwrites_nothing(browser: Browser, world: World, tenant: Tenant):
    place = (GLOBAL, tenant.id)
    variable = tenant.variable(*place, "SIZE", "before")
    before = browser.form(of(variable))
    assert send(browser, of(variable), {"name": "SIZE", "value": "first"})[0] == 303
    assert browser.post(of(variable), before | {"name": "SIZE", "value": "second"}).status_code == 412
    assert browser.post(f"{of(variable)}/delete", before).status_code == 412
    assert values_at(world, tenant, place)["SIZE"].clear_value == "first"


def test_choices_that_are_no_lines_and_what_no_form_shows_stay_as_they_are(
    browser: Browser, world: World, tenant: Tenant
):
    place = (GLOBAL, tenant.id)
    schema = ValueSchema(type="string", enum=("one\nline", "two", ""))
    odd = tenant.variable(*place, "ODD", "two", details=Details(value_schema=schema))
    empty = tenant.variable(
        *place, "EMPTY", SECRET, details=Details(value_schema=ValueSchema(enum=())), is_sensitive=True
    )
    assert 'id="field-enum"' not in browser.get(of(odd)).text
    assert send(browser, of(odd), {"name": "ODD", "value": "one\r\nline"})[0] == 303
    assert send(browser, of(empty), {"name": "EMPTY", "value": "", "isSensitive": "true"})[0] == 303
    found = values_at(world, tenant, place)
    assert found["ODD"].clear_value == "one\nline"
    assert found["ODD"].details.value_schema == schema
    assert found["EMPTY"].value.reveal() == SECRET


def test_variables_are_filtered_and_paged(browser: Browser, tenant: Tenant):
    place = (GLOBAL, tenant.id)
    for number in range(51):
        tenant.variable(*place, f"MANY_{number:02}", "x")
    text = browser.get(at(place)).text
    assert 'rel="next"' in text
    assert ">MANY_50<" not in text
    assert ">MANY_50<" in browser.get(f"{at(place)}?offset=50").text
    found = browser.get(f"{at(place)}?name=many_17").text
    assert ">MANY_17<" in found
    assert ">MANY_18<" not in found


def test_whoever_sees_a_sub_project_alone_sees_what_counts_there_and_changes_nothing(
    client: TestClient, world: World, tenant: Tenant
):
    above = tenant.project("hidden-above")
    project = tenant.project("seen", above)
    tenant.variable(PROJECT, above.id, "ABOVE", "inherited")
    own = tenant.variable(PROJECT, project.id, "OWN", "own")
    user = Browser(client)
    user.sign_in(new_key(world, tenant.id, OrganizationRole.USER, {project.id: ProjectRole.VIEWER}))
    text = user.get(at((PROJECT, project.id))).text
    assert "inherited" in row_of(text, "ABOVE")
    assert "that you may not see" in row_of(text, "ABOVE")
    assert "hidden-above" not in text
    assert str(above.id) not in text
    assert 'id="new"' not in text
    assert 'id="change"' not in user.get(of(own)).text
    assert user.get(at((PROJECT, above.id))).status_code == 404
    for path in (at((PROJECT, project.id)), of(own), f"{of(own)}/delete"):
        assert send(user, at((PROJECT, project.id)), {"name": "OWN", "value": "x"}, path)[0] == 403, path


def test_no_text_of_a_variable_or_its_place_does_more_than_be_read(browser: Browser, world: World, tenant: Tenant):
    places = four_places(tenant)
    schema = {"enum": [f"choice{EVIL}"], "format": "HCL"}
    extra = {
        "description": f"description{EVIL}",
        "regex": "regex<script>alert(1)</script>\u202e",
        "value_schema": schema,
    }
    variables = [tenant.variable(*place, f"V{number}", "x") for number, place in enumerate(places)]
    with world.database.write() as tx:
        table = metadata.tables["variables"]
        for one in variables:
            values = {"name": f"{one.name}{EVIL}", "value": f"value{EVIL}", "extra": extra}
            tx.execute(update(table).where(table.c.id == one.id).values(values))
        for name in ("templates", "projects", "environments"):
            tx.execute(update(metadata.tables[name]).values(name=f"{name}{EVIL}"))
    paths = [*(at(place) for place in places), *(of(one) for one in variables)]
    paths += [f"{at(places[3])}?overrides={variables[0].id}", f"{at(places[0])}?name=%3Cscript%3E"]
    texts = [browser.get(path).text for path in paths]
    for text in texts:
        assert "<script>" not in text
        assert "4900140001" not in text
        assert "\u202e" not in text
        assert "\x1b" not in text
    shown = ("value", "description", "regex", "choice", "templates", "projects", "environments", "V0", "V3")
    for name in shown:
        assert f"{name}&lt;script&gt;" in "".join(texts), name


def test_another_tenants_variables_are_not_there(browser: Browser, world: World):
    other = world.tenant("other")
    ids: list[UUID] = [one.id for one in (other.variable(*place, "X", "x") for place in four_places(other))]
    for variable_id in ids:
        assert browser.get(f"/console/variables/{variable_id}").status_code == 404
    for place in four_places(other):
        assert browser.get(at(place)).status_code == 404
