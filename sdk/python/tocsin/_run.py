"""A run: what a training loop says about itself."""
import contextlib
import os
import secrets
import threading
import time
from time import perf_counter
from typing import Any, Dict, Iterable, Iterator, Mapping, Optional, Tuple

from . import _checkpoint, _exit, _line, _process
from ._collectives import counter, install as count_collectives
from ._guard import failures, guarded
from ._line import Record
from ._overhead import Overhead
from ._report import Hot, are_plain, is_finite, tensor_type, values_of
from ._sender import Sender
from ._transport import File, Http

FINISH_WAIT_S = 2.0
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
        self._hot = Hot(self.overhead)
        self._is_finished = False
        self._is_forked = False
        self.signal: Optional[int] = None
        self._watches: list = []
        self._waiting_since: Optional[float] = None  # for input
        self._has_news = False
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
                        self._min_interval_s, self.overhead, _process.Memory())
        sender.on_nonfinite = self._on_nonfinite
        sender.signs = self._signs
        sender.merger.add_rarer = self._add_rarer
        sender.after_records = self._look_around
        return sender

    def _signs(self) -> Dict[str, Any]:
        """What tells the ranks of a stalled job apart, asked by the background thread."""
        values: Dict[str, Any] = {'collectives_total': counter.entered} if counter.entered else {}
        since = self._waiting_since
        if since is not None:
            values['data_seconds'] = perf_counter() - since
        return values

    # ---- reports

    def log(self, step: Optional[int] = None, numbers: Optional[Mapping[str, Any]] = None, loss: Any = None, **more: Any) -> None:
        """The loop has completed `step` (counted by itself when absent). loss, grad_norm, lr, tokens_per_second, val_loss
        and any other number: floats, 0-d arrays or tensors. A tensor on a device is not waited for."""
        now = perf_counter()
        hot = self._hot
        try:
            # What is called and looked at here is paid in every step, so the usual report goes no further.
            if hot.is_open and numbers is None and (not more or are_plain(more)):
                value = loss.item() if type(loss) is hot.tensor and loss.is_cpu else loss
                if type(value) is float and value - value == 0.0 and type(step) is int and step > hot.step:
                    hot.step = step
                    hot.note((now, step, value, hot.data_s, more))
                    hot.overhead.foreground_s += perf_counter() - now
                    return
        except Exception:  # pylint: disable=broad-except
            pass  # an unusual one, which is looked at below
        try:
            if loss is not None:
                more['loss'] = loss
            self._report(step, {**numbers, **more} if numbers else more, now)
        except Exception as e:  # pylint: disable=broad-except
            failures.note('log', e)
        hot.overhead.foreground_s += perf_counter() - now

    def _report(self, step: Optional[int], numbers: Mapping[str, Any], now: float) -> None:
        if self._is_finished:
            return
        hot = self._hot
        at = step if type(step) is int and 0 <= step <= _line.STEP_MAX else self._odd_step(step)
        values = values_of(numbers)
        is_bad = not is_finite(values.get('loss'))
        has_news, self._has_news = self._has_news, False
        layers = None
        for watch in self._watches:
            layers = watch.on_log(now, is_bad) or layers
        hot.step = max(hot.step, at)
        sender = self._sender_here()
        noted = (now, at, values, hot.data_s, counter.entered, counter.waited_s)
        if is_bad or has_news or layers is not None or not self._min_interval_s:
            record = Record(time.time(), self._state, at, values, layers)
            record.noted = noted
            self._add_rarer(record.values)
            sender.put(record, at_once=is_bad)
        else:
            sender.notes.append(noted)
        sender.job_thread = threading.get_native_id()
        hot.note, hot.tensor = sender.notes.append, tensor_type()
        needs_more = self._has_news or counter.entered or not self._min_interval_s
        hot.is_open = not needs_more and not any(watch.wants_each_report for watch in self._watches)

    def _add_rarer(self, values: Dict[str, Any]) -> None:
        """For a line of its own; the background thread asks at most half a second later."""
        if self._watches and 'lr' not in values and 'learning_rate' not in values:
            rate = self._watches[0].lr
            if rate is not None:
                values['lr'] = rate
        if self._extra:
            extra, self._extra = self._extra, {}
            values.update(extra)

    def _look_around(self) -> None:
        """In the background thread, now and then."""
        if counter.entered:
            self._hot.is_open = False  # each report says how many
        for watch in self._watches:
            watch.look_at_time()

    def _on_news(self) -> None:
        """A watch has something that belongs to this step."""
        self._has_news = True
        self._hot.is_open = False

    def _odd_step(self, step: Any) -> int:
        if step is None:
            return self._hot.step + 1
        at = _line.step_of(step)
        if at is None:
            failures.note('log', f'step {str(step)[:60]!r} is not an integer from 0 on: left out')
            at = max(self._hot.step, 0)
        return at

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
        self._put(self._event_of(event, message, step, state), at_once=True)

    def _event_of(self, event: Optional[str], message: Any = None, step: Optional[int] = None, state: Optional[str] = None) -> Record:
        at = _line.step_of(step) if step is not None else None
        if at is None and self._hot.step >= 0:
            at = self._hot.step
        text = None if message is None else str(message)
        values = {'collectives_total': counter.entered} if counter.entered else None
        return Record(time.time(), state or self._state, at, values, event=event, message=text)

    @guarded
    def checkpoint(self, path: Any, step: Optional[int] = None, verify: bool = True) -> None:
        """A checkpoint was written. One that is missing, empty or cut short is reported as failed."""
        problem = _checkpoint.problem_of(path) if verify else None
        self._event('checkpoint_failed' if problem else 'checkpoint',
                    f'{os.fspath(path)}: {problem}' if problem else os.fspath(path), step)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """with run.phase('evaluation'): time that is no training (also 'checkpoint', 'paused')."""
        before, began, waited_s = self._state, perf_counter(), counter.waited_s
        self._enter(name)
        try:
            yield
        finally:
            self._enter(before, (began, waited_s))

    @guarded
    def _enter(self, state: str, phase: Optional[Tuple[float, float]] = None) -> None:
        """phase: the one that ends here."""
        if state not in _line.STATES[:4]:
            failures.note('phase', f'{str(state)[:40]!r} is not one of {", ".join(_line.STATES[:4])}')
            return
        self._state = state
        record = self._event_of(None)
        if phase is not None:
            record.phase = (*phase, perf_counter(), counter.waited_s)
        self._put(record, at_once=True)

    def wrap(self, loader: Iterable[Any]) -> '_Timed':
        """for batch in run.wrap(loader): the time spent waiting for input becomes data_seconds."""
        return _Timed(self, loader)

    @guarded
    def watch(self, model: Any, optimizer: Any = None, every: int = 0, activations: bool = False,
              checksums: Optional[bool] = None) -> None:
        """Statistics of each layer of a PyTorch module (for Keras: tocsin.keras.TocsinCallback). Sampled so that
        the measured cost stays below 0.3 % of the time; `every` steps at least lie between two samples."""
        from . import _watch_torch
        if not _watch_torch.is_module(model):
            failures.note('watch', f'{type(model).__name__} is not a torch.nn.Module; for Keras use tocsin.keras.TocsinCallback')
            return
        self._watches.append(_watch_torch.TorchWatch(self.overhead, model, optimizer, every, activations, checksums))
        self._watches[-1].on_news = self._on_news
        self._hot.is_open = False  # the next report is its first

    # ---- the end

    @guarded
    def finish(self, state: str = 'finished', message: Any = None) -> None:
        """Says how the run ended ('finished' or 'failed') and waits at most 2 s until that has arrived."""
        if self._is_finished:
            return
        is_failed = state == 'failed'
        self._hot.is_open = False
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
        if self._hot.step >= 0:
            self._sender_here().put(Record(time.time(), self._state, self._hot.step,
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
        self._hot.is_open = False
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
        clock, run, iterator = perf_counter, self._run, iter(self._loader)
        while True:  # pylint: disable=protected-access
            began = run._waiting_since = clock()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            finally:
                run._waiting_since = None
            run._hot.data_s += clock() - began
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
