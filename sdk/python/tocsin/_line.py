"""Lines of the run protocol (docs/design/run-protocol.md): what is hostile is cut here, so that no line is refused."""
import hashlib
import json
import time
from typing import Any, Dict, Iterator, List, Mapping, Optional, Set, Tuple

from ._guard import failures
from ._value import Deferred

LAYERS_MAX_BYTES = 160 << 10  # of a line; the receiver's limit is 256 KiB for all of it
NAME_MAX_BYTES = 128
LABEL_VALUE_MAX_BYTES = 256
MESSAGE_MAX_BYTES = 1024
LABELS_MAX = 16
LAYERS_MAX = 1024  # per line
OWN_FIELDS_MAX = 60  # the receiver takes 64 per run
STATS_MAX = 32  # per layer and line
STEP_MAX = 1 << 53

STATES = ('running', 'evaluation', 'checkpoint', 'paused', 'finished', 'failed')
EVENTS = ('start', 'end', 'checkpoint', 'checkpoint_failed', 'restart', 'error', 'exit')
KNOWN = frozenset(('loss', 'grad_norm', 'lr', 'learning_rate', 'step_seconds', 'tokens_per_second', 'memory_bytes',
                   'memory_limit_bytes'))
# Names that mean something else in a line: a number of that name is sent as value_<name>.
TAKEN = frozenset(('t', 'time', 'timestamp', '_timestamp', 'run', 'session', 'seq', 'step', 'global_step', 'iteration',
                   'rank', 'state', 'event', 'message', 'dropped', 'layers', 'labels'))


def cut(text: str, max_bytes: int) -> str:
    """Clean UTF-8 of at most max_bytes; what is longer ends in a hash, so that two long names stay two names."""
    raw = text.encode('utf-8', 'replace')
    if len(raw) <= max_bytes:
        return raw.decode('utf-8')
    mark = '~' + hashlib.sha256(raw).hexdigest()[:8]
    return raw[:max_bytes - len(mark)].decode('utf-8', 'ignore') + mark


def name_of(text: Any, max_bytes: int = NAME_MAX_BYTES) -> str:
    clean = ''.join('_' if ord(c) < 0x20 or ord(c) == 0x7f else c for c in str(text))
    return cut(clean, max_bytes) or '_'


def message_of(text: Any) -> str:
    clean = ''.join(c if ord(c) >= 0x20 and ord(c) != 0x7f or c in '\n\t' else ' ' for c in str(text)[:4 * MESSAGE_MAX_BYTES])
    return cut(clean, MESSAGE_MAX_BYTES)


def step_of(step: Any) -> Optional[int]:
    try:
        step = int(step)
    except (TypeError, ValueError, OverflowError):
        return None
    return step if 0 <= step <= STEP_MAX else None


def labels_of(labels: Mapping[Any, Any]) -> Dict[str, str]:
    out: Dict[str, str] = {}
    for key, value in labels.items():
        key = ''.join(c if c.isascii() and (c.isalnum() or c == '_') else '_' for c in str(key))[:NAME_MAX_BYTES]
        if not key or key[0].isdigit() or key.startswith('__') or key in ('run', 'rank'):
            failures.note('labels', f'label "{key}" cannot be used: letters, digits and _ only, not run or rank')
            continue
        if len(out) == LABELS_MAX:
            failures.note('labels', f'more than {LABELS_MAX} labels: the rest is left out')
            break
        out[key] = name_of(value, LABEL_VALUE_MAX_BYTES) if str(value) else ''
    return out


def number_text(v: Any, is_statistic: bool = False) -> str:
    if isinstance(v, int):
        if -STEP_MAX <= v <= STEP_MAX:
            return str(v)
        try:
            v = float(v)
        except OverflowError:
            v = float('inf') if v > 0 else float('-inf')
    if v != v:
        return '"NaN"'
    if v in (float('inf'), float('-inf')):
        return '"+Inf"' if v > 0 else '"-Inf"'
    return '%.7g' % v if is_statistic else repr(float(v))


class Fields:
    """The numeric fields a run has used: beyond the receiver's limit a new name is left out and counted."""

    def __init__(self) -> None:
        self._own: Set[str] = set()
        self._texts: Dict[str, str] = {}

    def text(self, key: str) -> Optional[str]:
        """`"name":` of a number, or None when there is no room for another name."""
        return self._texts.get(key) or self._new_text(key)

    def _new_text(self, key: str) -> Optional[str]:
        name = name_of(key)
        if name in TAKEN:
            name = 'value_' + name
        if name not in KNOWN and name not in self._own:
            if len(self._own) >= OWN_FIELDS_MAX:
                failures.note('log', f'a run may have {OWN_FIELDS_MAX} numbers of its own choosing: "{name[:60]}" is left out')
                return None
            self._own.add(name)
        text = json.dumps(name) + ':'
        if len(self._texts) < 4 * OWN_FIELDS_MAX:
            self._texts[key] = text
        return text


def value_of(v: Any) -> Any:
    if isinstance(v, Deferred):
        try:
            return v.get()
        except Exception as e:  # pylint: disable=broad-except
            failures.note('value from the device', e)
            return None
    return v


class Record:
    """One report on its way: made in the job's thread, written as text in the background."""

    __slots__ = ('t', 'at', 'step', 'state', 'values', 'layers', 'event', 'message', 'labels', 'weight', 'noted', 'phase')

    def __init__(self, t: float, state: str, step: Optional[int] = None, values: Optional[Dict[str, Any]] = None,
                 layers: Any = None, event: Optional[str] = None, message: Optional[str] = None,
                 labels: Optional[Mapping[str, str]] = None):
        self.t, self.state, self.step = t, state, step
        self.at = time.perf_counter()
        self.noted: Any = None  # of a report of a step: what its times are computed from
        self.phase: Any = None  # of the end of a phase: when it began, and seconds inside collectives then
        self.values = values or {}
        self.layers, self.event, self.message, self.labels = layers, event, message, labels
        # What it may take in memory: an estimate, on the high side.
        self.weight = 400 + 120 * len(self.values) + (len(message) if message else 0)
        if layers is not None:
            self.weight += layers.weight


OF_THEIR_STEP = frozenset(('loss', 'grad_norm'))


def rarer(numbers: Dict[str, Any]) -> Dict[str, Any]:
    """A line takes the place of one before it: numbers that come rarely (an evaluation) must not go with that one."""
    return {key: value for key, value in numbers.items() if key not in OF_THEIR_STEP}


Layers = List[Tuple[str, Dict[str, float]]]


def layer_pieces(layers: Layers) -> Iterator[str]:
    """`"layers":{…}` texts, each short enough for one line: first of all layers what the receiver takes of a layer in one
    line, then the rest of their statistics."""
    given = [(json.dumps(name_of(name)), [(k, v) for k, v in stats.items() if v is not None]) for name, stats in layers]
    most = max((len(items) for _, items in given), default=0)
    for start in range(0, most, STATS_MAX):
        parts: List[str] = []
        size = 0
        for name, items in given:
            chunk = items[start:start + STATS_MAX]
            if not chunk:
                continue
            text = name + ':{' + ','.join(f'"{k}":{number_text(v, True)}' for k, v in chunk) + '}'
            if parts and (size + len(text) > LAYERS_MAX_BYTES or len(parts) == LAYERS_MAX):
                yield '"layers":{' + ','.join(parts) + '}'
                parts, size = [], 0
            parts.append(text)
            size += len(text) + 1
        if parts:
            yield '"layers":{' + ','.join(parts) + '}'
