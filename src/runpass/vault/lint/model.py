"""What is looked at, and what is found. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How much a weakness matters; `rank` sorts the worst first."""

    ERROR = "error"
    """Somebody gets in, or gets more, who should not."""
    WARNING = "warning"
    """More is possible than is needed, or the role does not do what its parameters seem to say."""
    NOTICE = "notice"
    """Worth knowing; right for some."""

    @property
    def rank(self) -> int:
        """Give the place in a list that begins with the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One weakness in one place. Nothing in it is secret: roles, configs and policies are not."""

    code: str
    severity: Severity
    where: str
    reason: str
    fix: str

    @property
    def is_serious(self) -> bool:
        """Whether it is more than worth knowing."""
        return self.severity is not Severity.NOTICE

    def to_json(self) -> dict[str, str]:
        """Give it for programs."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "where": self.where,
            "reason": self.reason,
            "fix": self.fix,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MountFacts:
    """An auth method as a Vault reads it back (`data` of each read). None stands for what was not read."""

    mount: str = "jwt"
    namespace: str = ""
    roles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    cel_roles: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    config: Mapping[str, Any] | None = None
    tuning: Mapping[str, Any] | None = None
    """Of `sys/mounts/auth/<mount>/tune`."""
    policies: Mapping[str, str | None] = field(default_factory=dict)
    """Texts of policies by name; None for one that was looked for and is not there."""
