"""A report between the call of log and its line.

The usual report of a loop with short steps is only noted: when, which step, which numbers. Whether it becomes a line is clear
later, and what that takes is mostly done in the background thread.
"""
import math
import sys
import time
from typing import Any, Callable, Deque, Dict, Mapping, Optional, Tuple

from ._collectives import counter
from ._guard import failures
from ._line import Record, carry_over
from ._overhead import Overhead
from ._value import number_of

# When, the step, its loss, seconds waited for input so far, and its other numbers; or when, the step, all its numbers, seconds waited
# for input, collectives entered and the seconds inside them so far.
Noted = Tuple[Any, ...]


class Clock:
    """From where the length of a step and its parts count: the newest line of its own. Replaced, never changed: what was noted
    with it is computed later."""

    __slots__ = ('at', 'step', 'data_s', 'waited_s')

    def __init__(self, at: float, step: int, data_s: float, waited_s: float):
        self.at, self.step, self.data_s, self.waited_s = at, step, data_s, waited_s

    def without_phase(self, began: float, waited_s: float) -> 'Clock':
        """The same, when the time from `began` on, with so many seconds spent inside collectives before, was no training."""
        phase_s = time.perf_counter() - max(began, self.at)
        return Clock(self.at + phase_s, self.step, self.data_s, self.waited_s + counter.waited_s - max(waited_s, self.waited_s))


class Hot:
    """What the usual call of log looks at, side by side: after a step of training no cache knows it any more."""

    __slots__ = ('until', 'is_alone', 'tensor', 'step', 'note', 'data_s', 'overhead', 'clock')

    def __init__(self, overhead: Overhead) -> None:
        self.until = -math.inf  # so long the usual report is only noted
        self.is_alone = True  # no collectives to be counted
        self.tensor: Any = None  # torch.Tensor in a job that has it
        self.step = -1  # the newest one completed
        self.note: Callable[[Noted], None] = lambda noted: None
        self.data_s = 0.0  # waited for input so far
        self.overhead = overhead
        self.clock = Clock(time.perf_counter(), -1, 0.0, counter.waited_s)


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


def _add_times(values: Dict[str, Any], clock: Clock, noted: Noted) -> None:
    now, step, _, data_s = noted[:4]
    entered, waited_s = noted[4:] if len(noted) == 6 else (0, 0.0)
    steps = step - clock.step
    if clock.step >= 0 and steps > 0:
        values.setdefault('step_seconds', max(0.0, now - clock.at) / steps)
        if data_s > clock.data_s:
            values.setdefault('data_seconds', (data_s - clock.data_s) / steps)
        if entered:
            values.setdefault('collective_seconds', max(0.0, waited_s - clock.waited_s) / steps)
    if entered:
        values.setdefault('collectives_total', entered)


def record_of(noted: Noted, clock: Clock, state: str, layers: Any = None) -> Record:
    now, step = noted[:2]
    values = dict(noted[2]) if len(noted) == 6 else {'loss': noted[2], **noted[4]}
    _add_times(values, clock, noted)
    return Record(time.time() - (time.perf_counter() - now), state, step, values, layers)


def merged(notes: Deque[Noted], hot: Hot, state: str) -> Optional[Record]:
    """Takes all that is noted: the newest one, with the numbers that came only with an older one. Another thread may note
    meanwhile, or take; each note is taken once."""
    clock = hot.clock  # before the notes: one that is older than they are gives longer steps' means, never wrong ones
    newest: Optional[Noted] = None
    rarer: Dict[str, Any] = {}
    try:
        while True:
            newest = notes.popleft()
            rarer.update(newest[2 if len(newest) == 6 else 4])
    except IndexError:
        pass
    if newest is None:
        return None
    record = record_of(newest, clock, state)
    carry_over(rarer, record.values)
    return record


def tensor_type() -> Any:
    return getattr(sys.modules.get('torch'), 'Tensor', None)


def is_finite(value: Any) -> bool:
    """False when it is known not to be."""
    return type(value) is not float or value - value == 0.0
