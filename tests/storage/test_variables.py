"""Saving variables: changes by id and by name, what a place above keeps to itself, and what is not opened."""

from dataclasses import replace

import pytest
from sqlalchemy import update

from factories import Tenant, World
from runpass.errors import Conflict, InvalidInput, NotFound, PreconditionFailed
from runpass.ids import VariableId, new_id
from runpass.secret import Secret
from runpass.server.db.encryption import CorruptColumn
from runpass.server.db.schema.variables import variables
from runpass.server.http.preconditions import entity_tag
from runpass.server.tenancy.model import Environment
from runpass.server.variables import store
from runpass.server.variables.model import ConfigurationVariable, Details, ValueSchema, VariableScope
from runpass.server.variables.requests import VariableChange
from runpass.server.variables.saving import REDACTED, Wanted, apply_changes, save

READ_ONLY = Details(is_readonly=True)


@pytest.fixture
def environment(tenant: Tenant) -> Environment:
    root = tenant.project("root")
    leaf = tenant.project("leaf", root)
    return tenant.environment(leaf, tenant.template(leaf))


def save_one(tenant: Tenant, wanted: Wanted) -> ConfigurationVariable:
    with tenant.world.database.write() as tx:
        return save(tx, tenant.world.cipher, tenant.id, wanted, by="test", clock=tenant.world.clock)


def apply(tenant: Tenant, environment: Environment, *changes: dict) -> dict[str, str]:
    wanted = [
        VariableChange.model_validate(item).change(environment.id, where=f"changes.{position}.")
        for position, item in enumerate(changes)
    ]
    world = tenant.world
    with world.database.write() as tx:
        apply_changes(tx, world.cipher, environment, wanted, by="test", clock=world.clock)
        found = store.list_variables(tx, world.cipher, tenant.id, [(VariableScope.ENVIRONMENT, environment.id)])
    return {item.name: item.value.reveal() for item in found}


def test_a_variable_that_is_changed_by_its_id_may_get_another_name(tenant: Tenant):
    made = tenant.variable(VariableScope.GLOBAL, tenant.id, "OLD", "value")
    wanted = Wanted(VariableScope.GLOBAL, tenant.id, "NEW", Secret("other"), type=1, id=made.id)
    changed = save_one(tenant, wanted)
    assert (changed.id, changed.name, changed.type, changed.value.reveal()) == (made.id, "NEW", 1, "other")
    assert changed.updated_at > made.updated_at


def test_a_name_that_another_variable_of_the_place_has_is_a_conflict(tenant: Tenant):
    tenant.variable(VariableScope.GLOBAL, tenant.id, "TAKEN", "value")
    made = tenant.variable(VariableScope.GLOBAL, tenant.id, "OLD", "value")
    with pytest.raises(Conflict):
        save_one(tenant, Wanted(VariableScope.GLOBAL, tenant.id, "TAKEN", Secret("x"), id=made.id))


def test_an_id_that_stands_elsewhere_or_nowhere_is_not_found(tenant: Tenant, world: World, environment: Environment):
    made = tenant.variable(VariableScope.ENVIRONMENT, environment.id, "NAME", "value")
    foreign = world.tenant("other")
    theirs = foreign.variable(VariableScope.GLOBAL, foreign.id, "NAME", "theirs")
    for variable_id in (made.id, theirs.id, VariableId(new_id())):
        with pytest.raises(NotFound, match=r"^there is no such variable$"):
            save_one(tenant, Wanted(VariableScope.GLOBAL, tenant.id, "NAME", Secret("x"), id=variable_id))


def test_what_a_place_above_keeps_to_itself_is_refused_below(tenant: Tenant, environment: Environment):
    assert environment.template_id is not None
    tenant.variable(VariableScope.GLOBAL, tenant.id, "OF_ALL", "x", details=READ_ONLY)
    tenant.variable(VariableScope.BLUEPRINT, environment.template_id, "OF_TEMPLATE", "x", details=READ_ONLY)
    tenant.variable(VariableScope.PROJECT, environment.project_id, "OF_PROJECT", "x", details=READ_ONLY)
    for name in ("OF_ALL", "OF_TEMPLATE", "OF_PROJECT"):
        with pytest.raises(InvalidInput, match=r"name: a variable of this name is read-only at the scope") as error:
            tenant.variable(VariableScope.ENVIRONMENT, environment.id, name, "canary")
        assert "canary" not in error.value.message
        tenant.variable(VariableScope.ENVIRONMENT, environment.id, name, "x", type=1)
    with pytest.raises(InvalidInput, match="read-only at the scope GLOBAL"):
        tenant.variable(VariableScope.BLUEPRINT, environment.template_id, "OF_ALL", "x")
    with pytest.raises(InvalidInput, match="read-only at the scope GLOBAL"):
        tenant.variable(VariableScope.PROJECT, environment.project_id, "OF_ALL", "x")
    tenant.variable(VariableScope.GLOBAL, tenant.id, "OF_ALL", "changed where it stands", details=READ_ONLY)


def test_a_parent_project_keeps_its_name_from_the_projects_below(tenant: Tenant):
    root = tenant.project("root")
    leaf = tenant.project("leaf", root)
    tenant.variable(VariableScope.PROJECT, root.id, "NAME", "x", details=READ_ONLY)
    with pytest.raises(InvalidInput, match="read-only at the scope PROJECT"):
        tenant.variable(VariableScope.PROJECT, leaf.id, "NAME", "x")
    tenant.variable(VariableScope.PROJECT, tenant.project("beside").id, "NAME", "x")


def test_the_redacted_value_sent_back_keeps_the_value(tenant: Tenant):
    place = (VariableScope.GLOBAL, tenant.id)
    details = Details(value_schema=ValueSchema(enum=("kept",)))
    tenant.variable(*place, "NAME", "kept", is_sensitive=True, details=details)
    again = tenant.variable(*place, "NAME", REDACTED, is_sensitive=True, details=replace_description(details))
    assert (again.value.reveal(), again.details.description) == ("kept", "new")
    shown = tenant.variable(*place, "NAME", REDACTED)
    assert shown.value.reveal() == REDACTED


@pytest.mark.parametrize(
    "details", [Details(regex="hunter.*"), Details(value_schema=ValueSchema(enum=("hunter2",)))], ids=["regex", "enum"]
)
def test_a_value_that_is_not_shown_is_not_compared_with_rules_that_somebody_makes_up(tenant: Tenant, details: Details):
    place = (VariableScope.GLOBAL, tenant.id)
    tenant.variable(*place, "RIGHT", "hunter2", is_sensitive=True)
    tenant.variable(*place, "WRONG", "another", is_sensitive=True)
    for name in ("RIGHT", "WRONG"):
        with pytest.raises(InvalidInput, match=r"^value: must be sent again"):
            tenant.variable(*place, name, REDACTED, is_sensitive=True, details=details)
    assert tenant.variable(*place, "RIGHT", "hunter2", is_sensitive=True, details=details).details == details


def replace_description(details: Details) -> Details:
    return details.model_copy(update={"description": "new"})


def test_a_list_opens_no_sensitive_value(tenant: Tenant, world: World):
    place = (VariableScope.GLOBAL, tenant.id)
    made = tenant.variable(*place, "NAME", "value", is_sensitive=True)
    with world.database.write() as tx:
        tx.execute(update(variables).values(value_sealed=b"\x01"))
    with world.database.read() as tx:
        (record,) = store.list_records(tx, tenant.id, [place])
        assert store.get_record(tx, tenant.id, made.id) == record
        with pytest.raises(CorruptColumn):
            store.list_variables(tx, world.cipher, tenant.id, [place])
    assert (record.id, record.is_sensitive, record.clear_value) == (made.id, True, None)
    assert not hasattr(record, "value")


def test_a_change_of_something_that_has_changed_since_is_refused(tenant: Tenant, world: World):
    place = (VariableScope.GLOBAL, tenant.id)
    read = tenant.variable(*place, "NAME", "first")
    newer = tenant.variable(*place, "NAME", "second")
    with pytest.raises(PreconditionFailed):
        tenant.variable(*place, "NAME", "third", if_match=entity_tag(read.updated_at))
    tenant.variable(*place, "NAME", "third", if_match=entity_tag(newer.updated_at))
    with pytest.raises(Conflict), world.database.write() as tx:
        store.change_variable(tx, world.cipher, replace(read, name="OTHER"), world.clock.now())


def test_changes_of_an_environment_save_and_delete(tenant: Tenant, environment: Environment):
    first = tenant.variable(VariableScope.ENVIRONMENT, environment.id, "FIRST", "1")
    tenant.variable(VariableScope.ENVIRONMENT, environment.id, "SECOND", "2")
    found = apply(
        tenant,
        environment,
        {"id": str(first.id), "name": "RENAMED", "value": "one", "scope": "DEPLOYMENT", "type": 0},
        {"name": "SECOND", "value": "ignored", "toDelete": True},
        {"name": "NEVER_THERE", "toDelete": True},
        {"name": "THIRD", "value": "3", "isSensitive": True, "schema": {"type": "string", "enum": None}},
    )
    assert found == {"RENAMED": "one", "THIRD": "3"}


def test_changes_of_an_environment_reach_nothing_above_it(tenant: Tenant, environment: Environment):
    above = tenant.variable(VariableScope.PROJECT, environment.project_id, "NAME", "above")
    for more in ({"toDelete": True}, {"value": "x"}):
        with pytest.raises(NotFound):
            apply(tenant, environment, {"id": str(above.id), "name": "NAME", **more})
    assert apply(tenant, environment, {"name": "NAME", "toDelete": True}) == {}
    with tenant.world.database.read() as tx:
        assert store.get_record(tx, tenant.id, above.id) is not None


def test_bad_changes_are_named_where_they_stand(tenant: Tenant, environment: Environment):
    with pytest.raises(InvalidInput) as error:
        apply(
            tenant, environment, {"name": "GOOD"}, {"name": "PATH"}, {"name": "a-b"}, {"name": "x y", "toDelete": True}
        )
    assert [item.field for item in error.value.errors] == ["changes.1.name", "changes.2.name"]
    with pytest.raises(InvalidInput) as error:
        apply(tenant, environment, {"name": "GOOD"}, {"name": "BAD", "value": "${vault:canary"})
    assert [item.field for item in error.value.errors] == ["changes.1.value"]
    assert "canary" not in error.value.message
