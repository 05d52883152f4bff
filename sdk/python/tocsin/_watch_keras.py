"""Statistics of the layers of a Keras model, for each of its backends.

Parameters are read before and after a sampled batch. The gradient is not handed to callbacks; it is recomputed from what
the optimizer keeps: Adam's first moment, momentum, or the update itself of plain gradient descent.
"""
import math
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from ._guard import failures
from ._line import Layers
from ._overhead import Overhead, Pace

PART = 65536
QUANTILES = (1, 5, 25, 50, 75, 95, 99)
BOUNDED = {'sigmoid': (0.0, 1.0), 'hard_sigmoid': (0.0, 1.0), 'tanh': (-1.0, 1.0), 'softsign': (-1.0, 1.0), 'relu6': (0.0, 6.0)}
EMERGENCY_EVERY_S = 10.0
ROUNDING = 1e-6  # of the moment: a recomputed gradient below it is zero


def _array(variable: Any) -> np.ndarray:
    """Values of a variable; an even part of a large one, in double precision."""
    from keras import ops
    flat = np.asarray(ops.convert_to_numpy(variable)).reshape(-1)
    if flat.size > PART:
        flat = flat[::flat.size // PART][:PART]
    return flat.astype(np.float64)


def _quantiles(what: str, values: np.ndarray) -> Dict[str, float]:
    if not np.isfinite(values).all():
        return {}
    return {f'{what}_q{q:02d}': float(v) for q, v in zip(QUANTILES, np.percentile(values, QUANTILES))}


def _moments(what: str, v: np.ndarray) -> Dict[str, float]:
    with np.errstate(all='ignore'):
        return {f'{what}_norm': float(np.sqrt((v * v).sum())), f'{what}_mean': float(v.mean()), f'{what}_std': float(v.std()),
                f'{what}_min': float(v.min()), f'{what}_max': float(v.max())}


class _Ready:
    """Statistics that are there already, in the shape of a sample."""

    def __init__(self, layers: Layers, grad_norm: Optional[float]):
        self._layers, self._grad_norm = layers, grad_norm
        self.weight = 2000 + 3000 * len(layers)

    def resolve(self, values: Dict[str, Any]) -> Layers:
        if self._grad_norm is not None:
            values.setdefault('grad_norm', self._grad_norm)
        return self._layers


class KerasWatch:
    """Watches one model through the callback's batches."""

    def __init__(self, overhead: Overhead, model: Any, every: int, activation_batch: Any):
        self._overhead, self._model, self._batch = overhead, model, activation_batch
        self._pace = Pace(overhead, every)
        self._steps = 0
        self._is_due = self._is_requested = False
        self._emergency_at = -math.inf
        self._before: Optional[Tuple[Any, Any, Any]] = None
        self._cost_s = 0.0
        self._done: Optional[_Ready] = None
        self._parts: Any = None

    def _layers(self) -> List[Any]:
        return [layer for layer in self._model._flatten_layers(include_self=False) if layer.variables
                and not any(sub.variables for sub in layer._layers)]

    def _sync(self) -> None:
        # JAX: while fit runs, the model's variables live outside the model.
        if hasattr(self._model, 'jax_state_sync'):
            self._model.jax_state_sync()

    def _state(self) -> Tuple[Dict[str, np.ndarray], Dict[str, np.ndarray]]:
        """({layer: values of each weight}, {path of a variable: optimizer's moment})."""
        self._sync()
        weights = {layer.name: [_array(v) for v in layer.trainable_variables or layer.variables] for layer in self._layers()}
        return weights, self._moments_of_optimizer()

    def _moments_of_optimizer(self) -> Dict[str, np.ndarray]:
        optimizer = getattr(self._model, 'optimizer', None)
        moments = getattr(optimizer, '_momentums', None) or getattr(optimizer, 'momentums', None)
        if not moments:
            return {}
        return {id(v): _array(m) for v, m in zip(optimizer._trainable_variables, moments)}

    @property
    def lr(self) -> Optional[float]:
        try:
            return float(self._model.optimizer.learning_rate)
        except Exception:  # pylint: disable=broad-except
            return None

    # ---- around a batch

    on_news: Optional[Callable[[], None]] = None  # a sample is there: the next report is to be a line of its own

    def before_step(self) -> None:
        began = time.perf_counter()
        try:
            if self._is_due or self._is_requested:
                self._before = (*self._state(), self.lr)
        except Exception as e:  # pylint: disable=broad-except
            failures.note('watch', e)
        self._cost_s = time.perf_counter() - began
        self._overhead.foreground_s += self._cost_s

    def after_step(self) -> None:
        began = time.perf_counter()
        self._steps += 1
        try:
            if self._before is not None:
                self._done = self._sample()
                if self.on_news is not None:
                    self.on_news()
                self._is_due = self._is_requested = False
                cost_s = time.perf_counter() - began + self._cost_s
                # What a busy machine adds is no cost of the sample; the backend's threads have their part in the rest.
                self._pace.sampled(self._steps, cost_s * (1 - min(0.9, self._overhead.cpu_wait_ratio)))
            self._is_due = self._is_due or self._pace.is_due(self._steps, began)
        except Exception as e:  # pylint: disable=broad-except
            failures.note('watch', e)
        finally:
            self._before = None
        self._overhead.foreground_s += time.perf_counter() - began

    def _sample(self) -> _Ready:
        before, moments, rate = self._before  # type: ignore[misc]
        after, moments_after = self._state()
        activations = self._activations()
        layers: List[Tuple[str, Dict[str, float]]] = []
        squares = 0.0
        for layer in self._layers():
            old, new = np.concatenate(before[layer.name]), np.concatenate(after[layer.name])
            stats = _moments('param', old)
            grad = self._gradient(layer, old, new, moments, moments_after, rate)
            bad = 1.0 - float(np.isfinite(old).mean())
            if grad is not None:
                stats.update(_moments('grad', grad))
                stats['zero_grad_ratio'] = float((grad == 0).mean())
                squares += stats['grad_norm'] ** 2
            with np.errstate(all='ignore'):
                stats['update_ratio'] = float(np.sqrt(((new - old) ** 2).sum()) / max(stats['param_norm'], 1e-12)) \
                    if math.isfinite(stats['param_norm']) else math.nan
            stats['nonfinite_ratio'] = bad
            stats.update(activations.pop(layer.name, {}))
            stats.update(_quantiles('param', old))
            if grad is not None:
                stats.update(_quantiles('grad', grad))
            layers.append((layer.name, stats))
        layers.extend(activations.items())
        return _Ready(layers, math.sqrt(squares) if squares == squares else math.nan)

    def _gradient(self, layer: Any, old: Any, new: Any, moments: Any, moments_after: Any, rate: Any) -> Optional[np.ndarray]:
        optimizer = self._model.optimizer
        variables = layer.trainable_variables
        if not variables:
            return None
        with np.errstate(all='ignore'):
            if moments and all(id(v) in moments for v in variables):
                m, n = (np.concatenate([state[id(v)] for v in variables]) for state in (moments, moments_after))
                beta = getattr(optimizer, 'beta_1', None)
                if beta is not None:
                    grad = (n - beta * m) / (1 - beta)
                elif getattr(optimizer, 'momentum', 0) and rate:
                    grad = (optimizer.momentum * m - n) / rate
                else:
                    return None
                return np.where(np.abs(grad) <= ROUNDING * np.abs(m) / (1 - (beta or 0)), 0.0, grad)
            is_plain = type(optimizer).__name__ == 'SGD' and not getattr(optimizer, 'momentum', 0) and rate
            return (old - new) / rate if is_plain else None

    # ---- activations

    def _activations(self) -> Dict[str, Dict[str, float]]:
        if self._batch is None:
            return {}
        import keras
        if self._parts is None:
            layers = [layer for layer in self._model.layers if not isinstance(layer, keras.layers.InputLayer)]
            inputs = self._model.inputs
            self._parts = (layers, keras.Model(inputs[0] if len(inputs) == 1 else inputs, [layer.output for layer in layers]))
        layers, parts = self._parts
        outputs = parts(self._batch, training=False)
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        out: Dict[str, Dict[str, float]] = {}
        owner: Optional[str] = None
        for layer, output in zip(layers, outputs):
            owner = layer.name if layer.variables or owner is None else owner
            out[owner] = _activation_stats(layer, np.asarray(keras.ops.convert_to_numpy(output)))
        return out

    # ---- the run's side

    def request(self) -> None:
        now = time.perf_counter()
        if now - self._emergency_at >= EMERGENCY_EVERY_S:
            self._emergency_at = now
            self._is_requested = True

    def on_log(self, now: float, is_bad: bool) -> Any:
        if is_bad and self._done is None:
            self.request()
        done, self._done = self._done, None
        return done

    def close(self) -> None: ...


def _activation_stats(layer: Any, x: np.ndarray) -> Dict[str, float]:
    units = x.reshape(-1, x.shape[-1])
    stats = {'nonfinite_activation_ratio': 1.0 - float(np.isfinite(x).mean()), 'zero_activation_ratio': float((x == 0).mean()),
             'dead_unit_ratio': float((units == 0).all(axis=0).mean())}
    function = getattr(getattr(layer, 'activation', None), '__name__', type(layer).__name__.lower())
    if function in BOUNDED:
        low, high = BOUNDED[function]
        edge = 0.01 * (high - max(low, 0.0))
        stats['saturated_ratio'] = float(((x <= low + edge) | (x >= high - edge)).mean())
    stats.update(_quantiles('activation', x.reshape(-1)[:PART].astype(np.float64)))
    return stats
