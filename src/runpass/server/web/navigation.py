"""Where a page stands: the sections of an organization, which every page offers to those who may see them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

ORGANIZATIONS: Final = "/console/organizations"


@dataclass(frozen=True, slots=True)
class Section:
    """One entry of the navigation: the pages below one path of an organization."""

    title: str
    name: str
    """The part of the path after the organization's id."""
    permission: str
    """Whoever has it anywhere in the organization sees the entry; the page decides again."""
    place: int
    """Where the entry stands: the lowest first."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A section as one visitor sees it on one page."""

    title: str
    path: str
    is_here: bool


def entries(sections: Iterable[Section], permissions: frozenset[str], organization_id: str, path: str) -> list[Entry]:
    """Give what a visitor is offered on the page at a path."""
    shown = sorted((section for section in sections if section.permission in permissions), key=lambda one: one.place)
    found = []
    for section in shown:
        target = f"{ORGANIZATIONS}/{organization_id}/{section.name}"
        found.append(Entry(section.title, target, path == target or path.startswith(f"{target}/")))
    return found
