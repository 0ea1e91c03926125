"""The command that ends every token of one login path."""

import shlex

from runpass.vault.errors import Place
from runpass.vault.revocation import revoke_prefix_command


def test_it_names_address_namespace_and_mount_and_no_token():
    place = Place("https://vault.example.com:8200", "team/a")
    assert revoke_prefix_command(place, "ci/jwt") == (
        "bao write -address=https://vault.example.com:8200 -namespace=team/a -force"
        " sys/leases/revoke-prefix/auth/ci/jwt/login"
    )
    assert "-namespace" not in revoke_prefix_command(Place("https://vault.example.com"), "jwt", "vault")


def test_what_a_credential_says_cannot_become_another_command():
    command = revoke_prefix_command(Place("https://vault.example.com", "a b; rm -rf /"), "jwt'$(id)")
    words = shlex.split(command)
    assert len(words) == 6
    assert words[-1] == "sys/leases/revoke-prefix/auth/jwt'$(id)/login"
