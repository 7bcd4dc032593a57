"""Requests to one model: one is computed, a few wait, and any more are refused."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Never

from torch.nn.modules.module import register_module_forward_pre_hook

MOST_WAITING = 8
"""Requests that wait for the model; one more is refused"""


class RefusedError(Exception):
    """A request that gets a sentence in place of an answer."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class StoppedError(Exception):
    """The server ends while the model computes."""


class Desk:
    """One worker for the model, and a few requests that wait for it."""

    def __init__(self) -> None:
        self.worker = ThreadPoolExecutor(1)
        self.places = threading.BoundedSemaphore(1 + MOST_WAITING)
        self.done = 0

    def ask(self, answer: Callable[[Any], Any], question: Any, is_gone: Callable[[], bool] = lambda: False) -> Any:
        """The answer, in turn; RefusedError if too many wait already, ConnectionAbortedError if none waits for it."""

        def answer_whom() -> Any:
            if is_gone():
                raise ConnectionAbortedError
            return answer(question)

        if not self.places.acquire(blocking=False):
            sentence = f"{MOST_WAITING} requests are waiting already: try again soon"
            raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE, sentence)
        try:
            found = self.worker.submit(answer_whom).result()
            self.done += 1
            return found
        finally:
            self.places.release()

    def close(self) -> None:
        """End the worker: what the model computes stops at its next layer, what waits is not begun."""
        hook = register_module_forward_pre_hook(lambda module, inputs: self.stop())
        self.worker.shutdown(wait=True, cancel_futures=True)
        hook.remove()

    def stop(self) -> Never:
        """Called by the first layer that would compute."""
        raise StoppedError("the explorer has ended")
