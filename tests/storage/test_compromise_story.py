"""The cure of a leaked key from its first step to its last, with servers and a runner that live while it waits."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice

import jwt
import pytest
from sqlalchemy import update

from factories import Tenant, World
from key_scene import POLICY, SECOND, actions, rotate, start_rings
from runpass.errors import ControlPlaneError
from runpass.ids import VaultTaskId
from runpass.protocol.key_checks import KeyCheck, KeyCheckReport, ProbeVerdict, Refetched
from runpass.secret import Secret
from runpass.server.audit import AuditEvent, record
from runpass.server.db.schema.compromises import server_processes
from runpass.server.issuer.addresses import JWKS, IssuerAddresses
from runpass.server.issuer.compromise import Cure
from runpass.server.issuer.key_life import remove_early
from runpass.server.issuer.minting import Minter
from runpass.server.issuer.presence import Presence
from runpass.server.issuer.rings import Rings
from runpass.server.runners.model import Runner
from runpass.server.trail.minted import MINTED, minted_with
from runpass.server.vault_tasks.compromise import Around, Story, Told
from runpass.server.vault_tasks.connection_tests import TestRules
from runpass.server.vault_tasks.key_checks import finish_key_check, take_key_check
from runpass.server.vault_tasks.trust import Trust

ISSUER = "https://id.example.com/"
STEPS = ["stop", "acknowledge", "probe", "destroy", "replace", "withdraw", "prove"]
PATIENCE = timedelta(seconds=4)


@dataclass
class Life:
    """Servers, a runner and a Vault, which get half a second whenever somebody waits."""

    world: World
    servers: list[Rings]
    runner: Runner | None = None
    vault: set[str] = field(default_factory=set)
    """The keys that the Vault trusts."""
    fetches: bool = True
    probes: list[Secret] = field(default_factory=list)

    def __post_init__(self) -> None:
        world = self.world
        self.presences = [Presence(world.database, world.clock, rings) for rings in self.servers]
        self.vault |= self.published(ISSUER)
        minter = Minter(self.servers[0].shared, ISSUER, world.clock)
        parts = (world.database, world.cipher, world.clock)
        self.rules = TestRules(*parts, minter, ISSUER[:-1], IssuerAddresses(ISSUER, f"{ISSUER}jwks.json"))
        for presence in self.presences:
            presence.tell()

    def published(self, _: str) -> set[str]:
        return {key.kid for key in self.servers[0].shared.last_read.keys}

    def pause(self) -> None:
        self.world.clock.advance(SECOND / 2)
        for rings, presence in zip(self.servers, self.presences, strict=True):
            rings.tend()
            presence.tell()
        if self.runner is not None and (task := take_key_check(self.rules, self.runner)):
            report = self.check(task)
            finish_key_check(self.rules, self.runner, VaultTaskId(task.task_id), task.task_secret, report)

    def check(self, task: KeyCheck) -> KeyCheckReport:
        if self.fetches:
            self.vault = self.published(ISSUER)
        verdict = None
        if task.probe is not None:
            self.probes.append(task.probe)
            is_known = jwt.get_unverified_header(task.probe.reveal())["kid"] in self.vault
            verdict = ProbeVerdict.REFUSED_EXPIRED if is_known else ProbeVerdict.REFUSED_SIGNATURE
        refetched = Refetched.FETCHED if self.fetches else Refetched.FETCH_FAILED
        return KeyCheckReport(reached=True, refetched=refetched, probe_verdict=verdict, said="its words")

    def story(self, kid: str, fetch: Callable[[str], Iterable[str]] | None = None) -> Story:
        around = Around(
            addresses=IssuerAddresses(ISSUER, f"{ISSUER}{JWKS}"),
            audience=ISSUER[:-1],
            fetch_kids=lambda url: set((fetch or self.published)(url)),
            pause=self.pause,
            patience=PATIENCE,
        )
        world = self.world
        return Story(Cure(world.database, world.cipher, world.clock, POLICY, "operator:test"), around, kid)


@pytest.fixture
def tenant(world: World) -> Tenant:
    tenant = world.tenant()
    tenant.credential(tenant.project())
    return tenant


@pytest.fixture
def life(world: World, tenant: Tenant) -> Life:
    return Life(world, [start_rings(world), start_rings(world)], tenant.runner())


def verdicts(told: Iterable[Told]) -> dict[str, bool]:
    return {item.step: item.ok for item in told}


def test_a_command_that_is_killed_after_any_step_goes_on_when_it_is_given_again(life: Life, world: World):
    bad = life.servers[0].shared.signing.kid
    for killed_after in range(1, len(STEPS)):
        told = list(islice(life.story(bad).steps(), killed_after))
        assert verdicts(told) == dict.fromkeys(STEPS[:killed_after], True)
        life.pause()
    story = life.story(bad)
    assert verdicts(story.steps()) == dict.fromkeys(STEPS, True)
    assert [item.trust for item in story.vaults] == [Trust.CURED]
    for rings in life.servers:
        assert [key.kid for key in rings.shared.current.keys] == [story.found.replacement_kid]
        assert rings.shared.signing.kid != bad
    for probe in life.probes:
        assert jwt.get_unverified_header(probe.reveal())["kid"] == bad
        claims = jwt.decode(probe.reveal(), options={"verify_signature": False})
        assert (claims["iat"], claims["exp"], claims["iss"], claims["aud"]) == (1, 2, ISSUER, ISSUER[:-1])
    once = [action.removeprefix("signing_key.") for action, actor in actions(world) if actor == "operator:test"]
    assert once == [
        "compromised",
        "stop_acknowledged",
        "probes_signed",
        "destroyed",
        "created",
        "withdrawal_confirmed",
        "vaults_checked",
        "cured",
    ]


def test_a_server_that_was_cut_off_is_waited_for_until_it_can_neither_sign_nor_publish(life: Life, world: World):
    bad = life.servers[0].shared.signing.kid
    cut_off = life.presences.pop()
    life.servers.pop()
    steps = life.story(bad).steps()
    next(steps)
    began = world.clock.now()
    acknowledged = next(steps)
    assert world.clock.now() - began >= POLICY.stale_after
    assert acknowledged.ok
    assert "Acknowledged by 1 server process" in acknowledged.said
    assert "did not answer" in acknowledged.said
    rest = list(steps)
    assert [item.step for item in rest if not item.ok] == ["withdraw"]
    assert "may publish it until" in rest[3].said
    world.clock.advance(POLICY.documents_stale_after)
    assert all(verdicts(life.story(bad).steps()).values())
    cut_off.end()


def test_a_process_that_runs_and_never_sees_the_stop_is_named(life: Life, world: World):
    bad = life.servers[0].shared.signing.kid
    life.servers.pop()
    life.presences.pop()
    steps = life.story(bad).steps()
    next(steps)
    silent = server_processes.c.seen_change < life.servers[0].seen_change + 1
    with world.database.write() as tx:
        tx.execute(update(server_processes).where(silent).values(seen_at=world.clock.now() + timedelta(minutes=1)))
    acknowledged = next(steps)
    assert not acknowledged.ok
    assert "does not say that it has seen the stop" in acknowledged.said


def test_an_old_answer_of_a_proxy_is_named_and_nothing_is_the_end_until_it_is_gone(life: Life, world: World):
    bad = life.servers[0].shared.signing.kid
    story = life.story(bad, fetch=lambda _: {bad})
    told = list(story.steps())
    assert [item.step for item in told if not item.ok] == ["withdraw"]
    assert "something in front of the servers keeps an old answer" in told[5].said
    assert [item.trust for item in story.vaults] == [Trust.CURED]
    assert story.found.cured_at is None

    def nowhere(_: str) -> set[str]:
        raise ControlPlaneError("it answered 502")

    assert "it answered 502" in list(life.story(bad, fetch=nowhere).steps())[5].said
    assert "does not have the key that signs now" in list(life.story(bad, fetch=lambda _: set()).steps())[5].said
    story = life.story(bad)
    assert all(verdicts(story.steps()).values())
    assert story.found.cured_at is not None


def test_a_vault_that_still_trusts_the_key_or_is_asked_by_nobody_is_named(life: Life, tenant: Tenant, world: World):
    bad = life.servers[0].shared.signing.kid
    life.fetches, runner, life.runner = False, life.runner, None
    story = life.story(bad)
    assert not verdicts(story.steps())["prove"]
    assert [item.trust for item in story.vaults] == [Trust.NO_RUNNER]
    life.runner = runner
    assert not verdicts(story.steps())["prove"]
    (found,) = story.vaults
    assert (found.trust, found.said) == (Trust.TRUSTED, "its words")
    life.fetches = True
    assert verdicts(story.steps())["prove"]
    world.clock.advance(SECOND)
    tenant.credential(name="later", address="https://later.example.com")
    assert not verdicts(story.steps())["prove"]  # the probes are gone: what is known later was never asked
    assert [item.trust for item in story.vaults].count(Trust.CURED) == 1


def test_a_vault_that_became_known_between_two_tries_is_shown_the_spare_probe(life: Life, tenant: Tenant):
    bad = life.servers[0].shared.signing.kid
    list(islice(life.story(bad).steps(), 4))
    tenant.credential(name="later", address="https://later.example.com")
    story = life.story(bad)
    assert all(verdicts(story.steps()).values())
    assert [item.trust for item in story.vaults] == [Trust.CURED] * 2


def test_a_key_that_was_destroyed_before_can_be_withdrawn_and_nothing_be_proved(life: Life, world: World):
    bad = life.servers[0].shared.signing.kid
    rotate(world, *life.servers)
    remove_early(world.database, world.clock, bad, "operator:test")
    story = life.story(bad)
    told = list(story.steps())
    assert [item.step for item in told if not item.ok] == ["probe", "prove"]
    assert [item.trust for item in story.vaults] == [Trust.NOT_CONFIRMED]
    assert "was gone before a probe was signed" in story.vaults[0].why


def test_only_the_vaults_of_an_organization_are_asked_about_its_own_issuers_key(life: Life, world: World):
    other = world.tenant("other")
    other.credential(name="theirs", address="https://other.example.com")
    bad = life.servers[0].ring_for(other.id).signing.kid
    life.runner = other.runner()

    def fetch(url: str) -> set[str]:
        assert url == f"{ISSUER}o/{other.id}/{JWKS}"
        return {key.kid for key in life.servers[0].ring_for(other.id).last_read.keys}

    story = life.story(bad, fetch=fetch)
    assert all(verdicts(story.steps()).values())
    assert [item.vault.organization_id for item in story.vaults] == [other.id]
    (probe,) = life.probes
    assert jwt.decode(probe.reveal(), options={"verify_signature": False})["iss"] == f"{ISSUER}o/{other.id}/"


def test_what_was_signed_with_a_key_since_then_is_listed(world: World, tenant: Tenant):
    other = world.tenant("other")

    def mint(organization: Tenant, kid: str, jti: str) -> None:
        world.clock.advance(timedelta(hours=1))
        detail = {"kid": kid, "jti": jti, "audience": "aud", "expiresAt": "then"}
        now = world.clock.now()
        with world.database.write() as tx:
            record(tx, AuditEvent(now, "runner:r", MINTED, "deployment", jti, organization.id, detail))

    mint(tenant, "bad", "too-early")
    since = world.clock.now() + SECOND
    for organization, kid, jti in ((tenant, "bad", "one"), (other, "bad", "two"), (tenant, "good", "three")):
        mint(organization, kid, jti)
    with world.database.read() as tx:
        found = {item.jti: item for item in minted_with(tx, "bad", since)}
    assert found.keys() == {"one", "two"}
    assert (found["two"].organization_id, found["two"].audience, found["two"].subject_id) == (other.id, "aud", "two")
