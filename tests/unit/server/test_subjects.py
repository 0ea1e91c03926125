"""`sub` from a template: whatever the template and the claims say, it is one organization's and says what it says."""

from itertools import permutations
from typing import Any
from urllib.parse import unquote
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from runpass.server.issuer.claims import STANDARD_CLAIMS, documented
from runpass.server.issuer.subjects import MAX_SUBJECT, SubjectClaim, escaped, subject
from runpass.server.tenancy.identities import IdentityPolicies

ID = "0190c5a2-7c1e-7000-8000-00000000000"
ORGANIZATION, OTHER = UUID(f"{ID}1"), UUID(f"{ID}2")
FIRST, *REST = [item.value for item in SubjectClaim]
CLAIMS = {name: f"{ID}{number}" for number, name in enumerate(REST, start=3)}

templates = st.permutations(REST).flatmap(lambda names: st.integers(0, len(names)).map(lambda n: [FIRST, *names[:n]]))
texts = st.text(alphabet=st.sampled_from(":%*/é|a 0-.") | st.characters(codec="utf-8"), max_size=3)
anything = st.dictionaries(st.sampled_from([FIRST, *REST]), texts)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (["organizationId"], f"{ID}1"),
        (["organizationId", "projectId"], f"{ID}1:projectId:{ID}3"),
        (["organizationId", "environmentId", "projectId"], f"{ID}1:environmentId:{ID}4:projectId:{ID}3"),
    ],
)
def test_a_subject_is_the_organizations_id_and_the_ids_that_the_template_names(template: list[str], expected: str):
    assert subject(ORGANIZATION, template, CLAIMS) == expected


def test_what_a_token_does_not_have_is_left_out_of_it_name_and_all():
    found = subject(
        ORGANIZATION, ["organizationId", "credentialId", "projectId"], {"projectId": "p", "credentialId": ""}
    )
    assert found == f"{ORGANIZATION}:projectId:p"


@given(templates, anything, templates, anything)
def test_no_organization_can_have_another_ones_subject(
    ours: list[str], our_claims: dict[str, str], theirs: list[str], their_claims: dict[str, str]
):
    mine, other = subject(ORGANIZATION, ours, our_claims), subject(OTHER, theirs, their_claims)
    assert mine != other
    assert mine.split(":")[0] == str(ORGANIZATION)
    assert other.split(":")[0] == str(OTHER)


@given(templates, anything)
def test_a_subject_can_be_read_back_and_is_short_printable_ascii(template: list[str], claims: dict[str, str]):
    found = subject(ORGANIZATION, template, claims)
    assert len(found) <= MAX_SUBJECT
    assert all("!" <= character <= "~" for character in found)
    _, *parts = found.split(":")
    read = dict(zip(parts[::2], map(unquote, parts[1::2]), strict=True))
    assert read == {name: claims[name] for name in template[1:] if claims.get(name)}


@given(templates, anything, templates, anything)
def test_two_templates_give_one_subject_only_where_they_say_the_same(
    one: list[str], ones: dict[str, str], two: list[str], twos: dict[str, str]
):
    said = [
        [(name, claims[name]) for name in template[1:] if claims.get(name)]
        for template, claims in ((one, ones), (two, twos))
    ]
    same = subject(ORGANIZATION, one, ones) == subject(ORGANIZATION, two, twos)
    assert same == (said[0] == said[1])


def test_the_separator_and_what_escapes_it_are_escaped():
    assert escaped("a:b%c") == "a%3Ab%25c"
    assert escaped("é*|") == "%C3%A9%2A%7C"
    assert escaped(str(ORGANIZATION)) == str(ORGANIZATION)


def test_the_longest_subject_of_ids_fits():
    for template in permutations(REST):
        assert len(subject(ORGANIZATION, [FIRST, *template], {name: str(uuid4()) for name in REST})) <= MAX_SUBJECT


def test_a_subject_that_would_be_too_long_is_not_made_and_not_shown():
    with pytest.raises(ValueError, match="longer than 255 characters") as error:
        subject(ORGANIZATION, ["organizationId", "projectId"], {"projectId": "p" * 300})
    assert "ppp" not in str(error.value)


def test_a_template_names_immutable_ids_and_nothing_reserved():
    known = {name for name, *_ in documented()}
    for name in SubjectClaim:
        assert name.value.endswith("Id")
        assert name in known
        assert name not in STANDARD_CLAIMS
    assert not {"deploymentLogId", "runnerId", "projectName"} & set(SubjectClaim)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["projectId"],
        ["projectId", "organizationId"],
        ["organizationId", "organizationId"],
        ["organizationId", "projectId", "projectId"],
        ["organizationId", "projectName"],
        ["organizationId", "sub"],
        ["organizationId", "iss"],
        ["organizationId", "deploymentLogId"],
        ["organizationId", "projectId:x"],
        "organizationId",
        [None],
    ],
)
def test_what_is_no_template_is_neither_taken_nor_used(wrong: Any):
    with pytest.raises(ValidationError):
        IdentityPolicies.model_validate({"identitySubject": wrong})
    with pytest.raises(ValueError, match=r"template|SubjectClaim"):
        subject(ORGANIZATION, wrong, CLAIMS)
