"""What the SDK itself costs the job, measured, and the rule that keeps it small."""
import time
from typing import Tuple

BUDGET_RATIO = 0.008  # of wall time, everything together: below the 1 % that is promised
SAMPLES_RATIO_MAX = 0.004  # of it for samples of the layers, what they cost in the background included
SAMPLES_RATIO_MIN = 0.002  # for samples, however much of the budget the reports of very short steps take
SECOND_WITHIN_S = 3.0  # sample, after the first
CPU_WAIT_MAX = 0.9  # of the time; what is above counts as this


class Overhead:
    """Seconds spent in the job's thread (wall) and in the background thread (CPU)."""

    def __init__(self) -> None:
        self.foreground_s = 0.0
        self.background_s = 0.0
        self.device_s = 0.0
        self.resolve_s = 0.0  # background's CPU time for the newest sample
        self.cpu_wait_ratio = 0.0  # of the last second: on a busy machine wall time is no measure of what a job could do
        self._start = time.perf_counter()
        self._last: Tuple[float, float] = (self._start, 0.0)

    def spent_s(self) -> float:
        return self.foreground_s + self.background_s + self.device_s

    def ratio(self) -> float:
        """Share of wall time since the last call."""
        now, spent = time.perf_counter(), self.spent_s()
        then, spent_then = self._last
        self._last = (now, spent)
        return (spent - spent_then) / max(now - then, 1e-9)

    def ratio_without(self, seconds: float) -> float:
        """Of everything so far except `seconds` of it; over 10 s at least, for beginnings are dear."""
        return max(0.0, self.spent_s() - seconds) / max(time.perf_counter() - self._start, 10.0)

    def total_ratio(self) -> float:
        return self.spent_s() / max(time.perf_counter() - self._start, 1e-9)


class Pace:
    """When the next sample of the layers is due: often enough to see, rarely enough not to be felt."""

    def __init__(self, overhead: Overhead, every: int = 0, first_step: int = 2):
        self._overhead, self._every, self._first_step = overhead, every, first_step
        self._sampled_step = 0
        self.due_at = 0.0
        self._cost_s = self._all_costs_s = 0.0
        self.samples = 0

    def is_due(self, step: int, now: float) -> bool:
        """Is the step after `step` to be sampled? The first is early, after the framework's own first steps."""
        if not self.samples:
            return step >= self._first_step
        return now >= self.due_at and step + 1 - self._sampled_step >= self._every

    def sampled(self, step: int, cost_s: float) -> None:
        """The first sample warms caches up and compiles: it says nothing about the next ones. A long one on a busy machine weighs
        a quarter of those after it."""
        self.samples += 1
        self._sampled_step = step
        cost_s += self._overhead.resolve_s  # of the sample before: that of this one is not known yet
        self._all_costs_s += cost_s
        if self.samples > 1:
            self._cost_s = cost_s if self.samples == 2 else 0.75 * self._cost_s + 0.25 * cost_s
        left = BUDGET_RATIO - self._overhead.ratio_without(self._all_costs_s)
        share = min(max(left, SAMPLES_RATIO_MIN), SAMPLES_RATIO_MAX) * (1 - min(self._overhead.cpu_wait_ratio, CPU_WAIT_MAX))
        wait_s = max(self._cost_s, cost_s) / share
        self.due_at = time.perf_counter() + (wait_s if self.samples > 1 else min(wait_s, SECOND_WITHIN_S))
