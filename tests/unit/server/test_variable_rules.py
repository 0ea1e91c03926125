"""Variables: which of several counts, what a value may be, and what the commands find."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from runpass.errors import InvalidInput
from runpass.ids import EnvironmentId, OrganizationId, ProjectId, TemplateId, VariableId, new_id
from runpass.secret import Secret
from runpass.server.variables.checking import check_names, value_refusal
from runpass.server.variables.handing import check_required, for_commands
from runpass.server.variables.inheritance import overridden, places, resolve
from runpass.server.variables.model import ConfigurationVariable, Details, ValueFormat, ValueSchema
from runpass.server.variables.output_references import OutputReference, find_references, substitute

ORGANIZATION, TEMPLATE, PROJECT = OrganizationId(new_id()), TemplateId(new_id()), ProjectId(new_id())
ENVIRONMENT = EnvironmentId(new_id())
ORDER = places(ORGANIZATION, template_id=TEMPLATE, path=(PROJECT,), environment_id=ENVIRONMENT)
AT = datetime(2026, 1, 2, tzinfo=UTC)
OTHER = UUID("0198c5a0-0000-7000-8000-000000000001")


def variable(level: int, name: str, value: str, *, sensitive: bool = False, type_: int = 0, **details: Any):
    scope, scope_id = ORDER[level]
    return ConfigurationVariable(
        id=VariableId(new_id()),
        organization_id=ORGANIZATION,
        scope=scope,
        scope_id=scope_id,
        name=name,
        type=type_,
        clear_value=None if sensitive else value,
        details=Details(**details),
        created_by="test",
        created_at=AT,
        updated_at=AT + timedelta(seconds=level),
        value=Secret(value),
    )


def values(found: Any) -> dict[str, str]:
    return {item.name: item.value.reveal() for item in found}


def test_the_lowest_place_wins():
    found = [variable(level, "A", str(level)) for level in (2, 0, 3, 1)]
    assert values(resolve(ORDER, found)) == {"A": "3"}
    assert values(resolve(ORDER, found[:2])) == {"A": "2"}


def test_a_read_only_variable_wins_over_every_lower_one():
    found = [variable(3, "A", "lowest"), variable(1, "A", "kept", is_readonly=True), variable(0, "A", "highest")]
    assert values(resolve(ORDER, found)) == {"A": "kept"}
    both = [*found, variable(2, "A", "too late", is_readonly=True)]
    assert values(resolve(ORDER, both)) == {"A": "kept"}


def test_variables_of_both_types_do_not_override_each_other():
    found = [variable(0, "A", "terraform", type_=1, is_readonly=True), variable(3, "A", "shell")]
    assert len(resolve(ORDER, found)) == 2


def test_a_variable_knows_the_next_one_above_that_it_overrides():
    top, middle, low = (variable(level, "A", str(level)) for level in (0, 2, 3))
    alone = variable(3, "B", "b")
    assert overridden(ORDER, [low, alone, top, middle]) == {middle.id: top, low.id: middle}


def test_required_variables_without_a_value_are_all_named():
    found = [variable(0, "A", "", is_required=True), variable(1, "B", "", is_required=True), variable(3, "C", "")]
    with pytest.raises(InvalidInput, match=r"^these variables are required and have no value: A, B$"):
        check_required(ORDER, found)
    check_required(ORDER, [*found, variable(3, "A", "a"), variable(2, "B", "b")])


def test_a_lower_place_cannot_empty_what_a_higher_one_requires():
    with pytest.raises(InvalidInput, match="no value: A"):
        check_required(ORDER, [variable(0, "A", "a", is_required=True), variable(3, "A", "")])


def test_terraform_variables_are_handed_with_their_prefix_and_stay_sensitive():
    handed = for_commands([variable(0, "region", "eu", type_=1, sensitive=True), variable(0, "A", "a")])
    assert [(item.name, item.value.reveal(), item.sensitive) for item in handed] == [
        ("TF_VAR_region", "eu", True),
        ("A", "a", False),
    ]


def test_two_variables_that_would_have_one_name_are_both_named_and_their_values_not():
    with pytest.raises(InvalidInput) as error:
        for_commands([variable(0, "x", "canary", type_=1), variable(0, "TF_VAR_x", "canary")])
    assert "the Terraform variable x and the environment variable TF_VAR_x" in error.value.message
    assert "canary" not in error.value.message


def test_names_of_terraform_variables_are_not_reserved_because_they_get_a_prefix():
    check_names([("0.name", "PATH", 1), ("1.name", "GOOD", 0), ("2.name", "VAULT_ADDR", 1)])
    with pytest.raises(InvalidInput) as error:
        check_names([("0.name", "PATH", 0), ("1.name", "no-dash", 1), ("2.name", "GOOD", 0)])
    assert [item.field for item in error.value.errors] == ["0.name", "1.name"]


def test_a_value_must_be_one_of_the_enum():
    details = Details(value_schema=ValueSchema(enum=("a", "b")))
    assert value_refusal("a", details) is None
    assert value_refusal("canary", details) == "must be one of the values in schema.enum"
    assert value_refusal("", details) is None


def test_a_value_must_match_the_whole_regex():
    details = Details(regex="[a-z]+")
    assert value_refusal("abc", details) is None
    assert value_refusal("abc1", details) == "must match the whole regex"


def test_a_regex_that_another_engine_would_choke_on_is_answered():
    details = Details(regex="(a+)+$")
    assert value_refusal("a" * 60_000 + "!", details) == "must match the whole regex"
    assert value_refusal("a" * 60_000, details) is None


@pytest.mark.parametrize("regex", ["(canary", r"(canary)\1", "canary(?=a)", "canary{1001}"])
def test_what_is_no_regular_expression_is_refused_and_not_repeated(regex: str):
    with pytest.raises(ValueError, match="must be a regular expression") as error:
        Details(regex=regex)
    assert "canary" not in str(error.value)


@pytest.mark.parametrize("value", ["${vault:nothing}", "text ${vault:", "${vault:a/b.}"])
def test_a_malformed_reference_to_a_secret_is_refused_and_not_repeated(value: str):
    refusal = value_refusal(value, Details())
    assert refusal is not None
    assert "malformed" in refusal
    assert value not in refusal


def test_a_reference_to_a_secret_is_taken():
    assert value_refusal("postgres://app:${vault:secrets/db.password@team}@db", Details()) is None


def test_a_reference_to_an_output_is_a_whole_value_or_says_so_in_its_format():
    one = OutputReference(OTHER, "vpc-id")
    text = f"${{env0:{OTHER}:vpc-id}}"
    assert find_references(text) == (one,)
    assert find_references(f"x {text}") == ()
    assert find_references(f"x {text} {text}", is_output=True) == (one,)
    assert substitute(f"x {text}", {one: Secret("v")}, is_output=True).reveal() == "x v"
    assert substitute(text, {one: Secret(text)}).reveal() == text
    assert substitute(f"x {text}", {}).reveal() == f"x {text}"


@pytest.mark.parametrize(
    "value", ["text", "${env0:x:y}", f"${{env0:{OTHER}:a}} ${{env0:{OTHER}:", f"${{env0:{OTHER}:}}"]
)
def test_a_malformed_reference_to_an_output_is_refused_where_there_must_be_one(value: str):
    refusal = value_refusal(value, Details(value_schema=ValueSchema(format=ValueFormat.ENVIRONMENT_OUTPUT)))
    assert refusal is not None
    assert value not in refusal
    assert value_refusal(value, Details()) is None


def test_an_output_that_is_not_given_is_missed():
    with pytest.raises(KeyError):
        substitute(f"${{env0:{OTHER}:a}}", {})
