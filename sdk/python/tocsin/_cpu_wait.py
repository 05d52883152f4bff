"""How long the thread that trains had to wait for a CPU: what makes a training slow on a busy machine, and is not its fault."""
import time
from typing import Optional


class CpuWait:
    """Linux counts for each thread the nanoseconds in which it could run and did not (second number of schedstat). Only the
    thread that reports steps is looked at: pools of threads that spin for work wait for CPUs all the time."""

    def __init__(self, directory: str = '/proc/self/task'):
        self._directory = directory
        self._thread = 0
        self._before_ns: Optional[int] = None
        self._at = 0.0

    def ratio(self, thread: int) -> Optional[float]:
        """Share of the time since the last call; None the first time, for another thread, and where nothing is counted."""
        now, waited_ns = time.monotonic(), self._read(thread)
        seconds, before_ns = now - self._at, self._before_ns if thread == self._thread else None
        self._at, self._before_ns, self._thread = now, waited_ns, thread
        if waited_ns is None or before_ns is None or seconds <= 0:
            return None
        return min(1.0, max(0.0, (waited_ns - before_ns) / 1e9 / seconds))

    def _read(self, thread: int) -> Optional[int]:
        try:
            with open(f'{self._directory}/{thread}/schedstat', 'rb', buffering=0) as f:
                ran, waited = f.read(64).split()[:2]
            return int(waited) if ran != b'0' else None  # a kernel that does not count says 0
        except (OSError, ValueError):
            return None
