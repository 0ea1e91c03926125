"""Questions that wait on the event loop at the same time, answered by one thread in one go."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")

AT_ONCE: Final = 1
"""Threads of one process. Signing keeps Python's lock, so a second one makes nothing sooner: with two, each token took
a fifth more CPU, because they waited for the lock in turns and fewer tokens shared a commit."""
MOST: Final = 64
"""Questions of one thread: the first of them waits for the last."""


class Together(Generic[A, R]):
    """Hands questions to `answer`, as many together as came while all threads were busy.

    Nobody waits for others to come: one alone goes at once. Each costs no thread while it waits, and of the thread's
    work only its share.
    """

    def __init__(self, answer: Callable[[Sequence[A]], Sequence[R | Exception]]) -> None:
        self._answer = answer
        self._waiting: deque[tuple[A, asyncio.Future[R]]] = deque()
        self._busy = 0
        self._is_called = False

    async def ask(self, question: A) -> R:
        """Give the answer, or raise it."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append((question, future))
        self._call(loop)
        return await future

    def _call(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the questions handed out once everything that has arrived by now was looked at."""
        if not self._is_called and self._busy < AT_ONCE:
            self._is_called = True
            loop.call_soon(self._hand_out, loop)

    def _hand_out(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_called = False
        while self._waiting and self._busy < AT_ONCE:
            taken = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
            self._busy += 1
            work = loop.run_in_executor(None, self._answer, [question for question, _ in taken])
            futures = [future for _, future in taken]
            work.add_done_callback(partial(self._give, loop, futures))

    def _give(
        self,
        loop: asyncio.AbstractEventLoop,
        futures: Sequence["asyncio.Future[R]"],
        done: "asyncio.Future[Sequence[R | Exception]]",
    ) -> None:
        self._busy -= 1
        if done.cancelled():
            answers: Sequence[R | BaseException] = [asyncio.CancelledError()] * len(futures)
        else:
            error = done.exception()
            answers = done.result() if error is None else [error] * len(futures)
        for future, answer in zip(futures, answers, strict=True):
            if future.done():  # whoever asked is gone
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        self._call(loop)
