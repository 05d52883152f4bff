"""What the layers of a PyTorch module hand on, looked at by forward hooks during one sampled step."""
from typing import Any, Callable, Dict, List, Optional, Tuple

from ._guard import failures
from ._torch_layers import Layer, plain_name
from ._torch_numbers import Vector, bad_ratio, part_of, row_of

BOUNDED = {'Sigmoid': (0.0, 1.0), 'Hardsigmoid': (0.0, 1.0), 'Tanh': (-1.0, 1.0), 'Hardtanh': (-1.0, 1.0),
           'Softsign': (-1.0, 1.0), 'ReLU6': (0.0, 6.0)}
ACTIVATION_STATS = ('nonfinite_activation_ratio', 'zero_activation_ratio', 'dead_unit_ratio')


class Activations:
    """Forward hooks for one step: what the layers hand on."""

    def __init__(self, torch: Any, model: Any, layers: List[Layer]):
        self._torch = torch
        self._names = {id(layer.module): layer.name for layer in layers}
        self._by_layer: Dict[str, Tuple[Any, ...]] = {}
        self._alive: Dict[str, Any] = {}
        self.rows: Dict[str, Any] = {}
        self.saturated: Dict[str, Any] = {}
        self._owner: Optional[Tuple[str, int, int]] = None
        self._handles = []
        for name, module in model.named_modules():
            is_leaf = next(module.children(), None) is None
            if id(module) in self._names or (is_leaf and next(module.parameters(), None) is None):
                self._handles.append(module.register_forward_hook(self._hook(plain_name(name))))

    def _hook(self, name: str) -> Callable[..., None]:
        def on_output(module: Any, _: Any, output: Any) -> None:
            try:
                if module.training and self._torch.is_tensor(output) and output.is_floating_point() and output.numel():
                    self._take(name, module, output.detach())
            except Exception as e:  # pylint: disable=broad-except
                failures.note('activations', e)
        return on_output

    def _take(self, name: str, module: Any, x: Any) -> None:
        channel = 1 if x.dim() == 4 or type(module).__name__.startswith(('Conv', 'BatchNorm')) else x.dim() - 1
        owner = self._names.get(id(module))
        if owner is not None:
            self._owner = (owner, channel, x.shape[channel])
        elif self._owner and x.dim() > self._owner[1] and x.shape[self._owner[1]] == self._owner[2]:
            owner, channel, _ = self._owner  # a function applied to what a layer gave: its units
        else:
            owner = name
        torch = self._torch
        units = (x != 0).transpose(0, channel).reshape(x.shape[channel], -1).any(dim=1)
        # Over all forward passes of the step. By module: a layer's own output is not that of the function after it.
        alive = units if name not in self._alive else self._alive[name] | units
        self._alive[name] = alive
        part = part_of(torch, x)
        self._by_layer[owner] = (bad_ratio(torch, part), (x == 0).float().mean(), 1.0 - alive.float().mean())
        self.rows[owner] = row_of(torch, part)
        bounds = BOUNDED.get(type(module).__name__)
        if bounds:
            edge = 0.01 * (bounds[1] - max(bounds[0], 0.0))
            self.saturated[owner] = ((part <= bounds[0] + edge) | (part >= bounds[1] - edge)).float().mean()

    def close(self) -> None:
        for h in self._handles:
            h.remove()
        self._handles = []

    def add_to(self, vector: Vector) -> None:
        names = list(self._by_layer)
        for i, statistic in enumerate(ACTIVATION_STATS):
            if names:
                vector.add(names, statistic, self._torch.stack([self._by_layer[name][i] for name in names]))
        if self.saturated:
            vector.add(list(self.saturated), 'saturated_ratio', self._torch.stack(list(self.saturated.values())))
