"""How a plan reads."""

from runpass.vault.desired import Policy, Request
from runpass.vault.difference import Change
from runpass.vault.plan_text import LONGEST, MOST_LINES, as_json, as_lines


def role(seen, **data):
    names = tuple(data) if seen is not None else ()
    action = "create" if seen is None else "update"
    return Change(action, "role deploy", Request("POST", "auth/jwt/role/deploy", data, "team"), names, seen)


def test_something_new_shows_what_it_will_be_without_what_is_empty():
    assert as_lines(role(None, token_ttl=120, token_num_uses=0, bound_claims={"a": "1"}, groups_claim="")) == [
        "+ role deploy (namespace team)",
        "    token_ttl: 120",
        '    bound_claims.a: "1"',
    ]


def test_a_difference_shows_what_is_and_what_should_be_and_of_a_map_only_the_entries_that_differ():
    seen = {"token_ttl": 3600, "bound_claims": {"a": "1", "b": "2", "old": "x"}}
    assert as_lines(role(seen, token_ttl=120, bound_claims={"a": "1", "b": ["2", "3"], "new": True})) == [
        "~ role deploy (namespace team)",
        "    token_ttl: 3600 -> 120",
        '    bound_claims.b: "2" -> ["2", "3"]',
        '    bound_claims.old: "x" -> null',
        "    bound_claims.new: true",
    ]


def test_a_policy_shows_the_lines_that_differ():
    policy = Policy(name="p", text='path "a" {\n  capabilities = ["read"]\n}\n')
    request = Request("POST", "sys/policies/acl/p", {"policy": policy.text})
    seen = {"policy": 'path "a" {\n  capabilities = ["sudo"]\n}\n'}
    assert as_lines(Change("update", "policy p", request, seen=seen))[1:] == [
        '     path "a" {',
        '    -  capabilities = ["sudo"]',
        '    +  capabilities = ["read"]',
        "     }",
    ]


def test_what_a_vault_answers_cannot_steer_the_terminal_nor_fill_it():
    nasty = "\x1b[2J\u202e" + "x" * 10_000
    lines = as_lines(role({"user_claim": nasty, "bound_claims": {nasty: nasty}}, user_claim="a", bound_claims={}))
    assert all(line.isascii() or "…" in line for line in lines)
    assert not any("\x1b" in line or "\u202e" in line for line in lines)
    assert all(len(line) < 2 * LONGEST for line in lines)
    request = Request("POST", "sys/policies/acl/p", {"policy": "\n".join("x" * 9_999)})
    long = as_lines(Change("update", "policy p", request, seen={"policy": nasty}))
    assert len(long) < MOST_LINES + 5
    assert not any("\x1b" in line for line in long)


def test_a_certificate_is_shown_by_its_digest():
    pem = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"
    (_, line) = as_lines(role({"jwt_validation_pubkeys": []}, jwt_validation_pubkeys=[pem]))
    assert "AAAA" not in line
    assert "SHA-256" in line


def test_programs_get_the_same_as_json():
    assert as_json(role({"token_ttl": 60}, token_ttl=120)) == {
        "action": "update",
        "subject": "role deploy",
        "namespace": "team",
        "path": "auth/jwt/role/deploy",
        "parameters": [{"name": "token_ttl", "is": 60, "shouldBe": 120}],
    }
