"""One gradient that is looked at in every step: when it is NaN, the step that would spread that to all parameters is still to come."""
import ctypes
from typing import Any, List

FLOAT = ctypes.c_float


class NoParameter:
    """Where no gradient can be read in place."""

    grad = None


def choose(torch: Any, layers: List[Any]) -> Any:
    """The smallest parameter of the last layer that learns, where its gradient can be read in place."""
    for layer in reversed(layers):
        for p in sorted(layer.tensors, key=lambda p: p.numel()):
            if p.requires_grad and p.device.type == 'cpu' and p.dtype is torch.float32 and p.is_contiguous() \
                    and type(layer.module).__name__ not in ('Embedding', 'EmbeddingBag'):
                return p
    return NoParameter


class Hot:
    """What the usual step of an optimizer looks at, side by side: in a training's step no cache knows it any more."""

    __slots__ = ('is_busy', 'steps', 'parameter', 'address', 'view')

    def __init__(self) -> None:
        self.is_busy = True  # there is something to be done around the next step
        self.steps = 0
        self.parameter: Any = NoParameter
        self.address = 0  # of its gradient
        self.view: Any = None  # of the number there

    def is_bad(self) -> bool:
        """Is the gradient not finite? Read in place: an operation of the framework would cost twenty times as much."""
        grad = self.parameter.grad
        if grad is None:
            return False
        self.look_at(grad.data_ptr())
        value = self.view.value
        return value - value != 0.0

    def look_at(self, address: int) -> None:
        if address != self.address:
            self.address, self.view = address, FLOAT.from_address(address)
