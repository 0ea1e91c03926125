"""How settings are read, for both programs and the command line: options beat the environment, which beats a file.

A setting `listen_port` is `RUNPASS_LISTEN_PORT` in the environment and `listen_port` in a TOML file. Only the
`settings.py` modules call this, and only they hand in the environment.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from runpass.errors import ConfigurationError
from runpass.secret import PLACEHOLDER, Secret

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[M]):
    """Settings, and where each that is not a default came from (`option`, `environment`, or the file's name)."""

    settings: M
    sources: Mapping[str, str]

    def shown(self) -> list[tuple[str, str, str]]:
        """Give (name, value, source) of every setting; a secret shows as a placeholder."""
        rows = []
        for name in type(self.settings).model_fields:
            value = getattr(self.settings, name)
            text = str(value) if isinstance(value, Secret) else _plain(value)
            rows.append((name, text, self.sources.get(name, "default")))
        return rows


def load(
    model: type[M],
    *,
    environment: Mapping[str, str],
    prefix: str,
    file: Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> Loaded[M]:
    """Give the settings of this model.

    Raises `ConfigurationError` that names every bad setting and where it came from, without its value.
    """
    raw: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for values, source in (
        (_from_file(model, file), str(file)),
        (_from_environment(model, environment, prefix), "environment"),
        ({key: value for key, value in (options or {}).items() if value is not None}, "option"),
    ):
        raw.update(values)
        sources.update(dict.fromkeys(values, source))
    try:
        return Loaded(model.model_validate(raw), sources)
    except ValidationError as error:
        raise _refused(error, prefix, sources) from None


def _from_environment(model: type[BaseModel], environment: Mapping[str, str], prefix: str) -> dict[str, Any]:
    names = {name: prefix + name.upper() for name in model.model_fields}
    return {name: environment[variable] for name, variable in names.items() if variable in environment}


def _from_file(model: type[BaseModel], file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigurationError(f"the settings file {file} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the settings file {file} is not TOML") from error
    unknown = sorted(values.keys() - model.model_fields.keys())
    if unknown:
        raise ConfigurationError(f"the settings file {file} has unknown settings: {', '.join(unknown)}")
    return values


def _refused(error: ValidationError, prefix: str, sources: Mapping[str, str]) -> ConfigurationError:
    found = []
    for detail in error.errors(include_url=False, include_input=False):
        said = str(detail.get("ctx", {}).get("error") or detail["msg"])
        if not detail["loc"]:
            found.append(said)  # a sentence about several settings, which it names itself
            continue
        name = str(detail["loc"][0])
        found.append(f"{name}: {said} ({prefix}{name.upper()}, from {sources.get(name, 'default')})")
    return ConfigurationError("; ".join(found))


def _plain(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return ",".join(str(item) for item in value)
    return "" if value is None else _without_password(str(value))


def _without_password(text: str) -> str:
    """Give a URL without what may be a password: all between the user's colon and the last `@`, and the query."""
    # SECURITY: a database's URL may carry its password, with characters that no grammar expects there.
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    who, at, where = rest.rpartition("@")
    user, colon, _ = who.partition(":")
    place, mark, _ = where.partition("?")
    return f"{scheme}://{user}{colon}{colon and PLACEHOLDER}{at}{place}{mark}{mark and PLACEHOLDER}"
