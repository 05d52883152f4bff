"""How long the job's threads had to wait for a CPU: what makes a training slow on a busy machine, and is not its fault."""
import os
import threading
import time
from typing import Dict, Optional

THREADS_MAX = 32  # looked at; those that train are among the first


class CpuWait:
    """Linux counts for each thread the nanoseconds in which it could run and did not (second number of schedstat)."""

    def __init__(self, directory: str = '/proc/self/task'):
        self._directory = directory
        self._before: Dict[str, int] = {}
        self._at = 0.0

    def ratio(self) -> Optional[float]:
        """Share of the time since the last call, of the thread that waited most; None the first time and where nothing is
        counted. The calling thread is left out: it is the SDK's."""
        now, waits = time.monotonic(), self._waits()
        seconds, before = now - self._at, self._before
        self._at, self._before = now, waits
        known = [ns - before[name] for name, ns in waits.items() if name in before]
        if not known or seconds <= 0:
            return None
        return min(1.0, max(known) / 1e9 / seconds)

    def _waits(self) -> Dict[str, int]:
        own, waits = str(threading.get_native_id()), {}
        try:
            names = sorted(os.listdir(self._directory), key=int)[:THREADS_MAX]
        except (OSError, ValueError):
            return {}
        for name in names:
            if name == own:
                continue
            try:
                with open(f'{self._directory}/{name}/schedstat', 'rb', buffering=0) as f:
                    ran, waited = f.read(64).split()[:2]
                if ran != b'0':  # a kernel that does not count says 0
                    waits[name] = int(waited)
            except (OSError, ValueError):
                continue  # the thread ended, or no such file
        return waits
