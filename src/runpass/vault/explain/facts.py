"""Role and config as their readers want them: raw data of a read, where null and empty mean the same. Pure."""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runpass.vault.errors import visible
from runpass.vault.explain.go_text import lowered
from runpass.vault.explain.model import MAX_SHOWN, LoginCase


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a role or a config."""

    data: Mapping[str, Any]

    def text(self, name: str) -> str:
        """Give a text; empty where there is none."""
        found = self.data.get(name)
        return found if isinstance(found, str) else ""

    def flag(self, name: str) -> bool:
        """Whether a parameter is true."""
        return self.data.get(name) is True

    def number(self, name: str) -> int:
        """Give a whole number; 0 where there is none."""
        found = self.data.get(name)
        return int(found) if isinstance(found, int | float) and not isinstance(found, bool) else 0

    def texts(self, name: str) -> list[str]:
        """Give a list of texts; empty where there is none."""
        found = self.data.get(name)
        return [item for item in found if isinstance(item, str)] if isinstance(found, list) else []

    def mapping(self, name: str) -> dict[str, Any]:
        """Give a map; empty where there is none."""
        found = self.data.get(name)
        return dict(found) if isinstance(found, Mapping) else {}


def said(value: Any) -> str:
    """Give a value for people: as JSON, bounded, with control characters escaped."""
    return visible(json.dumps(value, ensure_ascii=False, default=str), MAX_SHOWN)


def write_role(case: LoginCase, **parameters: Any) -> str:
    """Give the command that changes these parameters of the role and keeps the others.

    A write that leaves out `role_type` and `bound_claims_type` would reset them.
    """
    role = Parameters(case.role or {})
    kept = {"role_type": "jwt", "bound_claims_type": role.text("bound_claims_type") or "string"}
    path = f"auth/{case.mount}/role/{lowered(case.role_name or Parameters(case.config or {}).text('default_role'))}"
    return f"{_write(case, path)} <<'END'\n{json.dumps({**kept, **parameters}, ensure_ascii=True)}\nEND"


def bind_audience(case: LoginCase, received: Any) -> str:
    """Give the command that binds the audiences of a token, as far as a role can have them: it trims them."""
    texts = [item for item in received if isinstance(item, str)] if isinstance(received, list) else []
    if any(item == item.strip() != "" for item in texts):
        return write_role(case, bound_audiences=texts)
    return "The token names no audience that a role could bind: mint it with one that the role binds."


def write_config(case: LoginCase, **parameters: Any) -> str:
    """Give the command that writes the config with these parameters changed: a write replaces all of it."""
    # What is computed, or a name of nothing that can be written, is left out.
    before = {name: value for name, value in (case.config or {}).items() if value not in (None, "", [], {})}
    before.pop("status", None)
    content = json.dumps({**before, **parameters}, ensure_ascii=True)
    return f"{_write(case, f'auth/{case.mount}/config')} <<'END'\n{content}\nEND"


def _write(case: LoginCase, path: str) -> str:
    return shlex.join([binary(case), "write", path, "-"])


def binary(case: LoginCase) -> str:
    """Give the name of the server's command line."""
    return "bao" if case.server == "openbao" else "vault"
