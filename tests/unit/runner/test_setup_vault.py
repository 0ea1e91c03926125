"""What a Vault gave becomes variables that a program can be given, or the run ends with a refusal by name."""

import asyncio
from types import SimpleNamespace

import pytest

from factories import vault_oidc
from runpass.clock import SYSTEM_CLOCK
from runpass.protocol.reports import SETUP_VAULT_STEP, Outcome
from runpass.protocol.run_lease import Variable
from runpass.runner.ending import RunEnds
from runpass.runner.identity import LoginIdentity
from runpass.runner.masking import Mask
from runpass.runner.setup_vault import SetupVault
from runpass.secret import Secret

LARGEST = 131_072 - len("TOKEN=") - 1


class Logins:
    """Logins at a Vault whose one secret has this value."""

    def __init__(self, value: str) -> None:
        self._value = Secret(value)

    async def log_in(self, *_):
        return SimpleNamespace(token=Secret("s.token"), granted=SimpleNamespace(warnings=()))

    async def read(self, _session, references, namespace):
        assert namespace == "secrets"
        return dict.fromkeys(references, self._value)


class Identity:
    async def for_credential(self, _=None):
        return LoginIdentity(Secret("jwt"), None, self.for_credential)


def resolved(value: str, text: str = "${vault:kv/app.x}", *, sensitive: bool = False):
    credential = vault_oidc(secretNamespace="secrets")
    grant = SimpleNamespace(value=credential, credential_id=1, name="c")
    variables = (Variable(name="TOKEN", value=Secret(text), sensitive=sensitive),)
    lease = SimpleNamespace(credentials=(grant,), variables=variables, run=SimpleNamespace(project_name="p"))
    mask, said = Mask(), []

    async def say(sentence: str) -> None:
        said.append(sentence)

    step = SetupVault(lease, Identity(), Logins(value), None, mask, say, SYSTEM_CLOCK)
    return asyncio.run(step.run({}, None)).resolved["TOKEN"].reveal(), mask


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("canary\0" * 3, "${vault:kv/app.x}"),
        ("c" * (LARGEST + 1), "${vault:kv/app.x}"),
        ("ä" * (LARGEST // 2 + 1), "${vault:kv/app.x}"),
        ("c" * 100_000, "${vault:kv/app.x}" * 1_000),
    ],
    ids=["nul", "characters", "bytes", "many-times"],
)
def test_a_variable_that_no_program_can_be_given_is_refused_by_its_name(value, text):
    with pytest.raises(RunEnds) as caught:
        resolved(value, text)
    ending = caught.value.ending
    assert (ending.outcome, ending.failed_step) == (Outcome.FAILURE, SETUP_VAULT_STEP)
    assert ending.refusal.code == "secret_unusable"
    assert "TOKEN" in ending.error
    assert value[:6] not in ending.error


def test_the_largest_one_is_given_and_masked():
    value, mask = resolved("".join(chr(97 + number % 23) for number in range(LARGEST)))
    assert len(value) == LARGEST
    assert mask.text(f"a {value} b") == "a *** b"


def test_what_a_sensitive_variable_became_is_masked_as_a_whole():
    _, mask = resolved("hunter2-horse", "abc:${vault:kv/app.x}:def", sensitive=True)
    assert mask.text("abc:hunter2-horse:def") == "***"
