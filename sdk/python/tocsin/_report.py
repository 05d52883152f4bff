"""A report between the call of log and its line.

The job's thread only notes it: when, which step, which numbers. The background thread decides which reports become lines, one in
`min_interval`, and computes what belongs to them.
"""
import sys
import time
from typing import Any, Callable, Deque, Dict, Iterator, Mapping, Optional, Tuple

from . import _line
from ._collectives import counter
from ._guard import failures
from ._line import Record
from ._overhead import Overhead
from ._value import number_of

CPU_WAIT_MAX = 0.8  # of the time; what is above counts as this

# When, the step, its loss, seconds waited for input so far, and its other numbers; or when, the step, all its numbers, seconds waited
# for input, collectives entered and the seconds inside them so far.
Noted = Tuple[Any, ...]


class Hot:
    """What the usual call of log looks at, side by side: after a step of training no cache knows it any more."""

    __slots__ = ('is_open', 'tensor', 'step', 'note', 'data_s', 'overhead')

    def __init__(self, overhead: Overhead) -> None:
        self.is_open = False  # the usual report is only noted
        self.tensor: Any = None  # torch.Tensor in a job that has it
        self.step = -1  # the newest one completed
        self.note: Callable[[Noted], None] = lambda noted: None
        self.data_s = 0.0  # waited for input so far
        self.overhead = overhead


def are_plain(numbers: Dict[str, Any]) -> bool:
    """Need they not be read, for they do not change?"""
    for value in numbers.values():
        if type(value) is not float and type(value) is not int:
            return False
    return True


def values_of(numbers: Mapping[str, Any]) -> Dict[str, Any]:
    """Numbers as they are now: what a tensor holds is read, or copied where it cannot be read yet."""
    values: Dict[str, Any] = {}
    for key, raw in numbers.items():
        value = raw if type(raw) is float else _number(key, raw)
        if value is not None:
            values[key] = value
    return values


def _number(key: str, raw: Any) -> Any:
    if raw is None:
        return None
    try:
        value = number_of(raw)
    except Exception as e:  # pylint: disable=broad-except
        failures.note(f'log {str(key)[:60]}', e)
        return None
    if value is None:
        failures.note('log', f'{str(key)[:60]} is not a number but {type(raw).__name__}: left out')
    return value


def tensor_type() -> Any:
    return getattr(sys.modules.get('torch'), 'Tensor', None)


def is_finite(value: Any) -> bool:
    """False when it is known not to be."""
    return type(value) is not float or value - value == 0.0


class Clock:
    """From where the length of a step and its parts count: the newest line of its own."""

    def __init__(self) -> None:
        self._at, self._step, self._data_s, self._waited_s = time.perf_counter(), -1, 0.0, counter.waited_s

    def add_times(self, values: Dict[str, Any], noted: Noted) -> None:
        now, step, _, data_s = noted[:4]
        entered, waited_s = noted[4:] if len(noted) == 6 else (0, 0.0)
        steps = step - self._step
        if self._step >= 0 and steps > 0:
            values.setdefault('step_seconds', max(0.0, now - self._at) / steps)
            if data_s > self._data_s:
                values.setdefault('data_seconds', (data_s - self._data_s) / steps)
            if entered:
                values.setdefault('collective_seconds', max(0.0, waited_s - self._waited_s) / steps)
        if entered:
            values.setdefault('collectives_total', entered)

    def restart(self, noted: Noted) -> None:
        self._at, self._step, self._data_s = noted[0], max(self._step, noted[1]), noted[3]
        self._waited_s = noted[5] if len(noted) == 6 else self._waited_s

    def leave_out(self, began: float, waited_s: float, ended: float, waited_at_end_s: float) -> None:
        """A phase is no training: from when to when, and the seconds inside collectives so far at both moments."""
        self._at += ended - max(began, self._at)
        self._waited_s += waited_at_end_s - max(waited_s, self._waited_s)


class Merger:
    """In the background thread: takes what was noted and what was put, in the order of time, and makes of it what is told. A
    report that comes within the interval waits for a newer one, which then has its rarer numbers too."""

    def __init__(self, notes: Deque[Noted], inbox: Any, overhead: Overhead, min_interval_s: float):
        self._notes, self._inbox, self._overhead = notes, inbox, overhead
        self.min_interval_s = min_interval_s
        self.add_rarer: Callable[[Dict[str, Any]], None] = lambda values: None
        self._clock = Clock()
        self._state = 'running'
        self._next_line_at = -1.0
        self._newest: Optional[Noted] = None  # it waits
        self._numbers: Dict[str, Any] = {}  # its own, and those of the ones before it

    def take(self) -> Iterator[Record]:
        while self._notes or self._inbox:
            now = time.perf_counter()
            record = self._inbox.take()
            # Notes of the time until the record, or until it was clear that there is none: what is put later is younger.
            yield from self._take_notes(record.at if record is not None else now)
            if record is None or not self._is_replaced_by(record):
                yield from self._tell_newest()
            if record is not None:
                self._enter(record)
                yield record

    def _take_notes(self, until: float) -> Iterator[Record]:
        while self._notes and self._notes[0][0] <= until:
            noted = self._notes.popleft()
            numbers = noted[2] if len(noted) == 6 else {'loss': noted[2], **noted[4]}
            is_same_step = self._newest is not None and self._newest[1] == noted[1]
            self._numbers = {**(self._numbers if is_same_step else _line.rarer(self._numbers)), **numbers}
            self._newest = noted
            if noted[0] >= self._next_line_at:
                yield from self._tell_newest(is_own=True)

    def _tell_newest(self, is_own: bool = False) -> Iterator[Record]:
        noted, values = self._newest, self._numbers
        if noted is None:
            return
        self._newest, self._numbers = None, {}
        self._clock.add_times(values, noted)
        if is_own:
            self._begin_interval(noted)
            self.add_rarer(values)
        yield Record(time.time() - (time.perf_counter() - noted[0]), self._state, noted[1], values)

    def _begin_interval(self, noted: Noted) -> None:
        self._clock.restart(noted)
        # On a busy machine less is done in the same time, so there is less to tell.
        self._next_line_at = noted[0] + self.min_interval_s / (1 - min(self._overhead.cpu_wait_ratio, CPU_WAIT_MAX))

    def _is_replaced_by(self, record: Record) -> bool:
        """Not by an event, another state, or more about the same step."""
        return record.event is None and record.state == self._state and bool(record.values) \
            and (self._newest is None or record.step != self._newest[1])

    def _enter(self, record: Record) -> None:
        if self._newest is not None:
            record.values = {**_line.rarer(self._numbers), **record.values}
            self._newest, self._numbers = None, {}
        if record.noted is not None:
            self._clock.add_times(record.values, record.noted)
            self._begin_interval(record.noted)
        if record.phase is not None:
            self._clock.leave_out(*record.phase)
        if record.state in _line.STATES[:4]:
            self._state = record.state
