"""What `runpass keys compromise` prints: each step as it ends, each Vault, what to run, what was signed."""

import sys
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.text import Text

from runpass.cli.output import print_json, print_rows
from runpass.cli.terminal import one_line

if TYPE_CHECKING:
    from runpass.server.trail.minted import MintedToken
    from runpass.server.vault_tasks.compromise import Story, Told
    from runpass.server.vault_tasks.trust import VaultTrust

MOST_ROWS: Final = 200
"""What people are shown; there may be millions."""
CURED: Final = "cured"
_TOKENS: Final = {
    "Made at": "at",
    "Organization": "organizationId",
    "For": "for",
    "Id": "subjectId",
    "Audience": "audience",
    "jti": "jti",
    "Expires": "expiresAt",
}
REVOKE: Final = "To end every token that came from a login at these Vaults (with a token of yours that has sudo there):"
HONEST: Final = (
    "These end the tokens of runs that go on, too. Batch tokens cannot be revoked: they end with their own TTL."
)

FORGED: Final = "A login with the key whose jti is not in this list was forged, if the list goes back far enough."


class Report:
    """Prints for people as things happen, or one JSON object at the end, with the steps on standard error."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._steps: list[dict[str, Any]] = []
        self._console = Console(
            file=sys.stderr if as_json else sys.stdout, highlight=False, markup=False, emoji=False, soft_wrap=True
        )

    def step(self, told: "Told") -> None:
        """Print a step that is over."""
        self._steps.append({"step": told.step, "ok": told.ok, "said": told.said})
        self._console.print(Text.assemble(_mark(ok=told.ok), (f"{told.step:<12}", "bold"), one_line(told.said)))

    def end(self, story: "Story", minted: "Iterator[MintedToken]") -> None:
        """Print what is known of the Vaults, how tokens are ended there, and what was signed with the key."""
        vaults = [_vault(item) for item in story.vaults]
        commands = _commands(story)
        shown = [_token(item) for item in (minted if self._as_json else islice(minted, MOST_ROWS))]
        if self._as_json:
            found = story.found
            replacement = found.replacement_kid if found else None
            print_json(
                {
                    "keyId": story.kid,
                    "replacementKeyId": replacement,
                    "steps": self._steps,
                    "vaults": vaults,
                    "revoke": commands,
                    "minted": shown,
                }
            )
            return
        if vaults:
            self._heading("Known Vaults")
        for vault in vaults:
            self._print_vault(vault)
        self._print_commands(commands)
        self._print_tokens(shown, more=sum(1 for _ in minted))

    def _print_vault(self, vault: dict[str, Any]) -> None:
        mark, why = _mark(ok=vault["verdict"] == CURED), f": {one_line(vault['why'])}" if vault["why"] else ""
        self._console.print(Text.assemble(mark, one_line(vault["vault"]), "  ", (vault["verdict"], "bold"), why))
        self._console.print(Text(f"    organization {vault['organizationId']}", style="dim"))
        if vault["said"]:
            self._console.print(Text(f"    said: {one_line(vault['said'])}", style="dim"))

    def _print_commands(self, commands: list[str]) -> None:
        if commands:
            self._heading(REVOKE)
            for command in commands:
                self._console.print(Text(f"  {one_line(command)}"))
            self._console.print(Text(HONEST))

    def _print_tokens(self, tokens: list[dict[str, Any]], *, more: int) -> None:
        self._heading(f"Signed with the key here, newest first: {len(tokens) + more}")
        self._console.print(Text(FORGED))
        if tokens:
            print_rows(tokens, _TOKENS)
        if more:
            self._console.print(Text(f"{more} more: add --json"))

    def _heading(self, text: str) -> None:
        self._console.print()
        self._console.print(Text(text, style="bold"))


def _mark(*, ok: bool) -> tuple[str, str]:
    return ("✓ ", "green") if ok else ("✗ ", "red")


def _vault(found: "VaultTrust") -> dict[str, Any]:
    vault = found.vault
    return {
        "vault": str(vault.place),
        "organizationId": str(vault.organization_id),
        "address": vault.place.address,
        "namespace": vault.place.namespace,
        "mount": vault.place.mount,
        "credentialIds": [str(item.id) for item in vault.credentials],
        "verdict": found.trust.value,
        "why": found.why,
        "said": found.said,
    }


def _commands(story: "Story") -> list[str]:
    from runpass.vault.errors import Place
    from runpass.vault.revocation import revoke_prefix_command

    places = {item.vault.place: None for item in story.vaults}
    return [revoke_prefix_command(Place(item.address, item.namespace), item.mount) for item in places]


def _token(found: "MintedToken") -> dict[str, Any]:
    return {
        "at": found.at.isoformat(timespec="seconds"),
        "organizationId": str(found.organization_id),
        "for": found.subject_kind,
        "subjectId": found.subject_id,
        "runner": found.runner,
        "audience": found.audience,
        "jti": found.jti,
        "expiresAt": found.expires_at,
    }
