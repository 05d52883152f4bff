"""Numbers as jobs have them: floats, 0-d arrays, tensors on a device whose value is not there yet."""
import sys
from typing import Any, Callable, Optional, Union

Number = Union[int, float]


class Deferred:
    """A number that the background thread fetches, so that the job does not wait for its device."""

    __slots__ = ('_fetch', 'error')

    def __init__(self, fetch: Callable[[], float]):
        self._fetch = fetch

    def get(self) -> Optional[float]:
        return float(self._fetch())


def _torch_value(x: Any) -> Union[Number, Deferred, None]:
    if x.device.type == 'cpu':
        return _plain(x.item()) if x.numel() == 1 else None
    if x.numel() != 1 or x.is_meta:
        return None
    if x.is_cuda and sys.modules['torch'].cuda.is_current_stream_capturing():
        return None
    # A copy: the loop may change the tensor in place. No graph is kept alive, nothing is waited for.
    return Deferred(_after_event(x.detach().clone()))


def _after_event(tensor: Any) -> Callable[[], float]:
    """Fetches a device tensor made on the caller's stream."""
    if tensor.device.type != 'cuda':
        return tensor.item
    event = sys.modules['torch'].cuda.Event()
    event.record()

    def fetch() -> float:
        event.synchronize()
        return tensor.item()

    return fetch


def number_of(x: Any) -> Union[Number, Deferred, None]:
    """A number, a number to come, or None when x is not one number."""
    kind = type(x)
    if kind is float or kind is int:
        return x
    if kind.__name__ == 'Tensor' and kind.__module__ == 'torch':
        if getattr(x, 'is_cpu', False):
            return _plain(x.item()) if x.dim() == 0 else _torch_value(x)
        return _torch_value(x)
    if kind is bool:
        return int(x)
    if isinstance(x, (str, bytes, bytearray)) or x is None:
        return None
    module = kind.__module__.split('.', 1)[0]
    if module == 'torch' or (module not in ('numpy', 'builtins') and _is_torch(x)):
        return _torch_value(x)
    if module in ('jax', 'jaxlib'):
        # Immutable, maybe still being computed.
        return Deferred(x.item) if getattr(x, 'size', 0) == 1 else None
    if getattr(x, 'size', 1) != 1 and not callable(getattr(x, 'size', None)):
        return None
    if module == 'tensorflow':
        return float(x)
    return _plain(x.item() if hasattr(x, 'item') else x)


def _plain(x: Any) -> Optional[Number]:
    if isinstance(x, complex):
        return None
    return x if type(x) in (int, float) else float(x)


def _is_torch(x: Any) -> bool:
    torch = sys.modules.get('torch')
    tensor = getattr(torch, 'Tensor', None)
    return isinstance(tensor, type) and isinstance(x, tensor)
