import pytest

from runpass.vault.lint.policy_text import path_rules, reaches


@pytest.mark.parametrize(
    "text",
    [
        'path "a/*" { capabilities = ["read", "list"] }',
        'path "a/*" {\n  capabilities = ["read",\n "list",]\n}\n',
        'path "a/*" = { capabilities = ["list", "read"] } // a comment',
        '# first\npath "a/*" { policy = "read" }',
        '{"path": {"a/*": {"capabilities": ["read", "list"]}}}',
        '{"path": [{"a/*": [{"capabilities": ["read", "list"]}]}]}',
        'name = "x"\npath "a/*" { capabilities = ["read", "list"] max_wrapping_ttl = "1h" }',
        'path "a/*" { allowed_parameters = { "capabilities" = ["sudo"] } capabilities = ["read", "list"] }',
    ],
)
def test_a_path_and_its_capabilities_are_read_in_every_spelling(text):
    [rule] = path_rules(text)
    assert (rule.path, rule.capabilities) == ("a/*", {"read", "list"})
    assert not rule.writes


@pytest.mark.parametrize("text", ["nonsense", 'path "a" {', 'path "a"', "[1]", '"path" = 1 2 3'])
def test_what_is_not_a_policy_is_told_apart_from_an_empty_one(text):
    assert path_rules(text) is None
    assert path_rules("") == ()
    assert path_rules("# nothing\n") == ()


def test_a_denied_path_does_not_write():
    [rule] = path_rules('path "a" { capabilities = ["deny", "update"] }')
    assert not rule.writes


@pytest.mark.parametrize(
    ("path", "target", "does"),
    [
        ("auth/jwt/role/deploy", "auth/jwt/role/*", True),
        ("auth/jwt/role", "auth/jwt/role/*", False),
        ("auth/+/role/x", "auth/jwt/role/*", True),
        ("auth/jwt*", "auth/jwt/role/*", True),
        ("auth/jwt-b/role/*", "auth/jwt/role/*", False),
        ("*", "sys/raw/*", True),
        ("sys/po*", "sys/policies/acl/*", True),
        ("kv/data/*", "sys/raw/*", False),
        ("{{identity.entity.name}}/*", "sys/raw/*", True),
        ("+/+", "sys/raw/*", False),
        ("+/+/*", "sys/raw/*", True),
    ],
)
def test_patterns_meet_where_they_have_a_path_in_common(path, target, does):
    assert reaches(path, target) is does
    assert reaches(target, path) is does
