"""A run: what a training loop says about itself."""
import contextlib
import math
import os
import secrets
import threading
import time
from typing import Any, Dict, Iterable, Iterator, Mapping, Optional, Tuple

from . import _checkpoint, _exit, _line, _process
from ._collectives import counter, install as count_collectives
from ._guard import failures, guarded
from ._line import Record
from ._overhead import Overhead
from ._sender import Sender
from ._transport import File, Http
from ._value import Deferred, number_of

FINISH_WAIT_S = 2.0
CPU_WAIT_MAX = 0.8  # of the time; what is above counts as this
MIN_INTERVAL_S = 0.1  # between two lines of one loop; what comes between is merged, except what is not finite


class Run:
    """Made by tocsin.init. No method blocks on the network or raises; all may be called from any thread."""

    def __init__(self, run: Optional[str] = None, url: Optional[str] = None, token: Optional[str] = None,
                 file: Optional[str] = None, labels: Optional[Mapping[str, Any]] = None, rank: Optional[int] = None,
                 max_buffered_bytes: int = 4 << 20, min_interval: float = MIN_INTERVAL_S, signals: bool = True,
                 checkpoint_interval: Optional[float] = None):
        self.name = _line.name_of(run or _process.run_name())
        self.rank = _process.rank() if rank is None else int(rank)
        self.overhead = Overhead()
        self._min_interval_s = min_interval
        self._labels = _line.labels_of({**_process.labels(), **(labels or {})})
        token = token or os.environ.get('TOCSIN_TOKEN') or None
        url = url or os.environ.get('TOCSIN_URL') or 'http://127.0.0.1:9797'
        if file:
            path = os.path.abspath(os.fspath(file))  # the job may change its directory
            self._make_transport = lambda: File(path)
        else:
            self._make_transport = lambda: Http(url, self.name, token)
        self._max_bytes = max(64 << 10, int(max_buffered_bytes))
        self._state = 'running'
        self._step = -1
        self._is_finished = False
        self._is_forked = False
        self.signal: Optional[int] = None
        self._watches: list = []
        self._reset_clock()
        self._waiting_since: Optional[float] = None  # for input
        self._next_line_at = -math.inf
        self._extra: Dict[str, Any] = {}
        if checkpoint_interval:
            self._extra['checkpoint_interval_seconds'] = float(checkpoint_interval)
        self._sender = self._new_sender()
        self._sender.start()
        count_collectives()
        self._put(Record(time.time(), 'running', event='start', labels=self._labels), at_once=True)
        _exit.add(self, signals)

    def _new_sender(self) -> Sender:
        sender = Sender(self._make_transport, self.name, secrets.token_hex(8), self.rank, self._labels, self._max_bytes,
                        self.overhead, _process.Memory())
        sender.on_nonfinite = self._on_nonfinite
        sender.signs = self._signs
        sender.record_of = self._record_of
        return sender

    def _signs(self) -> Dict[str, Any]:
        """What tells the ranks of a stalled job apart, asked by the background thread."""
        values: Dict[str, Any] = {'collectives_total': counter.entered} if counter.entered else {}
        since = self._waiting_since
        if since is not None:
            values['data_seconds'] = time.perf_counter() - since
        return values

    # ---- reports

    def log(self, step: Optional[int] = None, numbers: Optional[Mapping[str, Any]] = None, **more: Any) -> None:
        """The loop has completed `step` (counted by itself when absent). loss, grad_norm, lr, tokens_per_second, val_loss
        and any other number: floats, 0-d arrays or tensors. A tensor on a device is not waited for."""
        began = time.perf_counter()
        try:
            is_merged = began < self._next_line_at and type(step) is int and not numbers and self._merge(step, more, began)
            if not is_merged and not self._is_finished:
                self._log(step, {**numbers, **more} if numbers else more, began)
        except Exception as e:  # pylint: disable=broad-except
            failures.note('log', e)
        self.overhead.foreground_s += time.perf_counter() - began

    def _merge(self, step: int, numbers: Dict[str, Any], now: float) -> bool:
        """The usual report of a loop with short steps: kept as it is, until it is clear whether a newer one takes its place."""
        if step <= self._step or self._is_finished or self._sender is None:
            return False
        loss = numbers.get('loss')
        if loss is not None:
            value = number_of(loss)
            if type(value) is not float or value - value != 0.0:
                return False  # not there yet, or not finite: no usual report
            numbers['loss'] = value
        self._step = step
        self._keep(step, numbers, now)
        return True

    def _keep(self, step: int, numbers: Dict[str, Any], now: float) -> None:
        pending = self._sender_here().pending
        try:
            older = pending[0][3]
            if not older.keys() <= numbers.keys():
                _line.carry_over(older, numbers)
        except IndexError:
            pass  # none, or the background thread has taken it
        pending.append((time.time(), self._state, step, numbers, now, self._clock()))

    def _clock(self) -> Tuple[float, int, float, float, int, float]:
        """What the length of a step and its parts are computed from: of the newest line of its own."""
        return (self._clock_at, self._clock_step, self._phase_s, self._data_s, counter.entered,
                counter.waited_s - self._clock_waited_s)

    def _record_of(self, kept: Any) -> Record:
        """Of a report that was kept; in the background thread, unless another one makes it a line at once."""
        t, state, step, numbers, now, clock = kept
        values = self._values_of(numbers)
        self._add_times(values, step, now, clock)
        return Record(t, state, step, values)

    def _values_of(self, numbers: Mapping[str, Any]) -> Dict[str, Any]:
        values: Dict[str, Any] = {}
        for key, raw in numbers.items():
            value = raw if type(raw) is float or type(raw) is Deferred else self._number(key, raw)
            if value is not None:
                values[key] = value
        return values

    @staticmethod
    def _add_times(values: Dict[str, Any], step: int, now: float, clock: Any) -> None:
        at, since_step, phase_s, data_s, entered, waited_s = clock
        steps = step - since_step
        if since_step >= 0 and steps > 0:
            values.setdefault('step_seconds', max(0.0, now - at - phase_s) / steps)
            if data_s:
                values.setdefault('data_seconds', data_s / steps)
            if entered:
                values.setdefault('collective_seconds', max(0.0, waited_s) / steps)
        if entered:
            values.setdefault('collectives_total', entered)

    def _log(self, step: Optional[int], numbers: Mapping[str, Any], now: float) -> None:
        at = step if type(step) is int and 0 <= step <= _line.STEP_MAX else self._odd_step(step)
        values = self._values_of(numbers)
        loss = values.get('loss')
        is_bad = type(loss) is float and loss - loss != 0.0
        layers = None
        for watch in self._watches:
            layers = watch.on_log(now, is_bad) or layers
        if at > self._step:
            self._step = at
        if now < self._next_line_at and not is_bad and layers is None:
            self._keep(at, values, now)
            return
        self._add_times(values, at, now, self._clock())
        # On a busy machine less is done in the same time, so there is less to tell.
        self._next_line_at = now + self._min_interval_s / (1 - min(self.overhead.cpu_wait_ratio, CPU_WAIT_MAX))
        self._reset_clock(now)
        self._add_rarer(values)
        self._sender_here().job_thread = threading.get_native_id()
        self._put(Record(time.time(), self._state, at, values, layers), at_once=is_bad)

    def _on_news(self) -> None:
        """A watch has something that belongs to this step."""
        self._next_line_at = -math.inf

    def _odd_step(self, step: Any) -> int:
        if step is None:
            return self._step + 1
        at = _line.step_of(step)
        if at is None:
            failures.note('log', f'step {str(step)[:60]!r} is not an integer from 0 on: left out')
            at = max(self._step, 0)
        return at

    @staticmethod
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

    def _add_rarer(self, values: Dict[str, Any]) -> None:
        if self._watches and 'lr' not in values and 'learning_rate' not in values:
            rate = self._watches[0].lr
            if rate is not None:
                values['lr'] = rate
        if self._extra:
            values.update(self._extra)
            self._extra = {}

    def _reset_clock(self, now: Optional[float] = None) -> None:
        self._clock_at = time.perf_counter() if now is None else now
        self._clock_step = self._step
        self._clock_waited_s = counter.waited_s
        self._phase_s = 0.0
        self._data_s = 0.0

    def _on_nonfinite(self) -> None:
        """The background thread found that a loss from the device is not finite."""
        for watch in self._watches:
            watch.request()

    @guarded
    def event(self, event: str, message: Any = None, step: Optional[int] = None) -> None:
        """checkpoint, checkpoint_failed, restart, error (which the job survives) or exit; the message is for people."""
        if event not in _line.EVENTS:
            failures.note('event', f'{str(event)[:40]!r} is not one of {", ".join(_line.EVENTS)}: not sent')
            return
        self._event(event, message, step)

    def _event(self, event: Optional[str], message: Any = None, step: Optional[int] = None, state: Optional[str] = None) -> None:
        at = _line.step_of(step) if step is not None else None
        if at is None and self._step >= 0:
            at = self._step
        text = None if message is None else str(message)
        values = {'collectives_total': counter.entered} if counter.entered else None
        self._put(Record(time.time(), state or self._state, at, values, event=event, message=text), at_once=True)

    @guarded
    def checkpoint(self, path: Any, step: Optional[int] = None, verify: bool = True) -> None:
        """A checkpoint was written. One that is missing, empty or cut short is reported as failed."""
        problem = _checkpoint.problem_of(path) if verify else None
        self._event('checkpoint_failed' if problem else 'checkpoint',
                    f'{os.fspath(path)}: {problem}' if problem else os.fspath(path), step)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """with run.phase('evaluation'): time that is no training (also 'checkpoint', 'paused')."""
        before, began, waited_s = self._state, time.perf_counter(), counter.waited_s
        self._enter(name)
        try:
            yield
        finally:
            self._phase_s += time.perf_counter() - began
            self._clock_waited_s += counter.waited_s - waited_s
            self._enter(before)

    @guarded
    def _enter(self, state: str) -> None:
        if state not in _line.STATES[:4]:
            failures.note('phase', f'{str(state)[:40]!r} is not one of {", ".join(_line.STATES[:4])}')
            return
        self._state = state
        self._event(None)

    def wrap(self, loader: Iterable[Any]) -> '_Timed':
        """for batch in run.wrap(loader): the time spent waiting for input becomes data_seconds."""
        return _Timed(self, loader)

    @guarded
    def watch(self, model: Any, optimizer: Any = None, every: int = 0, activations: bool = False,
              checksums: Optional[bool] = None) -> None:
        """Statistics of each layer of a PyTorch module (for Keras: tocsin.keras.TocsinCallback). Sampled so that
        the measured cost stays below 0.5 % of the time; `every` steps at most."""
        from . import _watch_torch
        if not _watch_torch.is_module(model):
            failures.note('watch', f'{type(model).__name__} is not a torch.nn.Module; for Keras use tocsin.keras.TocsinCallback')
            return
        self._watches.append(_watch_torch.TorchWatch(self.overhead, model, optimizer, every, activations, checksums))
        self._watches[-1].on_news = self._on_news

    # ---- the end

    @guarded
    def finish(self, state: str = 'finished', message: Any = None) -> None:
        """Says how the run ended ('finished' or 'failed') and waits at most 2 s until that has arrived."""
        if self._is_finished:
            return
        is_failed = state == 'failed'
        for watch in self._watches:
            watch.close()
        if self._is_forked:
            self._is_finished = True
        else:
            self._extra_at_end()
            self._event('error' if is_failed else 'end', message, state='failed' if is_failed else 'finished')
            self._is_finished = True
        sender = self._sender
        if sender is not None:
            sender.wait_settled(FINISH_WAIT_S)
            sender.stop(0.5)
        _exit.remove(self)

    def _extra_at_end(self) -> None:
        if self._step >= 0:
            self._sender_here().put(Record(time.time(), self._state, self._step,
                                           {'sdk_overhead_ratio': self.overhead.total_ratio()}))

    @guarded
    def flush(self, timeout: float = 2.0) -> bool:
        """Waits until everything reported so far has arrived, or the time is up: True when it has."""
        return self._sender is None or self._sender.wait_settled(timeout)

    @property
    def dropped(self) -> int:
        """Lines lost so far: buffer full, refused, not writable."""
        return self._sender.dropped if self._sender is not None else 0

    def __enter__(self) -> 'Run':
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if kind is None or (issubclass(kind, SystemExit) and error.code in (None, 0)):
            self.finish()
        else:
            self.finish('failed', _exit.describe(kind, error, trace))

    # ---- inside

    def _put(self, record: Record, at_once: bool = False) -> None:
        if not self._is_finished:
            self._sender_here().put(record, at_once)

    def _sender_here(self) -> Sender:
        """In a forked child the first report makes a thread and a session of its own."""
        if self._sender is None:
            self._sender = self._new_sender()
            self._sender.start()
        return self._sender

    def after_fork(self) -> None:
        if self._sender is not None:
            self._sender.abandon_after_fork()
        self._sender = None  # type: ignore[assignment]
        self._is_forked = True
        self._watches = []

    def is_reporting_here(self) -> bool:
        return self._sender is not None and not self._is_finished

    def note_signal(self, number: int, is_fatal: bool, detail: str = '') -> None:
        self.signal = number
        message = f'signal {_exit.signal_name(number)}{detail}'
        if is_fatal:
            self._event('error', message, state='failed')
        else:
            self._event('error', message + ' received', state=self._state)


class _Timed:
    """An iterable that measures how long its consumer waits."""

    def __init__(self, run: Run, loader: Iterable[Any]):
        self._run, self._loader = run, loader

    def __iter__(self) -> Iterator[Any]:
        clock, run, iterator = time.perf_counter, self._run, iter(self._loader)
        while True:  # pylint: disable=protected-access
            began = run._waiting_since = clock()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            finally:
                run._waiting_since = None
            run._data_s += clock() - began
            yield batch

    def __len__(self) -> int:
        return len(self._loader)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


class NoRun:
    """Stands for a run that could not be made: every call does nothing."""

    name, rank, dropped, signal = '', 0, 0, None

    def log(self, *_: Any, **__: Any) -> None: ...

    event = checkpoint = watch = finish = log

    def flush(self, *_: Any, **__: Any) -> bool:
        return True

    def wrap(self, loader: Iterable[Any]) -> Iterable[Any]:
        return loader

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        yield

    def __enter__(self) -> 'NoRun':
        return self

    def __exit__(self, *_: Any) -> None: ...
