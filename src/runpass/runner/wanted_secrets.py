"""Which secrets a run wants, with which credential each is read, and what becomes of its variables. Pure."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from runpass.errors import RunpassError
from runpass.protocol.credentials import CredentialGrant
from runpass.protocol.run_lease import Variable
from runpass.protocol.variable_names import is_control, refused
from runpass.runner import environment
from runpass.secret import Secret
from runpass.vault.errors import ReferenceInvalid, SecretUnusable, visible
from runpass.vault.references import (
    WHOLE,
    SecretReference,
    Shape,
    find_references,
    has_reference,
    resolved_length,
    shape_of,
    substitute,
)

MAX_FILE_BYTES: Final = 512 * 1024
"""Of all secrets in files together: to hide 1 MiB in all its spellings takes hundreds of megabytes and seconds."""
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Z0-9]+")


class CredentialUnclear(RunpassError):
    """It cannot be told which credential a reference is read with; `unclear` says what stands in the way."""

    def __init__(self, unclear: str, message: str, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.unclear = unclear


@dataclass(frozen=True, slots=True)
class Wanted:
    """A variable whose value has references."""

    variable: Variable
    shape: Shape
    references: tuple[SecretReference, ...]


@dataclass(frozen=True, slots=True)
class Resolved:
    """What became of them: variables, and contents of files by the variable that is to hold the file's path."""

    variables: dict[str, Secret] = field(default_factory=dict)
    files: dict[str, Secret] = field(default_factory=dict)


def wanted_by(variables: Iterable[Variable]) -> tuple[Wanted, ...]:
    """Give the variables with references. Raises `ReferenceInvalid` that tells all malformed ones together."""
    found: list[Wanted] = []
    malformed: list[ReferenceInvalid] = []
    for variable in variables:
        text = variable.value.reveal()
        if not has_reference(text):
            continue
        try:
            found.append(Wanted(variable, shape_of(text), find_references(text, variable=variable.name)))
        except ReferenceInvalid as error:
            malformed.append(error)
    if malformed:
        raise ReferenceInvalid("; ".join(error.message for error in malformed), hint=malformed[0].hint)
    return tuple(found)


def by_credential(
    wanted: Iterable[Wanted], grants: Sequence[CredentialGrant], project: str
) -> dict[UUID, tuple[SecretReference, ...]]:
    """Give what is read with each credential, by its id. Raises `CredentialUnclear` for all that is not clear."""
    named: dict[str, list[CredentialGrant]] = {}
    for grant in grants:
        named.setdefault(grant.name, []).append(grant)
    found: dict[UUID, dict[SecretReference, None]] = {}
    unclear: dict[str, str] = {}
    for item in wanted:
        for reference in item.references:
            candidates = named.get(reference.credential, []) if reference.credential else list(grants)
            if len(candidates) == 1:
                found.setdefault(candidates[0].credential_id, {})[reference] = None
            else:
                unclear.setdefault(item.variable.name, _why(reference, candidates))
    if unclear:
        raise _unclear(unclear, grants, project)
    return {credential: tuple(references) for credential, references in found.items()}


def _why(reference: SecretReference, candidates: Sequence[CredentialGrant]) -> str:
    if not reference.credential:
        return "ambiguous_credential" if candidates else "no_credential"
    return "ambiguous_credential" if candidates else "unknown_credential"


def _unclear(unclear: Mapping[str, str], grants: Sequence[CredentialGrant], project: str) -> CredentialUnclear:
    names = ", ".join(sorted(unclear))
    which = f"{'variable' if len(unclear) == 1 else 'variables'} {names}"
    there = ", ".join(sorted(grant.name for grant in grants))
    kinds = set(unclear.values())
    if "no_credential" in kinds or not grants:
        sentence = (
            f'Project "{project}" has no Vault OIDC credential assigned, so ${{vault:…}} in {which} cannot be resolved.'
        )
        return CredentialUnclear(
            "no_credential", sentence, "Assign a Vault OIDC credential to the project, or to one above it."
        )
    if kinds == {"unknown_credential"}:
        sentence = f'{which.capitalize()}: project "{project}" has no credential of that name. There is: {there}.'
        return CredentialUnclear("unknown_credential", sentence, "Write ${vault[<name>]:…} with one of these names.")
    sentence = f'Project "{project}" has more than one Vault OIDC credential ({there}), and {which} names none of them.'
    hint = "Write ${vault[<name>]:…}, give each a name of its own, or leave one of them assigned to the project."
    return CredentialUnclear("ambiguous_credential", sentence, hint)


def resolved(
    wanted: Iterable[Wanted], values: Mapping[SecretReference, Secret], variables: Sequence[Variable]
) -> Resolved:
    """Give what becomes of the variables with references.

    Raises `SecretUnusable` that tells, together, names that clash or are reserved, and values that no program or file
    can be given.

    SECURITY: lengths are looked at first, since a value may name a large secret many times.
    """
    wanted = tuple(wanted)
    others = {item.name: item.value.reveal() for item in variables if not has_reference(item.value.reveal())}
    texts = {item.variable.name: item.variable.value.reveal() for item in wanted if item.shape is Shape.TEXT}
    lengths = {name: len(value) for name, value in others.items()}
    lengths |= {name: resolved_length(text, values, variable=name) for name, text in texts.items()}
    problems = [environment.oversized(lengths)]
    if problems[0] is None:
        found = {name: substitute(text, values, variable=name) for name, text in texts.items()}
        problems += _spread(wanted, values, found, {item.name for item in variables})
        whole = others | {name: value.reveal() for name, value in found.items()}
        problems.append(environment.unfit(whole))
    else:
        found = {}
    files = {item.variable.name: values[item.references[0]] for item in wanted if item.shape is Shape.FILE}
    problems += _unfit_files(files)
    if any(problems):
        sentence = " ".join(problem for problem in problems if problem)
        raise SecretUnusable(sentence, hint="A secret that is large, or that is not text, is for ${vault-file:…}.")
    return Resolved(found, files)


def _spread(
    wanted: Iterable[Wanted], values: Mapping[SecretReference, Secret], found: dict[str, Secret], taken: set[str]
) -> list[str | None]:
    """Add one variable for each key of every whole secret; give what stands in the way of some."""
    clashes: list[str] = []
    made: set[str] = set()
    for item in wanted:
        if item.shape is not Shape.SPREAD:
            continue
        for key, value in json.loads(values[item.references[0]].reveal()).items():
            name = name_of(item.variable.name, key)
            if name in taken | made:
                clashes.append(f"{visible(name, 255)} (key {visible(key, 255)} of {item.references[0].path})")
            made.add(name)
            found[name] = Secret(value if isinstance(value, str) else _json(value))
    reserved = [name for name in made if is_control(name)]
    bad = sorted({*refused(made), *reserved})
    return [
        f"These variables would be made twice: {', '.join(sorted(clashes))}." if clashes else None,
        f"These names are reserved or not well formed: {', '.join(map(ascii, bad))}." if bad else None,
    ]


def name_of(variable: str, key: str) -> str:
    """Give the variable of one key of a whole secret: `APP` and `db-password` give `APP_DB_PASSWORD`."""
    return f"{variable}_{_NOT_IN_A_NAME.sub('_', key.upper()).strip('_')}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _unfit_files(files: Mapping[str, Secret]) -> list[str | None]:
    sizes = {name: len(value.reveal().encode()) for name, value in files.items()}
    if sum(sizes.values()) <= MAX_FILE_BYTES:
        return []
    largest = sorted(sizes, key=lambda name: sizes[name], reverse=True)[: environment.SHOWN]
    return [f"The secrets in files are larger than 512 KiB together; the largest are {', '.join(largest)}."]


def leaves_of(wanted: Iterable[Wanted], values: Mapping[SecretReference, Secret]) -> dict[str, Secret]:
    """Give the value of each key of every whole secret, by what people know it as."""
    found: dict[str, Secret] = {}
    for item in wanted:
        for reference in item.references:
            if reference.key == WHOLE:
                for key, value in json.loads(values[reference].reveal()).items():
                    found[f"{reference.path}.{key}"] = Secret(value if isinstance(value, str) else _json(value))
    return found
