"""Variables that one command of a run passes on to the next ones, through the file that `$ENV0_ENV` names. Pure.

env0's way: lines of `NAME=value`, appended; a value may be quoted as a shell would. The last line of a name counts.
"""

import re
from typing import Final

from runpass.protocol.variable_names import is_control, refused
from runpass.runner import environment

VARIABLE: Final = "ENV0_ENV"
MAX_BYTES: Final = 1024 * 1024
MAX_SHOWN: Final = 5
_QUOTED: Final = re.compile(r"'([^']*)'|\"((?:[^\"\\]|\\.)*)\"")
_ESCAPED: Final = re.compile(r'\\([\\"$`])')
_LINE: Final = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)


class NotPassedOn(Exception):
    """The file holds something that cannot be passed on; the sentence repeats no value."""


def passed_on(content: bytes) -> dict[str, str]:
    """Give the variables of the file. Raises `NotPassedOn` that tells all that is wrong with it.

    SECURITY: names that belong to runpass or to the machinery below the commands are refused here as they are anywhere.
    """
    if len(content) > MAX_BYTES:
        raise NotPassedOn(f"The file of ${VARIABLE} is larger than 1 MiB.")
    found: dict[str, str] = {}
    malformed: list[str] = []
    for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parsed = _parse(line.strip())
        if parsed is None:
            malformed.append(str(number))
        else:
            found[parsed[0]] = parsed[1]
    bad = sorted({*refused(found), *(name for name in found if is_control(name))})
    problems = [
        f"The file of ${VARIABLE} is not NAME=value in line {', '.join(malformed[:MAX_SHOWN])}." if malformed else None,
        f"These names are reserved and cannot be passed on: {', '.join(bad[:MAX_SHOWN])}." if bad else None,
        environment.unfit(found),
    ]
    if any(problems):
        raise NotPassedOn(" ".join(problem for problem in problems if problem))
    return found


def _parse(line: str) -> tuple[str, str] | None:
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    name, value = match.groups()
    if not value.startswith(("'", '"')):
        return name, value
    # SECURITY: linear, whatever the job has written.
    quoted = _QUOTED.fullmatch(value.rstrip())
    if quoted is None:
        return None
    single, double = quoted.groups()
    return name, single if single is not None else _ESCAPED.sub(r"\1", double)
