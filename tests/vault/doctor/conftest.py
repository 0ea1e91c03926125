"""Targets at the shared OpenBao, and what tells whether a token was left behind."""

import pytest

from runpass.vault.doctor.model import DoctorTarget


@pytest.fixture
def target(openbao, trusting_mount):
    def make(**changes) -> DoctorTarget:
        return DoctorTarget(**{"address": openbao.address, "role": "deploy", "mount": trusting_mount, **changes})

    return make


@pytest.fixture
def living(vault_root):
    """How many tokens of this mount live."""

    def count(mount: str) -> int:
        accessors = vault_root.list("auth/token/accessors").data["keys"]
        found = [vault_root.write("auth/token/lookup-accessor", {"accessor": item}, accept={403}) for item in accessors]
        return sum(item.data.get("path") == f"auth/{mount}/login" for item in found)

    return count


@pytest.fixture
def reading(vault_root, kv_mount, allow):
    """A policy that lets read one secret, and where that is."""
    vault_root.write(f"{kv_mount}/data/app", {"data": {"password": "canary-value"}})
    vault_root.write(f"{kv_mount}/data/other", {"data": {"password": "canary-value"}})
    policy = allow(f'path "{kv_mount}/data/app" {{ capabilities = ["read"] }}')
    return policy, kv_mount


@pytest.fixture
def readable(reading, write_role):
    """A role that has this policy, and another one beside it."""
    policy, kv = reading
    write_role(token_policies=[policy, f"{policy}-list"])
    return policy, kv
