"""What the layers of a Keras model hand on for a few given inputs."""
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from ._segments import quantiles, row_index

BOUNDED = {'sigmoid': (0.0, 1.0), 'hard_sigmoid': (0.0, 1.0), 'tanh': (-1.0, 1.0), 'softsign': (-1.0, 1.0), 'relu6': (0.0, 6.0)}


def _bounds_of(layer: Any) -> Optional[Tuple[float, float]]:
    """Below and above which an answer of a bounded function is at its end."""
    function = getattr(getattr(layer, 'activation', None), '__name__', type(layer).__name__.lower())
    if function not in BOUNDED:
        return None
    low, high = BOUNDED[function]
    edge = 0.01 * (high - max(low, 0.0))
    return low + edge, high - edge


def _ratios(x: Any, bounds: Any) -> Dict[str, float]:
    units = x.reshape(-1, x.shape[-1])
    is_zero = units == 0
    stats = {'nonfinite_activation_ratio': 1.0 - float(np.isfinite(units).mean()), 'zero_activation_ratio': float(is_zero.mean()),
             'dead_unit_ratio': float(is_zero.all(axis=0).mean())}
    if bounds:
        stats['saturated_ratio'] = float(((units <= bounds[0]) | (units >= bounds[1])).mean())
    return stats


class Activations:
    """Computes all outputs of the model's layers by one call; with JAX it is compiled, for one by one the operations take ten times
    as long."""

    def __init__(self, model: Any, batch: Any):
        import keras
        from keras import backend
        self._layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
        inputs = model.inputs
        self._parts = keras.Model(inputs[0] if len(inputs) == 1 else inputs, [layer.output for layer in self._layers])
        self._bounds = [_bounds_of(layer) for layer in self._layers]
        self._batch = batch
        self._is_jax = backend.backend() == 'jax'
        self._compiled: Any = None
        self.owners = self._owners()

    def _owners(self) -> List[str]:
        """The layer whose units an output speaks of: a function without weights speaks of those of the layer before it."""
        owner, out = None, []
        for layer in self._layers:
            owner = layer.name if layer.variables or owner is None else owner
            out.append(owner)
        return out

    def take(self, arrays_of: Any) -> List[Any]:
        """The outputs, which may still be on their way. arrays_of: variables to what they hold now."""
        if self._is_jax:
            if self._compiled is None:
                self._compiled = self._compile()
            parts = self._parts
            outputs = self._compiled(arrays_of(parts.trainable_variables), arrays_of(parts.non_trainable_variables), self._batch)
        else:
            from keras import ops
            outputs = self._parts(self._batch, training=False)
        outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        return outputs if self._is_jax else [np.asarray(ops.convert_to_numpy(x)) for x in outputs]

    def _compile(self) -> Any:
        import jax
        self._batch = jax.device_put(self._batch)

        def outputs(weights: Any, others: Any, batch: Any) -> Any:
            return self._parts.stateless_call(weights, others, batch, training=False)[0]

        return jax.jit(outputs)

    def statistics(self, outputs: List[Any]) -> Dict[str, Dict[str, float]]:
        """By layer, of what was taken."""
        out: Dict[str, Dict[str, float]] = {}
        arrays = [np.asarray(x) for x in outputs]
        rows = np.stack([x.reshape(-1)[row_index(x.size)] for x in arrays])
        for owner, x, bounds, found in zip(self.owners, arrays, self._bounds, quantiles('activation', rows)):
            out[owner] = {**_ratios(x, bounds), **found}
        return out
