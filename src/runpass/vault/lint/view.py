"""A role, and an auth method, as the rules look at them: raw data in, typed answers out. Never raises. Pure."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from runpass.vault.errors import visible
from runpass.vault.lint.claims import SWEEPER, claim_of, subject_parts
from runpass.vault.lint.model import MountFacts
from runpass.vault.lint.policy_text import PathRule, path_rules

DAY: Final = 86_400
SYSTEM_TTL: Final = 32 * DAY
"""What an unset TTL means: 768 h, unless the server or the mount says something else."""
SHOWN: Final = 120
_UNIT: Final = {"s": 1, "m": 60, "h": 3600, "d": DAY}


@dataclass(frozen=True)
class Parameters:
    """Parameters by name; a wrong type reads like an unset one."""

    data: Mapping[str, Any] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Give a text, empty if there is none."""
        found = self.data.get(name)
        return found if isinstance(found, str) else ""

    def texts(self, name: str) -> tuple[str, ...]:
        """Give a list of texts."""
        found = self.data.get(name)
        return tuple(item for item in found if isinstance(item, str)) if isinstance(found, list | tuple) else ()

    def seconds(self, name: str) -> int:
        """Give a duration; a role that was written by hand may say `5m`."""
        return duration(self.data.get(name)) or 0

    def flag(self, name: str) -> bool:
        """Give a switch."""
        return self.data.get(name) is True

    def mapping(self, name: str) -> Mapping[str, Any]:
        """Give a map."""
        found = self.data.get(name)
        return found if isinstance(found, Mapping) else {}


def duration(value: object) -> int | None:
    """Give seconds, from a number or from Vault's own words (`90`, `5m`, `1h30m`, `1d`); None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return None
    text = value.strip()
    if re.fullmatch(r"-?[0-9]{1,12}", text):
        return int(text)
    if not re.fullmatch(r"([0-9]{1,9}[smhd])+", text):
        return None
    return sum(int(number) * _UNIT[unit] for number, unit in re.findall(r"([0-9]+)([smhd])", text))


@dataclass(frozen=True)
class Mount(Parameters):
    """The config of an auth method, with what is known around it; `data` is empty if it was not read."""

    facts: MountFacts = field(default_factory=MountFacts)

    @property
    def was_read(self) -> bool:
        """Whether the config is known."""
        return self.facts.config is not None

    @property
    def tuning(self) -> Parameters:
        """How the method is mounted."""
        return Parameters(self.facts.tuning or {})

    @property
    def path(self) -> str:
        """Give the path as it is shown."""
        return visible(f"auth/{self.facts.mount}", SHOWN)

    def where(self, parameter: str) -> str:
        """Name a parameter of the config."""
        return f"{self.path}/config: {parameter}"


@dataclass(frozen=True)
class Role(Parameters):
    """A role of `mount`; `is_cel` for one whose decision is a program (OpenBao only)."""

    name: str = ""
    mount: Mount = field(default_factory=Mount)
    is_cel: bool = False

    @property
    def path(self) -> str:
        """Give the role's path as it is shown."""
        return f"{self.mount.path}/{'cel/' if self.is_cel else ''}role/{visible(self.name, SHOWN)}"

    def where(self, parameter: str) -> str:
        """Name a parameter of this role."""
        return f"{self.path}: {visible(parameter, SHOWN)}"

    def command(self, setting: Mapping[str, str]) -> str:
        """Give the command that changes these parameters and keeps the others.

        A role's writes merge, but for the two parameters that fall back to their defaults when they are left out.
        """
        kept = {"role_type": self.text("role_type") or "jwt", "bound_claims_type": self.text("bound_claims_type")}
        words = [f"{name}={value}" for name, value in ({k: v for k, v in kept.items() if v} | dict(setting)).items()]
        within = [f"-namespace={self.mount.facts.namespace}"] if self.mount.facts.namespace else []
        path = f"auth/{self.mount.facts.mount}/role/{self.name}"
        return visible(shlex.join(["bao", "write", *within, path, *words]))

    @property
    def bound(self) -> Mapping[str, tuple[Any, ...]]:
        """Give the bound claims by the claim they mean, each with the values it may have.

        A subject from a template binds what it is made of.
        """
        found: dict[str, tuple[Any, ...]] = {}
        for key, value in self.mapping("bound_claims").items():
            found[claim_of(key)] = tuple(value) if isinstance(value, list | tuple) else (value,)
        subjects = (self.text("bound_subject"), *found.get("sub", ()))
        parts = [subject_parts(item) if isinstance(item, str) else {} for item in subjects if item]
        for name in set[str]().union(*parts):
            if all(name in part for part in parts):
                found.setdefault(name, tuple(part[name] for part in parts))
        return found

    def binds(self, *claims: str) -> bool:
        """Whether one of these claims is bound; for a program, whether it speaks of one."""
        if self.is_cel:
            return any(re.search(rf"\b{re.escape(claim)}\b", self.program) for claim in claims)
        return any(claim in self.bound for claim in claims)

    def values(self) -> Iterator[tuple[str, str, Any]]:
        """Give claim, key as written, and value of all that is bound."""
        for key, value in self.mapping("bound_claims").items():
            for item in value if isinstance(value, list | tuple) else (value,):
                yield claim_of(key), key, item

    def patterns(self) -> Iterator[tuple[str, str, str]]:
        """Give claim, key and pattern of every bound value in which a star counts."""
        if self.text("bound_claims_type") == "glob":
            yield from (
                (claim, key, item) for claim, key, item in self.values() if isinstance(item, str) and "*" in item
            )

    @property
    def program(self) -> str:
        """Give the text of a CEL role's program."""
        program = self.mapping("cel_program")
        variables = program.get("variables")
        parts = (
            [item.get("expression") for item in variables if isinstance(item, dict)]
            if isinstance(variables, list)
            else []
        )
        return "\n".join(part for part in [program.get("expression"), *parts] if isinstance(part, str))

    @property
    def is_sweeper(self) -> bool:
        """Whether the role is for the control plane's own tokens, which no run has."""
        return self.bound.get("apiKeyType") == (SWEEPER,)

    @property
    def user_claim(self) -> str:
        """Give the claim that names a login's entity."""
        written = self.text("user_claim")
        return claim_of(written) if self.flag("user_claim_json_pointer") else written

    @property
    def policies(self) -> tuple[str, ...]:
        """Give the names of the policies that a token of this role has, as the Vault writes them on it."""
        named = {item.lower() for item in (*self.texts("token_policies"), *self.texts("policies"))}
        if not self.flag("token_no_default_policy"):
            named.add("default")
        return tuple(sorted(named))

    def path_rules(self) -> Iterator[tuple[str, PathRule]]:
        """Give every rule of the policies whose texts are known, with the policy's name."""
        for name in self.policies:
            for rule in path_rules(self.mount.facts.policies.get(name) or "") or ():
                yield name, rule

    @property
    def is_batch(self) -> bool:
        """Whether its tokens are batch tokens; the mount's word counts before the role's."""
        of_mount = self.mount.tuning.text("token_type")
        if of_mount in {"batch", "service"}:
            return of_mount == "batch"
        of_role = self.text("token_type")
        return of_role == "batch" or (of_role in {"", "default"} and of_mount == "default-batch")

    @property
    def lifetime(self) -> int:
        """Give the seconds that a token lives if nobody renews it."""
        tuning = self.mount.tuning
        wanted = self.seconds("token_period") or self.seconds("token_ttl") or tuning.seconds("default_lease_ttl")
        longest = self.seconds("token_max_ttl") or tuning.seconds("max_lease_ttl") or SYSTEM_TTL
        caps = [self.seconds("token_explicit_max_ttl") or longest]
        if not self.seconds("token_period"):
            caps.append(longest)
        return min(wanted or SYSTEM_TTL, *caps)
