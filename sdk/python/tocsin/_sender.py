"""The way of a report from the job's thread to the daemon.

The job's thread puts a record into the inbox and goes on. One background thread takes records out, numbers and writes
them as lines, keeps the lines until they have arrived, and sends them in batches. The thread needs no lock that the job's
thread could hold: a signal may have stopped that thread anywhere, and what it left must still be sent.
"""
import collections
import json
import math
import os
import select
import threading
import time
from typing import Any, Callable, Deque, Dict, List, Optional

from . import _collectives, _line
from ._cpu_wait import CpuWait
from ._guard import failures
from ._line import Record
from ._report import Merger
from ._transport import Outcome

BATCH_BYTES = 256 << 10
BACKOFF_FIRST_S = 0.1
BACKOFF_MAX_S = 5.0
LABELS_EVERY_S = 60.0
MEMORY_EVERY_S = 1.0
OVERHEAD_EVERY_S = 30.0
CPU_WAIT_MAX = 0.6  # of the time; what is above counts as this
NOTED_MAX = 8192  # reports between two turns; of more than so many the oldest are forgotten
SIGN_EVERY_S = 3.0  # without another line: the run still lives, and where it is


class Inbox:
    """Records not yet taken by the background thread; bounded by an estimate of their memory, the oldest go first.

    Putters share a re-entrant lock (a signal handler may report while its thread is reporting); the taker uses none: each
    operation on a deque is atomic, and each counter has one side that writes it.
    """

    def __init__(self, max_weight: int):
        self._records: Deque[Record] = collections.deque()
        self._lock = threading.RLock()
        self._max = max_weight
        self._put_weight = 0
        self._taken_weight = 0
        self.dropped = 0
        self.put_count = 0

    def put(self, record: Record) -> None:
        with self._lock:
            self._records.append(record)
            self.put_count += 1
            self._put_weight += record.weight
            while self._put_weight - self._taken_weight > self._max:
                try:
                    oldest = self._records.popleft()
                except IndexError:
                    break
                self._put_weight -= oldest.weight
                self.dropped += 1

    def take(self) -> Optional[Record]:
        try:
            record = self._records.popleft()
        except IndexError:
            return None
        self._taken_weight += record.weight
        return record

    def __bool__(self) -> bool:
        return bool(self._records)


class Sender:
    """The background thread and what belongs to it alone."""

    def __init__(self, make_transport: Callable[[], Any], run: str, session: str, rank: int, labels: Dict[str, str],
                 max_buffered_bytes: int, min_interval_s: float, overhead: Any, memory: Any):
        self._make_transport = make_transport
        self.transport = make_transport()
        self._run, self._session, self._rank, self._labels = run, session, rank, labels
        self._max_bytes = max_buffered_bytes
        self.inbox = Inbox(max_buffered_bytes)
        self.notes: Deque[Any] = collections.deque(maxlen=NOTED_MAX)  # reports of steps that need nothing more
        self.merger = Merger(self.notes, self.inbox, overhead, min_interval_s)
        self._backlog: Deque[bytes] = collections.deque()
        self._backlog_bytes = 0
        self._batch: List[bytes] = []
        self._seq = 0
        self._last_t = 0.0
        self._fields = _line.Fields()
        self._overhead, self._memory, self._cpu_wait = overhead, memory, CpuWait()
        self._memory_due = self._overhead_due = self._labels_due = 0.0
        self._backoff_s = BACKOFF_FIRST_S
        self._next_try = 0.0
        self.lost = 0  # lines that left the backlog without having arrived
        self.taken_count = 0
        self._is_stopping = False
        self._abandon_at = float('inf')
        self.on_signal: Optional[Callable[[int], None]] = None
        self.each_turn: Optional[Callable[[], None]] = None
        self.after_records: Optional[Callable[[], None]] = None  # in each turn, too
        self.job_thread = 0  # the one that reports steps
        self.on_nonfinite: Optional[Callable[[], None]] = None
        self.signs: Optional[Callable[[], Dict[str, Any]]] = None  # what a sign of life says beside step and state
        self._last_step: Optional[int] = None  # of the newest line: a sign of life must not be ahead of it
        self._last_state = ''
        self._line_at = 0.0
        self._wake_read, self.wake_write = os.pipe()
        for fd in (self._wake_read, self.wake_write):
            os.set_blocking(fd, False)
        self._thread: Optional[threading.Thread] = None

    # ---- the job's side

    def start(self) -> None:
        self._overhead_due = time.monotonic() + OVERHEAD_EVERY_S
        self._thread = threading.Thread(target=self._work, name='tocsin', daemon=True)
        self._thread.start()

    def put(self, record: Record, at_once: bool = False) -> None:
        self.inbox.put(record)
        if at_once:
            self.wake()

    def wake(self) -> None:
        try:
            os.write(self.wake_write, b'\0')
        except OSError:
            pass  # full: it is awake already

    @property
    def dropped(self) -> int:
        return self.inbox.dropped + self.lost

    def is_settled(self) -> bool:
        """Everything put so far has been sent or dropped. Asked in the order in which records move, so none is overlooked."""
        return not (self.inbox or self.notes or self._taking or self._backlog or self._batch)

    def wait_settled(self, timeout_s: float) -> bool:
        """Waits a bounded time; without locks, so that a signal handler may do it, too."""
        end = time.monotonic() + timeout_s
        self.wake()
        while not self.is_settled():
            if time.monotonic() >= end or not self._thread or not self._thread.is_alive():
                return False
            time.sleep(0.002)
        return True

    def stop(self, timeout_s: float) -> None:
        self._abandon_at = time.monotonic() + timeout_s
        self._is_stopping = True
        self.wake()
        if self._thread and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def close_pipe(self) -> None:
        for fd in (self._wake_read, self.wake_write):
            try:
                os.close(fd)
            except OSError:
                pass

    def is_over(self) -> bool:
        return not (self._thread and self._thread.is_alive())

    def abandon_after_fork(self) -> None:
        """In a child: the parent's thread does not live here; its descriptors are closed, not used."""
        self.close_pipe()
        self.transport.close()

    # ---- the background thread

    _taking = False

    def _work(self) -> None:
        while True:
            try:
                self._turn()
                if self._is_stopping and (self.is_settled() or time.monotonic() >= self._abandon_at):
                    break
            except Exception as e:  # pylint: disable=broad-except
                failures.note('background thread', e)
                time.sleep(0.5)
        self.transport.close()

    def _turn(self) -> None:
        self._sleep()
        if self.each_turn:
            self.each_turn()
        self._take_records()
        if self.after_records:
            self.after_records()
        self._add_sign_of_life()
        self._send_batches()

    def _add_sign_of_life(self) -> None:
        """Tells step and state again when nothing else was told for a while: an evaluation, a stall, a wait for input. While the
        daemon is away none is added, for it could not be sent and would say nothing later."""
        is_quiet = time.monotonic() - self._line_at >= SIGN_EVERY_S
        if not is_quiet or self._backlog or self._batch or self._is_stopping or self._last_state not in _line.STATES[:4]:
            return
        self._add_lines(Record(time.time(), self._last_state, self._last_step, self.signs() if self.signs else None))

    def _wait_s(self) -> float:
        if self._is_stopping:
            return 0.01
        wait = self.transport.interval_s / (1 - min(self._overhead.cpu_wait_ratio, CPU_WAIT_MAX))
        if self._backlog or self._batch:
            wait = min(wait, max(0.0, self._next_try - time.monotonic()))
        return wait

    def _sleep(self) -> None:
        poll = select.poll()  # select.select cannot wait for descriptors from 1024 on
        poll.register(self._wake_read, select.POLLIN)
        if not poll.poll(1000 * self._wait_s()):
            return
        try:
            signals = os.read(self._wake_read, 4096)
        except BlockingIOError:
            return
        for number in set(signals) - {0}:
            if self.on_signal:
                self.on_signal(number)

    def _take_records(self) -> None:
        self._taking = True
        try:
            for record in self.merger.take():
                self._add_lines(record)
                self.taken_count += 1
        finally:
            self._taking = False
        self._overhead.background_s = time.thread_time()

    def _add_lines(self, record: Record) -> None:
        try:
            lines = self.lines_of(record)
        except Exception as e:  # pylint: disable=broad-except
            failures.note('line', e)
            self.lost += 1
            return
        for line in lines:
            self._backlog.append(line)
            self._backlog_bytes += len(line)
        while self._backlog_bytes > self._max_bytes and len(self._backlog) > 1:
            self._backlog_bytes -= len(self._backlog.popleft())
            self.lost += 1

    # ---- lines

    def _head(self, record: Record) -> str:
        # Ascending, although threads report side by side and clocks are set back.
        self._last_t = max(self._last_t, round(record.t, 3))
        self._seq += 1
        self._line_at = time.monotonic()
        self._last_state = record.state
        if record.step is not None:
            self._last_step = record.step
        head = f'{{"t":{self._last_t:.3f},"session":"{self._session}","seq":{self._seq}'
        if self.transport.names_run:
            head += ',"run":' + json.dumps(self._run)
        if self._rank:
            head += f',"rank":{self._rank}'
        if record.step is not None:
            head += f',"step":{record.step}'
        head += f',"state":"{record.state}"'
        if self.dropped:
            head += f',"dropped":{self.dropped}'
        return head

    def _number_texts(self, record: Record) -> List[str]:
        texts = []
        for key, raw in record.values.items():
            value = raw if type(raw) is float else _line.value_of(raw)
            name = self._fields.text(key)
            if name is None or value is None:
                continue
            if key == 'loss' and raw is not value and not math.isfinite(value) and self.on_nonfinite:
                self.on_nonfinite()
            texts.append(name + _line.number_text(value))
        return texts

    def _add_own(self, record: Record) -> None:
        """Numbers that the background thread measures itself, with lines that go anyway."""
        now = time.monotonic()
        if now >= self._memory_due and record.event is None:
            self._memory_due = now + MEMORY_EVERY_S
            _collectives.install()  # the job may have started torch.distributed since
            used, limit = self._memory.read()
            for name, value in (('memory_bytes', used), ('memory_limit_bytes', limit)):
                if value is not None:
                    record.values.setdefault(name, value)
            ratio = self._cpu_wait.ratio(self.job_thread)
            if ratio is not None:
                self._overhead.cpu_wait_ratio = ratio
                record.values.setdefault('cpu_wait_ratio', round(ratio, 4))
        if now >= self._overhead_due:
            self._overhead_due = now + OVERHEAD_EVERY_S
            record.values['sdk_overhead_ratio'] = self._overhead.ratio()
        if now >= self._labels_due or record.labels:
            self._labels_due = now + LABELS_EVERY_S
            record.labels = record.labels or self._labels

    def lines_of(self, record: Record) -> List[bytes]:
        self._add_own(record)
        if record.layers is None:
            return self._written(record, [])
        began = time.thread_time()
        lines = self._written(record, record.layers.resolve(record.values))
        self._overhead.resolve_s = time.thread_time() - began
        return lines

    def _written(self, record: Record, layers: _line.Layers) -> List[bytes]:
        parts = self._number_texts(record)
        if record.event:
            parts.append(f'"event":"{record.event}"')
        if record.message:
            parts.append('"message":' + json.dumps(_line.message_of(record.message)))
        if record.labels:
            parts.append('"labels":' + json.dumps(record.labels))
        pieces = list(_line.layer_pieces(layers))
        # What does not fit into one line goes into further lines of the same step.
        rows = [parts + pieces[:1]] + [[piece] for piece in pieces[1:]]
        return [(','.join([self._head(record)] + row) + '}\n').encode('utf-8', 'replace') for row in rows]

    # ---- sending

    def _fill_batch(self) -> None:
        size = 0
        while self._backlog and (not self._batch or size + len(self._backlog[0]) <= BATCH_BYTES):
            # The batch gets it before the backlog loses it: is_settled looks from another thread.
            line = self._backlog[0]
            self._batch.append(line)
            self._backlog.popleft()
            self._backlog_bytes -= len(line)
            size += len(line)

    def _send_batches(self) -> None:
        while self._backlog or self._batch:
            if time.monotonic() < self._next_try and not self._is_stopping:
                return
            if not self._batch:
                self._fill_batch()
            outcome = self.transport.send(b''.join(self._batch))
            if outcome is Outcome.NOT_NOW:
                failures.note('sending', f'{self.transport.why}: lines are kept and sent later')
                self._next_try = time.monotonic() + self._backoff_s
                self._backoff_s = min(2 * self._backoff_s, BACKOFF_MAX_S)
                return
            if outcome is Outcome.REFUSED:
                failures.note('refused', self.transport.why)
                self.lost += len(self._batch)
            self._batch = []
            self._backoff_s, self._next_try = BACKOFF_FIRST_S, 0.0
            self._take_records()
