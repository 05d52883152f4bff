"""Collectives of torch.distributed, counted without a change of the job's code.

Everything that Python asks of a process group goes through the methods of one class, and everything it waits for through
another; both are wrapped once. DistributedDataParallel reduces its gradients in native code: its waiting begins when the
backward pass has computed the last gradient and ends when that pass returns. Sends and receives are not counted, for the
stages of a pipeline differ in them by design.
"""
import itertools
import sys
import time
from typing import Any, Callable, Optional

from ._guard import failures

NAMES = ('allreduce', 'allreduce_coalesced', 'allgather', 'allgather_coalesced', '_allgather_base',
         'allgather_into_tensor_coalesced', 'reduce_scatter', '_reduce_scatter_base', 'reduce_scatter_tensor_coalesced',
         'alltoall', 'alltoall_base', 'barrier', 'monitored_barrier', 'broadcast', 'reduce', 'gather', 'scatter')
MARK = 'tocsin_wrapped'


class Counter:
    """Collectives this process has entered, and the seconds its threads have spent inside them. A lost microsecond of two
    threads that add at once does not matter; a lost count would, so it comes from an iterator, whose next is atomic."""

    def __init__(self) -> None:
        self.entered = 0
        self.waited_s = 0.0
        self._numbers = itertools.count(1)

    def enter(self) -> None:
        self.entered = next(self._numbers)


counter = Counter()
_is_installed = False


def install() -> bool:
    """Begins to count as soon as the job has loaded torch.distributed; cheap to call again. True when it counts."""
    global _is_installed
    if _is_installed:
        return True
    native = sys.modules.get('torch._C._distributed_c10d')
    replicas = sys.modules.get('torch.nn.parallel.distributed')
    if native is None or replicas is None or not hasattr(replicas, 'DistributedDataParallel'):
        return False  # not loaded, or not to its end
    _is_installed = True
    try:
        for name in NAMES:
            _wrap(native.ProcessGroup, name, _counted)
        _wrap(native.Work, 'wait', _timed)
        _wrap(replicas.DistributedDataParallel, 'forward', _replicated)
        _wrap(replicas.DistributedDataParallel, '_sync_buffers', _counted)  # rank 0 hands its buffers out
    except Exception as e:  # pylint: disable=broad-except
        failures.note('collectives', e)
    return True


def _wrap(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    original = getattr(owner, name, None)
    if original is None or hasattr(original, MARK):
        return
    wrapped = make(original)
    wrapped.__name__, wrapped.__doc__ = name, getattr(original, '__doc__', None)
    setattr(wrapped, MARK, original)
    setattr(owner, name, wrapped)


def _timed(original: Any) -> Any:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return original(self, *args, **kwargs)
        finally:
            counter.waited_s += time.perf_counter() - began
    return call


def _counted(original: Any) -> Any:
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        counter.enter()
        try:
            return original(self, *args, **kwargs)
        finally:
            counter.waited_s += time.perf_counter() - began
    return call


# ---- DistributedDataParallel

def _replicated(original: Any) -> Any:
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        output = original(self, *args, **kwargs)
        try:
            if getattr(self, 'require_backward_grad_sync', False):
                _watch_backward(output)
        except Exception as e:  # pylint: disable=broad-except
            failures.note('collectives', e)
        return output
    return forward


def _first_with_gradient(output: Any, depth: int = 2) -> Optional[Any]:
    if getattr(output, 'requires_grad', False) and hasattr(output, 'register_hook'):
        return output
    if depth and isinstance(output, dict):
        output = list(output.values())
    if depth and isinstance(output, (list, tuple)):
        found = (_first_with_gradient(part, depth - 1) for part in output[:64])
        return next((part for part in found if part is not None), None)
    return None


def _watch_backward(output: Any) -> None:
    tensor = _first_with_gradient(output)
    if tensor is None:
        return
    handles = []

    def on_gradient(_: Any) -> None:
        for handle in handles:
            handle.remove()
        handles.clear()
        try:
            engine = sys.modules['torch'].autograd.Variable._execution_engine
            engine.queue_callback(lambda: _gradients_computed(engine))
        except Exception as e:  # pylint: disable=broad-except
            failures.note('collectives', e)

    handles.append(tensor.register_hook(on_gradient))


def _gradients_computed(engine: Any) -> None:
    """Callbacks run in the order in which they were queued: this one, that of the reducer, which waits, and the next."""
    began = time.perf_counter()
    counter.enter()

    def done() -> None:
        counter.waited_s += time.perf_counter() - began

    try:
        engine.queue_callback(done)
    except Exception as e:  # pylint: disable=broad-except
        failures.note('collectives', e)
