"""How a process ends, and what is said about it: uncaught exceptions, exit, signals, forks."""
import atexit
import ctypes
import os
import signal
import sys
import threading
import time
import traceback
from typing import Any, Dict, List

from ._guard import failures, in_main_thread

SIGNALS = (signal.SIGTERM,)
SIGNAL_WAIT_S = 1.0  # until the last lines have arrived
FRAMES = 3

_runs: List[Any] = []  # those that are not finished
_previous: Dict[int, Any] = {}
_has_hooks = False


def add(run: Any, signals: bool) -> None:
    _install_hooks()
    _runs.append(run)
    if signals and in_main_thread():
        _install_signals(run)


def remove(run: Any) -> None:
    if run in _runs:
        _runs.remove(run)
    sender = run._sender  # pylint: disable=protected-access
    if sender is None or not in_main_thread() or not sender.is_over():
        return
    if signal.set_wakeup_fd(-1, warn_on_full_buffer=False) != sender.wake_write:
        _restore_wakeup_fd()
    if not _runs:
        _uninstall_signals()
    sender.close_pipe()


def describe(kind: Any, error: Any, trace: Any) -> str:
    """Type, text and the last frames, bounded."""
    text = f'{getattr(kind, "__name__", kind)}: {str(error)[:500]}'
    frames = traceback.extract_tb(trace)[-FRAMES:] if trace is not None else []
    where = [f'{os.path.basename(f.filename)}:{f.lineno} in {f.name}' for f in reversed(frames)]
    return text + (' | at ' + ', from '.join(where) if where else '')


# ---- exceptions and exit

def _install_hooks() -> None:
    global _has_hooks
    if _has_hooks:
        return
    _has_hooks = True
    atexit.register(_at_exit)
    before, before_thread = sys.excepthook, threading.excepthook

    def on_exception(kind: Any, error: Any, trace: Any) -> None:
        _each('excepthook', lambda r: r.finish('failed', describe(kind, error, trace)))
        before(kind, error, trace)

    def on_thread_exception(args: Any) -> None:
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread else '?'
            text = f'thread {name}: ' + describe(args.exc_type, args.exc_value, args.exc_traceback)
            _each('threading.excepthook', lambda r: r.event('error', text))
        before_thread(args)

    sys.excepthook = on_exception
    threading.excepthook = on_thread_exception
    if hasattr(os, 'register_at_fork'):
        os.register_at_fork(after_in_child=_after_fork)


def _each(where: str, action: Any) -> None:
    for run in list(_runs):
        try:
            if run.is_reporting_here():
                action(run)
        except Exception as e:  # pylint: disable=broad-except
            failures.note(where, e)


def _at_exit() -> None:
    _each('atexit', lambda r: r.finish('failed', f'ended after signal {signal_name(r.signal)}') if r.signal else r.finish())


def _after_fork() -> None:
    # The descriptor is shared with the parent: a signal to this child must not look like one to the parent.
    if _previous:
        ours = [r._sender.wake_write for r in _runs if r._sender]  # pylint: disable=protected-access
        old = signal.set_wakeup_fd(-1)
        if old not in ours:
            signal.set_wakeup_fd(old)  # an event loop's
        _uninstall_signals()
    for run in list(_runs):
        try:
            run.after_fork()
        except Exception as e:  # pylint: disable=broad-except
            failures.note('fork', e)


# ---- signals
#
# The handler runs in the main thread between two bytecodes, maybe while that thread is inside the SDK. So it
# takes no lock the background thread needs (Inbox), waits a bounded time, then lets the signal do what it would have done.
# A main thread that hangs in native code never comes to its handler: the wakeup descriptor tells the background
# thread, which after the same time does it instead. Without that a hanging job could not be ended by SIGTERM any more.

def signal_name(number: Any) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _install_signals(run: Any) -> None:
    for number in SIGNALS:
        if number in _previous:
            continue
        previous = signal.getsignal(number)
        # None: set by native code, which Python could not call; ignored signals stay ignored.
        if previous is None or previous is signal.SIG_IGN:
            continue
        _previous[number] = previous
        signal.signal(number, _on_signal)
    if _previous:
        _watch_from(run)


def _watch_from(run: Any) -> None:
    sender = run._sender  # pylint: disable=protected-access
    old = signal.set_wakeup_fd(sender.wake_write, warn_on_full_buffer=False)
    if old != -1 and not any(r._sender and r._sender.wake_write == old for r in _runs):  # pylint: disable=protected-access
        signal.set_wakeup_fd(old, warn_on_full_buffer=False)  # an event loop's: it stays
        return
    stuck = _StuckMainThread(run)
    sender.on_signal, sender.each_turn = stuck.on_signal, stuck.each_turn


def _restore_wakeup_fd() -> None:
    if _previous and _runs:
        _watch_from(_runs[-1])


def _uninstall_signals() -> None:
    for number, previous in list(_previous.items()):
        # Somebody else's handler, set after ours, stays.
        if signal.getsignal(number) is _on_signal:
            signal.signal(number, previous)
        del _previous[number]


def _on_signal(number: int, frame: Any) -> None:
    previous = _previous.get(number, signal.SIG_DFL)
    is_fatal = not callable(previous)
    _each('signal', lambda r: r.note_signal(number, is_fatal))
    if not is_fatal:
        previous(number, frame)
        return
    _each('signal', lambda r: r._sender.wait_settled(SIGNAL_WAIT_S))  # pylint: disable=protected-access
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


class _StuckMainThread:
    """In the background thread: a signal came whose handler the main thread does not get to run."""

    def __init__(self, run: Any):
        self._run = run
        self._number = 0
        self._since = 0.0
        self._is_noted = False

    def on_signal(self, number: int) -> None:
        if number in _previous and not self._number:
            self._number, self._since = number, time.monotonic()

    def each_turn(self) -> None:
        waited = time.monotonic() - self._since
        if not self._number or waited < SIGNAL_WAIT_S:
            return
        is_fatal = not callable(_previous.get(self._number, signal.SIG_DFL))
        if self._run.signal is None and not self._is_noted:
            self._is_noted = True
            self._run.note_signal(self._number, is_fatal, ', while the main thread did not answer')
        elif is_fatal and waited >= 2 * SIGNAL_WAIT_S:
            _die_of(self._number)
        elif not is_fatal:
            self._number = 0


def _die_of(number: int) -> None:
    """As the signal would have without us. Only the main thread may call signal.signal."""
    try:
        libc = ctypes.CDLL(None)
        libc.signal(ctypes.c_int(number), ctypes.c_void_p(0))
        os.kill(os.getpid(), number)
        time.sleep(1)
    finally:
        os._exit(128 + number)
