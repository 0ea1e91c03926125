"""The reference of the declarative file of `runpass vault plan`, out of the model that reads it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from runpass.vault.declaration import model

EXAMPLE: Final = Path(__file__).parents[3] / "examples" / "vault" / "vault.toml"
INTRO: Final = (
    "The TOML file that `runpass vault plan`, `apply` and `drift` take with `--file`. It declares one JWT auth"
    " method with its configuration, KV engines, policies and roles. A field that is not known is refused with its"
    " line: a Vault would drop it without a word. No secret stands in it. Files that it names are looked for"
    " beside it. Durations are seconds, or texts such as `90s`, `2m` and `1h`.\n\n"
    "What a Vault has and the file does not declare stays as it is: nothing is ever deleted. `description`s are"
    " set when the thing is made, and not compared. How to use it: [Connect your"
    " Vault](../how-to/connect-your-vault.md)."
)
ALWAYS: Final = (
    "Every role also has, without being asked: `role_type=jwt`, `user_claim=environmentId`,"
    " `bound_claims_type=string`, the bound claims `organizationId`, `credentialId` and `apiKeyType=oidc`, the ids"
    " of organization, project, environment and deployment and the deployment's type in the token's metadata,"
    " `token_type=service`, and the default policy. All other parameters of a role are set to nothing, leeways for"
    " example: changed by hand, they are drift."
)
_TABLES: Final[tuple[tuple[str, type[BaseModel]], ...]] = (
    ("At the top", model.Declaration),
    ("`[vault]`", model.VaultTable),
    ("`[issuer]`", model.IssuerTable),
    ("`[auth]`", model.AuthTable),
    ("`[sweeper]`", model.SweeperTable),
    ("`[kv.<path>]`", model.KvTable),
    ("`[policies.<name>]`", model.PolicyTable),
    ("`[roles.<name>]`", model.RoleTable),
)

Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]


def vault_file(table: Table) -> list[str]:
    """Give the parts of the page."""
    parts = [INTRO]
    for title, kind in _TABLES:
        rows = [
            (f"`{name}`", _default(info), info.description)
            for name, info in kind.model_fields.items()
            if info.description is not None
        ]
        parts += [f"## {title}", table(("Field", "Default", "Meaning"), rows)]
    example = EXAMPLE.read_text(encoding="utf-8").rstrip()
    return [
        *parts,
        ALWAYS,
        "## An example",
        f"[examples/vault/vault.toml](../../examples/vault/vault.toml):\n\n```toml\n{example}\n```",
    ]


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    if info.default is PydanticUndefined or info.default in (None, "", [], {}):
        return ""
    if isinstance(info.default, timedelta):
        return f"`{int(info.default.total_seconds())}s`"
    return f"`{str(info.default).lower() if isinstance(info.default, bool) else info.default}`"
