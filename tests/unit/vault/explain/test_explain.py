"""Explanations: every reason in order, commands that mend, nothing of the token, and where Vault differs."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from explain_logins import AUDIENCE, Keys
from explain_steps import base
from runpass.secret import Secret
from runpass.vault.explain import Explanation, LoginCase, explain

KEYS = Keys()


class Fixed:
    """What is chosen where a generator would choose at random: the first."""

    def choice(self, values: Any) -> Any:
        return values[0]

    def sample(self, values: Any, count: int) -> Any:
        return list(values[:count])


def case(role: dict[str, Any] | None = None, claims: dict[str, Any] | None = None, **more: Any) -> LoginCase:
    login = base(Fixed(), int(time.time()))  # type: ignore[arg-type]
    login.role.update(role or {})
    login.claims.update(claims or {})
    return LoginCase(
        role_name="deploy",
        role=login.role,
        config={
            "bound_issuer": login.claims["iss"] if not claims or "iss" not in claims else "https://issuer.example.com/"
        },
        jwks=KEYS.jwks_document,
        token=Secret(KEYS.sign(login)),
        at=time.time(),
        **more,
    )


def failed(found: Explanation) -> list[str]:
    return [check.name for check in found.checks if check.passed is False]


def test_a_good_login_says_what_its_token_will_be():
    found = explain(case({"token_policies": ["App", "read"], "claim_mappings": {"env": "stage"}, "token_ttl": 60}))
    assert (found.accepted, found.status, found.error, found.possible_errors) == (True, 200, None, ())
    assert found.granted is not None
    assert found.granted.policies == ("app", "default", "read")
    assert found.granted.metadata == {"stage": "prod", "role": "deploy"}
    assert (found.granted.alias, found.granted.ttl_seconds) == ("e-1", 60)


def test_every_reason_is_told_and_the_first_is_the_answer():
    wrong = {"iss": "https://other.example.com/", "aud": "other", "exp": 2, "organizationId": "o-9"}
    found = explain(case({"bound_subject": "x", "user_claim": "gone"}, wrong))
    assert (
        failed(found)
        == [
            "issuer",
            "subject",
            "audience",
            "expiration",
            "user claim",
            'bound claim "organizationId"',
            "entity alias",
        ][: len(failed(found))]
    )
    assert found.error == "error validating token: invalid issuer (iss) claim"


def test_several_bound_claims_that_fail_may_each_be_the_answer():
    found = explain(case({"bound_claims": {"organizationId": "o-2", "env": "dev", "gone": "x", "flag": True}}))
    assert set(found.possible_errors) == {
        'error validating claims: claim "organizationId" does not match any associated bound claim values',
        'error validating claims: claim "env" does not match any associated bound claim values',
        'error validating claims: claim "gone" is missing',
    }
    assert found.error in found.possible_errors


def test_expected_and_received_stand_side_by_side_with_the_command_that_mends():
    found = explain(case({"bound_claims": {"organizationId": "o-2"}}))
    (check,) = [check for check in found.checks if check.passed is False]
    assert (check.expected, check.received) == ('"o-2"', '"o-1"')
    command = check.fix.splitlines()
    assert command[1] == "bao write auth/jwt/role/deploy - <<'END'"
    assert json.loads(command[2]) == {
        "role_type": "jwt",
        "bound_claims_type": "string",
        "bound_claims": {"organizationId": ["o-2", "o-1"]},
    }


def test_nothing_of_the_token_is_shown():
    asked = case({"bound_audiences": ["other"]})
    found = explain(asked)
    for part in asked.token.reveal().split("."):
        assert part not in json.dumps(found.as_json()) + repr(found) + repr(asked)


def test_control_characters_of_a_claim_are_escaped():
    found = explain(case({"bound_claims": {"env": "dev"}}, {"env": "a\x1b[31m\u202eb"}))
    (check,) = [check for check in found.checks if check.passed is False]
    assert check.received == '"a\\u001b[31m\\u202eb"'


def test_without_the_keys_the_signature_is_not_known():
    found = explain(replace(case(), jwks=None))
    assert {check.name: check.passed for check in found.checks}["signature"] is None
    assert any("keys are not known" in note for note in found.notes)
    assert found.accepted


def test_addresses_cannot_be_known_offline_and_are_said():
    found = explain(case({"token_bound_cidrs": ["10.0.0.0/8"]}))
    assert {check.name: check.passed for check in found.checks}["client address"] is None
    assert any("10.0.0.0/8" in note and "403" in note for note in found.notes)


def test_one_key_that_the_server_cannot_read_spoils_all():
    spoiled = {"keys": [*KEYS.jwks_document["keys"], {"kty": "AKP", "kid": "pq"}]}
    found = explain(replace(case(), jwks=spoiled))
    assert (found.error or "").startswith(
        "error validating token: error verifying token signature: fetching keys oidc: failed to decode keys"
    )
    assert '"pq"' in (found.first.fix if found.first else "")


@pytest.mark.parametrize(
    ("version", "audience", "accepted"),
    [("1.15.6", AUDIENCE, True), ("1.16.2", AUDIENCE, True), ("1.16.3", AUDIENCE, False), ("1.18.0", "", True)],
)
def test_older_vaults_do_not_look_at_a_single_audience(version: str, audience: str, accepted: bool):  # noqa: FBT001
    asked = case({"bound_audiences": []}, {"aud": audience}, server="vault", server_version=version)
    assert explain(asked).accepted is accepted


def test_older_vaults_bind_no_numbers():
    role = {"bound_claims": {"flag": True}}
    assert explain(case(role, server="vault", server_version="1.18.0")).accepted
    found = explain(case(role, server="vault", server_version="1.15.6"))
    assert found.error == "error validating claims: received claim is not a string or list: true"


def test_vault_has_no_templates_in_policies():
    role = {"token_policies": ["x-{{.gone}}"], "token_policies_template_claims": True}
    assert explain(case(role)).status == 500
    assert explain(case(role, server="vault")).accepted


@pytest.mark.parametrize(
    ("kind", "value", "bound"),
    [
        ("string", ["a", 1, None, ["b"], True], ["x", "a", True]),
        ("string", 7.5, ["x", 7]),
        ("glob", ["a", True], ["x", "a"]),
    ],
)
def test_the_fix_of_a_bound_claim_adds_what_can_match_and_nothing_else(kind: str, value: Any, bound: list[Any]):
    role = {"bound_claims": {"q": "x", "organizationId": "o-1"}, "bound_claims_type": kind}
    first = explain(case(role, {"q": value, "organizationId": "o-1"})).first
    assert first is not None
    assert json.loads(first.fix.splitlines()[2])["bound_claims"]["q"] == bound


@pytest.mark.parametrize("value", [[], [1.5], [["a"]], [{"a": 1}]])
def test_where_no_value_can_match_the_fix_says_so_and_leaves_the_others_bound(value: Any):
    first = explain(case({"bound_claims": {"q": "x", "env": "prod"}}, {"q": value})).first
    assert first is not None
    assert first.fix.startswith("No value can be bound that matches this")
    assert json.loads(first.fix.splitlines()[2])["bound_claims"] == {"env": "prod"}


def test_a_policy_that_becomes_root_is_taken_out_by_the_fix():
    role = {"token_policies": ["{{.q}}", "app"], "token_policies_template_claims": True}
    first = explain(case(role, {"q": " Root "})).first
    assert first is not None
    assert first.errors == ("auth methods cannot create root tokens",)
    assert json.loads(first.fix.splitlines()[1])["token_policies"] == ["app"]


@pytest.mark.parametrize(
    ("role", "seconds"),
    [
        ({"token_ttl": 300, "token_explicit_max_ttl": 100}, 100),
        ({"token_ttl": 0, "token_max_ttl": 77}, 77),
        ({"token_period": 600, "token_max_ttl": 60, "token_ttl": 30}, 600),
        ({"token_period": 600, "token_explicit_max_ttl": 60}, 60),
        ({"token_ttl": 0}, 0),
    ],
)
def test_a_token_lives_no_longer_than_its_caps(role: dict[str, Any], seconds: int):
    granted = explain(case(role)).granted
    assert granted is not None
    assert granted.ttl_seconds == seconds


def test_the_document_of_keys_is_repeated_as_it_stands():
    spoiled = {"keys": [{"kty": "AKP"}]}
    found = explain(replace(case(), jwks=spoiled, jwks_text='{ "keys":[{"kty":"AKP"}]}\n'))
    assert (found.error or "").endswith('unsupported key type/format { "keys":[{"kty":"AKP"}]}\n')
