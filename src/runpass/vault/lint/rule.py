"""One rule: what it looks for, why that is a weakness, and how it is mended. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from runpass.vault.errors import visible
from runpass.vault.lint.model import Finding, Severity
from runpass.vault.lint.view import SHOWN, Mount, Role

T = TypeVar("T")
"""What a rule looks at."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One place that a rule has found: a parameter, and what is special here."""

    parameter: str
    what: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule(Generic[T]):
    code: str
    severity: Severity
    weakness: str
    """What it is, in a few words: the table's second column."""
    reason: str
    """Why that matters, in one sentence."""
    fix: str
    look: Callable[[T], Iterable[Seen]]

    def _finding(self, where: str, seen: Seen, fix: str) -> Finding:
        what = f"{visible(seen.what, SHOWN)}: " if seen.what else ""
        return Finding(self.code, self.severity, where, f"{what}{self.reason}", fix)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleRule(_Rule[Role]):
    """A rule about a role. `setting` are the parameters that mend it, where a value is right for everybody."""

    setting: Mapping[str, str] = field(default_factory=dict)
    cel: bool = False
    """Whether it holds of programs (CEL roles), too."""

    def findings(self, role: Role) -> Iterator[Finding]:
        """Give what it finds in this role."""
        if role.is_cel and not self.cel:
            return
        command = f" {role.command(self.setting)}" if self.setting and not role.is_cel else ""
        for seen in self.look(role):
            yield self._finding(role.where(seen.parameter), seen, f"{self.fix}{command}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MountRule(_Rule[Mount]):
    """A rule about an auth method: its config, and how it is mounted."""

    of_config: bool = True

    def findings(self, mount: Mount) -> Iterator[Finding]:
        """Give what it finds in this auth method."""
        if self.of_config and not mount.was_read:
            return
        for seen in self.look(mount):
            where = mount.where(seen.parameter) if self.of_config else f"{mount.path}: {seen.parameter}"
            yield self._finding(where, seen, self.fix)


def when(found: object, parameter: str, what: str = "") -> Iterator[Seen]:
    """Give this one place, if there is something."""
    if found:
        yield Seen(parameter, what)
