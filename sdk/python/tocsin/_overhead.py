"""What the SDK itself costs the job, measured, and the rule that keeps it small."""
import time
from typing import Tuple

BUDGET_RATIO = 0.006  # of wall time, everything together: clearly below the 1 % that is promised
SAMPLES_RATIO_MAX = 0.003  # of it for samples of the layers, what they cost in the background included
SAMPLES_RATIO_MIN = 0.0015  # for samples, however much of the budget the reports of very short steps take
START_CREDIT_S = 20 * SAMPLES_RATIO_MAX  # a run has before it has earned any: a short one is seen, too
PAUSE_CREDIT_S = 10 * SAMPLES_RATIO_MAX  # that a long time without samples leaves at most
SECOND_WITHIN_S = 3.0  # sample, after the first
CPU_WAIT_MAX = 0.9  # of the time; what is above counts as this


class Overhead:
    """Seconds spent in the job's thread (wall) and in the background thread (CPU)."""

    __slots__ = ('foreground_s', 'background_s', 'device_s', 'resolve_s', 'cpu_wait_ratio', '_start', '_last')

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
    """When the next sample of the layers is due: often enough to see, rarely enough not to be felt. Time earns credit, and a
    sample is due when there is enough for one. The first ones are on credit, and a pause without any leaves some, which is spent
    at twice the usual rate."""

    def __init__(self, overhead: Overhead, every: int = 0, first_step: int = 2):
        self._overhead, self._every, self._first_step = overhead, every, first_step
        self._sampled_step = 0
        self.due_at = 0.0
        self.earned_at = time.perf_counter()  # until when time has been made credit
        self._credit_s = START_CREDIT_S
        self._cost_s = self._all_costs_s = 0.0
        self._is_warm = False
        self.samples = 0

    def is_due(self, step: int, now: float) -> bool:
        """Is the step after `step` to be sampled? The first is early, after the framework's own first steps."""
        if not self.samples:
            return step >= self._first_step
        return now >= self.due_at and step + 1 - self._sampled_step >= self._every

    def is_new(self) -> None:
        """The next sample is of another kind, and compiles again."""
        self._is_warm = False

    def sampled(self, step: int, cost_s: float) -> None:
        """The first sample warms caches up and compiles: it says nothing about the next ones. A long one on a busy machine weighs
        a quarter of those after it."""
        self.samples += 1
        self._sampled_step = step
        cost_s += self._overhead.resolve_s  # of the sample before: that of this one is not known yet
        self._all_costs_s += cost_s
        share = self._share()
        self._earn(share)
        was_warm, self._is_warm = self._is_warm, True
        if not was_warm:
            self.due_at = self.earned_at + min((self._cost_s or cost_s) / (2 * share), SECOND_WITHIN_S)
            return
        self._cost_s = 0.75 * self._cost_s + 0.25 * cost_s if self._cost_s else cost_s
        self._credit_s -= cost_s
        expected_s = max(self._cost_s, cost_s)
        self.due_at = self.earned_at + max(expected_s / (2 * share), (expected_s - self._credit_s) / share)

    def _share(self) -> float:
        left = BUDGET_RATIO - self._overhead.ratio_without(self._all_costs_s)
        return min(max(left, SAMPLES_RATIO_MIN), SAMPLES_RATIO_MAX) * (1 - min(self._overhead.cpu_wait_ratio, CPU_WAIT_MAX))

    def _earn(self, share: float) -> None:
        now = time.perf_counter()
        earned_s = (now - self.earned_at) * share
        self._credit_s = max(self._credit_s, min(self._credit_s + earned_s, PAUSE_CREDIT_S))
        self.earned_at = now
