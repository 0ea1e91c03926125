"""Apply that was interrupted, and several at once."""

import threading
from dataclasses import replace

import pytest

from declarations import as_toml, minimal
from runpass.vault.declaration.parsing import parse
from runpass.vault.declaration.state import Given, state_of
from runpass.vault.desired import Policy
from runpass.vault.errors import SetupConflict
from runpass.vault.reconcile import apply, plan, setup


@pytest.fixture
def state(issuer):
    return state_of(parse(as_toml(minimal(issuer)), "declared.toml"), Given())


class Stopped(BaseException):
    """What stops an apply between two writes."""


@pytest.mark.parametrize("writes", range(1, 7))
def test_an_apply_that_stopped_after_some_writes_is_completed_by_the_next(writes, vault_root, state):
    done = []

    def stop(change):
        done.append(change)
        if len(done) == writes:
            raise Stopped

    changes = plan(vault_root, state)
    with pytest.raises(Stopped):
        apply(vault_root, state, changes, on_done=stop)
    rest = setup(vault_root, state)
    assert [change.subject for change in rest] == [change.subject for change in changes[writes:]]
    assert plan(vault_root, state) == ()


def test_several_that_want_the_same_end_well_together(vault_root, state):
    failures: list[BaseException] = []
    start = threading.Barrier(4)

    def run():
        start.wait(10)
        try:
            setup(vault_root, state)
        except BaseException as error:  # noqa: BLE001 -- told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert plan(vault_root, state) == ()


def test_who_read_before_another_wrote_does_not_write_over_a_policy(vault_root, state):
    setup(vault_root, state)
    mine = replace(
        state, policies=(Policy(name=state.policies[0].name, text='path "mine" { capabilities = ["read"] }'),)
    )
    changes = plan(vault_root, mine)
    theirs = 'path "theirs" { capabilities = ["read"] }'
    vault_root.write(f"sys/policies/acl/{mine.policies[0].name}", {"policy": theirs})
    with pytest.raises(SetupConflict, match="somebody else changes the policy"):
        apply(vault_root, mine, changes)
    assert vault_root.read(f"sys/policies/acl/{mine.policies[0].name}").data["policy"] == theirs


def test_a_policy_that_another_made_meanwhile_is_not_written_over(vault_root, state):
    changes = plan(vault_root, state)
    name = state.policies[0].name
    vault_root.write(f"sys/policies/acl/{name}", {"policy": 'path "theirs" { capabilities = ["read"] }'})
    with pytest.raises(SetupConflict, match=name):
        apply(vault_root, state, changes)


@pytest.mark.parametrize("what", ["role", "config"])
def test_who_read_before_another_wrote_does_not_write_over_a_role_or_config(what, vault_root, state, own_issuer):
    setup(vault_root, state)
    role, mount = state.roles[0], state.auth.path
    config = f"auth/{mount}/config"
    vault_root.write(f"auth/{mount}/role/{role.name}", {**role.parameters(), "token_ttl": 60})
    vault_root.write(config, {**state.auth.config.parameters(), "bound_issuer": "https://drifted.test"})
    changes = [change for change in plan(vault_root, state) if what in change.subject.split(" ")[0]]
    theirs = {"jwks_url": own_issuer.jwks_url, "bound_issuer": own_issuer.url}
    if what == "role":
        vault_root.write(f"auth/{mount}/role/{role.name}", {**role.parameters(), "token_ttl": 30})
    else:
        vault_root.write(config, theirs)
    with pytest.raises(SetupConflict):
        apply(vault_root, state, tuple(changes))
    if what == "config":
        assert vault_root.read(config).data["bound_issuer"] == own_issuer.url


def test_what_another_made_just_the_same_is_nothing_to_fight_about(vault_root, state):
    changes = plan(vault_root, state)
    setup(vault_root, state)
    assert apply(vault_root, state, changes) == ()
