"""Where the numbers of a Keras model are while fit runs, and how they are taken out without a wait.

With JAX they live outside the model: fit hands lists of arrays from step to step, and the memory of each step's to the next.
Reading them there costs nothing; bringing them back into the model's variables, as Keras does for callbacks that ask, costs
milliseconds. What is taken is copied by one compiled function and fetched by the background thread.
"""
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from ._segments import Segments

EXACT_MAX = 65536  # values of a variable beyond which its statistics come from a part of them
PART = 16384
ROUNDING = 1e-6  # of the moment: a recomputed gradient below it is zero
# moment = beta_1 * moment + (1 - beta_1) * gradient
ADAM = frozenset(('Adam', 'Adamax', 'Nadam', 'Lamb'))
LISTS = ('trainable_variables', 'non_trainable_variables', 'optimizer_variables')  # of JAX's state


def _stride(n: int) -> int:
    """Odd, or all that is taken could be of one column."""
    return n // PART | 1


def part_of(flat: Any) -> Any:
    """All of a small vector, evenly spaced values of a large one."""
    n = flat.shape[0]
    return flat[::_stride(n)][:PART] if n > EXACT_MAX else flat


def part_size(n: int) -> int:
    return min(PART, -(-n // _stride(n))) if n > EXACT_MAX else n


def _pack_by_numpy(variables: List[Any]) -> Any:
    from keras import ops
    parts = [part_of(np.asarray(ops.convert_to_numpy(v)).reshape(-1)) for v in variables]
    kind = np.float64 if any(p.dtype == np.float64 for p in parts) else np.float32
    return np.concatenate([p.astype(kind, copy=False) for p in parts])  # a copy: the parts may be the model's own memory


_jitted: List[Any] = []


def _pack_by_jax(arrays: List[Any]) -> Any:
    """Compiled once for the shapes of a model."""
    if not _jitted:
        import jax
        from jax import numpy as jnp

        def pack(arrays: List[Any]) -> Any:
            return jnp.concatenate([part_of(a.reshape(-1)).astype(jnp.promote_types(a.dtype, jnp.float32)) for a in arrays])

        _jitted.append(jax.jit(pack))
    return _jitted[0](arrays)


class State:
    """The weights of each layer, the optimizer's moments of them and its rate, in one order; for one fit."""

    def __init__(self, model: Any):
        from keras import backend
        self._model = model
        self.optimizer = getattr(model, 'optimizer', None)
        weights, learnt = self._weights(model)
        moments = self._moments(learnt)
        rate = getattr(self.optimizer, '_learning_rate', None)
        self.is_scheduled = not hasattr(rate, 'assign')
        self._schedule = rate
        clock = [v for v in [getattr(self.optimizer, 'iterations', None) if self.is_scheduled else rate] if v is not None]
        self.has_moments, self._has_clock = bool(moments), bool(clock)
        self._variables = weights + moments + clock
        self._is_jax = backend.backend() == 'jax'
        self._where = self._find_places() if self._is_jax else {}
        self._places = [self._where[id(v)] for v in self._variables] if self._is_jax else []

    def _weights(self, model: Any) -> Tuple[List[Any], List[Any]]:
        """All that are looked at, and those of them that learn."""
        weights: List[Any] = []
        learnt: List[Any] = []
        layers: List[Tuple[str, int, int]] = []  # name, how many values are taken, of how many
        learning: List[Tuple[str, int, int]] = []
        for layer in model._flatten_layers(include_self=False):
            own = layer.trainable_variables or layer.variables
            sizes = [int(np.prod(v.shape)) for v in own]
            if not sum(sizes) or any(sub.variables for sub in layer._layers):
                continue
            layers.append((layer.name, sum(map(part_size, sizes)), sum(sizes)))
            weights += own
            if layer.trainable_variables:
                learning.append(layers[-1])
                learnt += own
        self.segments = Segments(*map(list, zip(*layers))) if layers else Segments([], [], [])
        self.learning = Segments(*map(list, zip(*learning))) if learning else Segments([], [], [])
        return weights, learnt

    def _moments(self, learnt: List[Any]) -> List[Any]:
        """Of each weight that learns; none when one has none."""
        optimizer = self.optimizer
        moments = getattr(optimizer, '_momentums', None) or getattr(optimizer, 'momentums', None) or []
        owners = getattr(optimizer, '_trainable_variables', [])
        known = {id(v): m for v, m in zip(owners, moments) if m is not None}
        return [known[id(v)] for v in learnt] if all(id(v) in known for v in learnt) else []

    def _find_places(self) -> Dict[int, Tuple[str, int]]:
        owners = (self._model.trainable_variables, self._model.non_trainable_variables, getattr(self.optimizer, 'variables', ()))
        return {id(v): (name, i) for name, own in zip(LISTS, owners) for i, v in enumerate(own)}

    def take(self) -> Any:
        """Everything as one vector, which may still be on its way."""
        if not self._is_jax:
            return _pack_by_numpy(self._variables)
        state = self._live()
        return _pack_by_jax([state[name][i] for name, i in self._places] if state else [v.value for v in self._variables])

    def _live(self) -> Any:
        """JAX's lists, while the numbers are there and not in the variables."""
        state = getattr(self._model, '_jax_state', None)
        return None if getattr(self._model, '_jax_state_synced', True) else state

    def arrays_of(self, variables: List[Any]) -> List[Any]:
        """What variables of the model hold now, with JAX."""
        state = self._live()
        if not state:
            return [v.value for v in variables]
        return [state[name][i] for name, i in (self._where[id(v)] for v in variables)]

    def split(self, taken: Any) -> Tuple[Any, Optional[Any], Optional[float]]:
        """(weights, moments of those that learn, rate), of what was taken."""
        vector = np.asarray(taken)
        n = self.segments.total
        end = len(vector) - self._has_clock
        rate = self._rate(float(vector[-1])) if self._has_clock else None
        return vector[:n], vector[n:end] if self.has_moments else None, rate

    def _rate(self, clock: float) -> Optional[float]:
        if not self.is_scheduled:
            return clock
        schedule = self._schedule
        return float(schedule(int(clock)) if hasattr(schedule, 'get_config') else schedule())

    def gradients(self, old: Any, new: Any) -> Optional[Any]:
        """Of the values that learn: no callback is handed the gradient, so it is computed from what the optimizer keeps. old and
        new: as split gives them."""
        (weights, moments, rate), (weights_after, moments_after, _) = old, new
        kinds = {base.__name__ for base in type(self.optimizer).__mro__}
        momentum = getattr(self.optimizer, 'momentum', 0)
        if moments is not None and kinds & ADAM:
            beta = self.optimizer.beta_1
            return _without_rounding((moments_after - beta * moments) / (1 - beta), moments / (1 - beta))
        if 'SGD' not in kinds or not rate:
            return None
        if moments is not None and momentum:
            return _without_rounding((momentum * moments - moments_after) / rate, moments / rate)
        moved = self.segments.pieces((weights - weights_after) / rate)
        return np.concatenate([moved[self.segments.names.index(name)] for name in self.learning.names])


def _without_rounding(gradient: Any, moment: Any) -> Any:
    return np.where(np.abs(gradient) <= ROUNDING * np.abs(moment), 0.0, gradient)
