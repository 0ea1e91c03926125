"""Masking: no secret that the runner knows of leaves it in a log, however the bytes come in."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Final

from runpass.runner.mask_patterns import Patterns
from runpass.runner.masker import Masker, without_colours
from runpass.runner.named_values import NamedValues
from runpass.runner.secret_forms import Room, forms
from runpass.secret import Secret

LARGE: Final = 4 * 1024
"""Characters of new secrets above which their patterns are made in a thread."""
SENTENCE: Final = 4 * 1024
"""Bytes of a text that is looked through without building the search for all that is masked."""
UNNAMED: Final = "a secret of the run"
SPELLED_BYTES: Final = 8 * 1024 * 1024
SPELLED_NAMED_BYTES: Final = 512 * 1024
"""Bytes of spellings that are looked for: of the secrets that a run is given, and of those that it names itself.

SECURITY: a megabyte takes a third of a second, in which nothing else of the runner runs, whenever a secret is added;
and some values have spellings of more than a hundred times their own length.
"""

Named = Mapping[str, Secret] | Iterable[Secret]
"""Secrets by what people know them as: a variable's name, a reference. Without, they are `UNNAMED`."""


class Mask:
    """The secrets of one run. More may be added at any time, and count for every stream from then on."""

    def __init__(self) -> None:
        self._known: dict[Secret, str] = {}
        self._patterns: dict[bytes, str] = {}
        self._compiled: Patterns | None = None
        self._look: Callable[[], Awaitable[None]] | None = None
        self._closed = False
        self._room = Room(SPELLED_BYTES)
        self._room_for_named = Room(SPELLED_NAMED_BYTES)
        self.named = NamedValues(self._learn_named)

    def look_at(self, source: Callable[[], Awaitable[None]] | None) -> None:
        """Ask this source on every `refresh`: it adds what it has found since."""
        self._look = source

    async def refresh(self) -> None:
        """Take in what the run itself has named by now. To be called before what it printed is masked."""
        if self._look is not None:
            await self._look()

    def add(self, values: Named) -> None:
        """Mask these values from now on, in all their forms."""
        new = self._new(values)
        if new:
            self._take_in(new, _forms_of(new, None))

    async def learn(self, values: Named) -> None:
        """Do as `add` does, and let the loop go on meanwhile if the values are large: their forms take seconds."""
        new = self._new(values)
        if sum(len(value.reveal()) for value in new) <= LARGE:
            if new:
                self._take_in(new, _forms_of(new, self._room))
        else:
            await self._learn(new, self._room)

    async def _learn_named(self, values: Named) -> None:
        await self._learn(self._new(values), self._room_for_named)

    async def _learn(self, new: Mapping[Secret, str], room: Room) -> None:
        if not new:
            return
        self._take_in(new, await asyncio.to_thread(_forms_of, new, room))
        patterns = self._patterns
        compiled = await asyncio.to_thread(Patterns, patterns)
        if self._patterns is patterns:  # nothing was added meanwhile
            self._compiled = compiled

    def forget(self, values: Iterable[Secret]) -> None:
        """Mask these values no longer: each costs time and memory whenever another one is added."""
        gone = {value: self._known.pop(value) for value in set(values) if value in self._known}
        if gone:
            # What follows a token of the same name begins as it did, and shares its first forms.
            heirs = {value: name for value, name in self._known.items() if name in set(gone.values())}
            dropped = _forms_of(gone, None).keys() - _forms_of(heirs, None).keys()
            self._patterns = {form: name for form, name in self._patterns.items() if form not in dropped}
            self._compiled = None

    def _new(self, values: Named) -> dict[Secret, str]:
        named = values.items() if isinstance(values, Mapping) else ((UNNAMED, value) for value in values)
        found: dict[Secret, str] = {}
        for name, value in named:
            if value not in self._known:
                found.setdefault(value, name)  # a value with two names is known by the first
        return found

    def _take_in(self, values: Mapping[Secret, str], patterns: Mapping[bytes, str]) -> None:
        self._known = {**values, **self._known}
        self._patterns = {**patterns, **self._patterns}  # a new one: another thread may be reading the old one
        self._compiled = None

    def masker(self) -> Masker:
        """Give a masker for one stream of bytes."""
        return Masker(lambda: None if self._closed else self.compiled)

    def text(self, text: str) -> str:
        """Give a whole text with its secrets masked."""
        raw = text.encode(errors="surrogateescape")
        patterns = self._enough_for(raw)
        masker = Masker(lambda: patterns)
        return (masker.feed(raw) + masker.finish()).decode(errors="replace")

    def _enough_for(self, raw: bytes) -> Patterns:
        if self._compiled is not None or len(raw) > SENTENCE:
            return self.compiled
        # What does not stand in it need not be looked for: no sentence of ours has to wait until all of it can be.
        plain = without_colours(raw)
        return Patterns({form: name for form, name in self._patterns.items() if form in raw or form in plain})

    @property
    def shortened(self) -> bool:
        """Whether some of what the run was given is not looked for in all its spellings: that were too many."""
        return self._room.is_exhausted

    def close(self) -> None:
        """Forget the secrets. SECURITY: a `Masker` goes on hiding what it looked for last."""
        self._known, self._patterns = {}, {}
        self._compiled, self._closed = None, True

    @property
    def compiled(self) -> Patterns:
        """Give what is looked for now."""
        if self._compiled is None:
            self._compiled = Patterns(self._patterns)
        return self._compiled


def _forms_of(values: Mapping[Secret, str], room: Room | None) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for value in sorted(values, key=lambda value: len(value.reveal())):  # the small ones, most passwords, have room
        for form in forms(value.reveal(), room):
            found.setdefault(form, values[value])
    return found
