"""The doctor after a login: the token, the secrets, and that nothing is left behind."""

import pytest

from doctor_scene import QUICK, examined, failed, tokens
from runpass.vault.doctor.diagnosis import diagnose
from runpass.vault.doctor.model import Verdict

WEAK = {
    "no default policy": ({"token_no_default_policy": True, "token_policies": ["x"]}, "token", Verdict.WARNING),
    "a batch token": ({"token_type": "batch"}, "revocation", Verdict.WARNING),
    "no ttl": ({"token_ttl": None}, "login", Verdict.WARNING),
}


@pytest.mark.parametrize("case", WEAK)
def test_a_token_that_does_not_end_as_it_should_is_a_warning(case, issuer, target, write_role):
    changes, check, verdict = WEAK[case]
    write_role(**changes)
    results = examined(target(), tokens(issuer))
    assert results[check].verdict is verdict
    assert failed(results) == set()


def test_secrets_that_cannot_be_read_are_told_with_what_could_be(vault_root, issuer, target, readable, kv1_mount):
    policy, kv = readable
    listing = f'path "{kv}/metadata/*" {{ capabilities = ["list"] }}'
    vault_root.write(
        f"sys/policies/acl/{policy}-list", {"policy": listing + f'path "{kv}/data/ap" {{ capabilities = ["read"] }}'}
    )
    vault_root.write(f"{kv1_mount}/app", {"x": "1"})
    wrong = {
        f"{kv}/app.passwrod": "Did you mean password?",
        f"{kv}/ap.password": f"Did you mean {kv}/app?",
        f"{kv}/data/app.password": f"Write {kv}/app.",
        f"{kv}/other.password": f'path "{kv}/data/other"',
        f"{kv}x/app.password": f"Did you mean {kv}/app or",
        f"{kv1_mount}/app.x": "policy of the role allows",
        "no/such/thing.x": "Check the mount's path",
        "bad//path.x": "looks like team/app",
        "a/b.c@nowhere": "Check the namespace's whole path",
    }
    results = list(diagnose(target(secrets=tuple(wrong)), tokens(issuer), limits=QUICK))
    found = [item for item in results if item.check == "secret"]
    assert [item.verdict for item in found] == [Verdict.FAILED] * len(wrong)
    for item, expected in zip(found, wrong.values(), strict=True):
        assert expected in item.next_step, item
    assert "canary-value" not in str([item.to_json() for item in results])


def test_a_kv_engine_of_version_1_is_read_as_such(vault_root, issuer, target, readable, kv1_mount):
    vault_root.write(f"{kv1_mount}/app", {"x": "1"})
    policy = f'path "{kv1_mount}/*" {{ capabilities = ["read", "list"] }}'
    vault_root.write(f"sys/policies/acl/{readable[0]}", {"policy": policy})
    results = examined(target(secrets=(f"{kv1_mount}/app.x",)), tokens(issuer))
    assert f"KV version 1 at {kv1_mount}/, capabilities list, read" in results["secret"].seen
    assert failed(results) == set()


def test_secrets_of_their_own_namespace_are_read_there(vault_root, issuer, target, write_role, unique):
    namespace = unique("team")
    vault_root.write(f"sys/namespaces/{namespace}")
    inside = vault_root.in_namespace(namespace)
    inside.write("sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    inside.write("kv/data/app", {"data": {"x": "1"}})
    policy = unique("read")
    vault_root.write(
        f"sys/policies/acl/{policy}", {"policy": f'path "{namespace}/kv/data/*" {{ capabilities = ["read"] }}'}
    )
    write_role(token_policies=[policy])
    results = examined(target(secret_namespace=namespace, secrets=("kv/app.x",)), tokens(issuer))
    assert failed(results) == set()
    named = examined(target(secrets=(f"kv/app.x@{namespace}", f"kv/app.y@{namespace}")), tokens(issuer))
    assert failed(named) == {"secret"}


@pytest.mark.parametrize("after", ["login", "secret", "token"])
def test_who_stops_asking_leaves_no_token(issuer, target, write_role, living, after):
    write_role()
    chosen = target(secrets=("a/b.c",))
    results = diagnose(chosen, tokens(issuer), limits=QUICK)
    for item in results:
        if item.check == after:
            assert living(chosen.mount) == 1
            break
    results.close()
    assert living(chosen.mount) == 0


def test_an_interrupt_leaves_no_token(issuer, target, write_role, living):
    write_role()
    chosen = target()
    results = diagnose(chosen, tokens(issuer), limits=QUICK)
    while next(results).check != "login":
        pass
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt())
    assert living(chosen.mount) == 0


def test_no_token_is_in_any_result(issuer, target, write_role):
    write_role(bound_claims={"projectId": "x"})
    given = tokens(issuer)
    told = str([item.to_json() for item in diagnose(target(), given, limits=QUICK)])
    for token in (given.expired, given.login):
        for part in token.reveal().split("."):
            assert part not in told
