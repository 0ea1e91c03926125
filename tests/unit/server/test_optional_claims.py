"""The claims that an organization asks for: env0's older names, and AWS session tags."""

import json
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runpass.server.issuer.aws_tags import MAX_KEY, MAX_TAGS, MAX_VALUE, is_value, session_tags
from runpass.server.issuer.claims import (
    AWS_TAGS,
    ENV0_PREFIX,
    MAX_CLAIM,
    NONE,
    TAGS,
    OptionalClaims,
    WorkloadClaims,
    claims_of,
    documented_optional,
)
from runpass.server.tenancy.identities import IdentityPolicies, optional_claims_of

FACTS = {item.name: f"the {item.name}" for item in fields(WorkloadClaims) if item.name != "api_key_type"}
CLAIMS = WorkloadClaims(**FACTS)


def test_nothing_is_added_unless_it_is_asked_for():
    assert claims_of(CLAIMS) == claims_of(CLAIMS, NONE) == CLAIMS.as_mapping()
    assert optional_claims_of({}) == NONE
    assert optional_claims_of({"identity_aws_tags": None, "identity_prefixed_claims": None}) == NONE


def test_env0s_claims_and_no_others_stand_a_second_time_under_its_prefix():
    found = claims_of(CLAIMS, OptionalClaims(env0_prefixed=True))
    added = {name.removeprefix(ENV0_PREFIX): value for name, value in found.items() if name.startswith(ENV0_PREFIX)}
    assert found == CLAIMS.as_mapping() | {f"{ENV0_PREFIX}{name}": value for name, value in added.items()}
    assert added.items() <= CLAIMS.as_mapping().items()
    assert {"organization", "apiKeyType", "env0Tag", "deploymentType"} <= set(added)
    assert not {"credentialId", "phase", "runnerPool"} & set(added)


def test_a_claim_that_is_left_out_has_no_second_name_either():
    claims = WorkloadClaims(**FACTS | {"env0_tag": None})
    assert f"{ENV0_PREFIX}env0Tag" not in claims_of(claims, OptionalClaims(env0_prefixed=True))
    assert "env0Tag" not in claims_of(claims, OptionalClaims(aws_tags=True))[AWS_TAGS]["principal_tags"]


def test_session_tags_have_the_form_that_sts_reads():
    found = claims_of(CLAIMS, OptionalClaims(aws_tags=True))[AWS_TAGS]
    assert found == {"principal_tags": {name: [CLAIMS.as_mapping()[name]] for name in TAGS}}
    assert {"organizationId", "projectId", "templateId", "environmentId", "deploymentType", "env0Tag"} <= set(TAGS)
    assert not {"apiKeyType", "projectName", "credentialId"} & set(TAGS)


def test_transitive_tags_are_those_that_were_asked_for_and_are_there():
    found = session_tags({"projectId": "p", "env0Tag": "not a tag#"}, ("projectId", "env0Tag", "templateId"))
    assert found == {"principal_tags": {"projectId": ["p"]}, "transitive_tag_keys": ["projectId"]}


@pytest.mark.parametrize("value", ["", "production", "a b_.:/=+-@9", "Grüße", "x" * MAX_VALUE, "\u00a0"])
def test_values_that_aws_takes_are_tags(value: str):
    assert is_value(value)


@pytest.mark.parametrize("value", ["#", "a\nb", "a,b", "(x)", "x" * (MAX_VALUE + 1), "🙂", "$", "\x00"])
def test_a_value_that_aws_would_refuse_is_left_out_and_does_not_stop_the_others(value: str):
    assert not is_value(value)
    assert session_tags({"env0Tag": value, "projectId": "p"}) == {"principal_tags": {"projectId": ["p"]}}


@pytest.mark.parametrize("tags", [{"x" * (MAX_KEY + 1): "v"}, {"": "v"}, {"a#": "v"}, {str(n): "v" for n in range(51)}])
def test_more_tags_or_other_names_than_aws_takes_are_refused(tags: dict[str, str]):
    with pytest.raises(ValueError, match="no session tags"):
        session_tags(tags)
    assert len(TAGS) <= MAX_TAGS


@given(st.text(max_size=300))
def test_whatever_a_tag_says_all_values_that_leave_are_ones_that_aws_takes(text: str):
    facts = WorkloadClaims(**FACTS | {"env0_tag": text, "deployment_type": text or "x"})
    tags = claims_of(facts, OptionalClaims(aws_tags=True))[AWS_TAGS]["principal_tags"]
    assert all(len(values) == 1 and is_value(values[0]) for values in tags.values())


def test_the_largest_token_stays_below_what_a_header_carries():
    longest = WorkloadClaims(
        **dict.fromkeys(FACTS, "x" * 255),
    )
    claims = claims_of(longest, OptionalClaims(env0_prefixed=True, aws_tags=True, aws_transitive_tags=TAGS))
    assert len(json.dumps(claims)) * 4 / 3 < 20_000
    with pytest.raises(ValueError, match="longer than"):
        claims_of(WorkloadClaims(**FACTS | {"env0_tag": "x" * (MAX_CLAIM + 1)}), OptionalClaims(aws_tags=True))


@pytest.mark.parametrize("wrong", [["projectName"], ["x"], "projectId", [["projectId"]], ["projectId"] * 9])
def test_only_tags_can_be_transitive(wrong: object):
    with pytest.raises(ValidationError):
        IdentityPolicies.model_validate({"identityAwsTransitiveTags": wrong})


def test_every_optional_claim_names_the_policy_that_asks_for_it():
    policies = {to.alias for to in IdentityPolicies.model_fields.values()}
    assert {policy for _, policy, _ in documented_optional()} <= policies
    assert all(meaning for *_, meaning in documented_optional())
