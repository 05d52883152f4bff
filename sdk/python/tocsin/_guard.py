"""Nothing of the SDK may end or stop the job: failures are counted and said once."""
import functools
import os
import threading
from typing import Any, Callable, Set, TypeVar

F = TypeVar('F', bound=Callable[..., Any])


class Failures:
    """What went wrong inside the SDK; each kind is said once on stderr."""

    KINDS_MAX = 64

    def __init__(self) -> None:
        self.count = 0
        self._said: Set[str] = set()

    def note(self, where: str, error: object) -> None:
        self.count += 1
        kind = f'{where}: {type(error).__name__}' if isinstance(error, BaseException) else where
        if kind in self._said or len(self._said) >= self.KINDS_MAX:
            return
        self._said.add(kind)
        text = str(error)[:300]
        say(f'{where}: {type(error).__name__ + ": " if isinstance(error, BaseException) else ""}{text} (said once)')


def say(text: str) -> None:
    """One line on stderr, past Python's buffer, whose lock a fork may have left taken."""
    try:
        os.write(2, f'tocsin: {text}\n'.encode('utf-8', 'replace'))
    except OSError:
        pass


failures = Failures()


def guarded(method: F) -> F:
    """A public call never raises; what it would have raised is counted."""

    @functools.wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except Exception as e:  # pylint: disable=broad-except
            failures.note(method.__name__, e)
            return None

    return call  # type: ignore[return-value]


def in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
