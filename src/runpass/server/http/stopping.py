"""Hearing of the end early: whoever waits for a long answer is let go when the signal comes, not when all is drained.

The web server waits for running requests before it ends the lifespan, so a request that waits for the lifespan's end
would wait for itself.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def when_stopping(act: Callable[[], None]) -> Iterator[None]:
    """Call `act`, beside whatever else handles it, when SIGTERM or SIGINT arrives.

    The event loop is told of signals through its wake-up file descriptor, whichever Python handler is installed; so a
    handler of ours takes nothing away from it. Outside the main thread (tests) there are no signals to hear of.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, lambda *_: act()) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
