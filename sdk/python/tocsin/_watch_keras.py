"""Statistics of the layers of a Keras model, for each of its backends.

Weights and the optimizer's moments are taken before and after a sampled batch; the numbers are computed in the background
thread. The job's thread calls two or three compiled functions and waits for none.
"""
import math
import time
import weakref
from typing import Any, Callable, Dict, List, Optional

import numpy as np

from ._guard import failures
from ._keras_activations import Activations
from ._keras_state import State
from ._line import Layers
from ._overhead import Overhead, Pace

EMERGENCY_EVERY_S = 10.0


class Sample:
    """What was taken around a batch, on its way to become statistics."""

    def __init__(self, state: State, before: Any, after: Any, activations: Optional[Activations], outputs: Any):
        self._state, self._before, self._after = state, before, after
        self._activations, self._outputs = activations, outputs
        self.weight = 4000 + 3000 * len(state.segments.names)  # of the statistics; only one is there in its full size
        self.is_resolved = False

    def resolve(self, values: Dict[str, Any]) -> Layers:
        try:
            with np.errstate(all='ignore'):
                return self._statistics(values)
        finally:
            self.is_resolved = True
            self._before = self._after = self._outputs = None

    def _statistics(self, values: Dict[str, Any]) -> Layers:
        state, segments = self._state, self._state.segments
        before, after = state.split(self._before), state.split(self._after)
        weights = before[0]
        stats = segments.moments('param', weights)
        bad = segments.bad_ratios(weights, stats, 'param')
        for one, ratio, share in zip(stats, segments.update_ratios(weights, after[0]), bad):
            one['update_ratio'], one['nonfinite_ratio'] = ratio, share
        layers = dict(zip(segments.names, stats))
        self._add_gradients(layers, state.gradients(before, after), values)
        if before[2] is not None:
            values.setdefault('lr', before[2])
        if self._activations is not None and self._outputs is not None:
            for name, more in self._activations.statistics(self._outputs).items():
                layers.setdefault(name, {}).update(more)
        for name, found in zip(segments.names, segments.quantiles('param', weights)):  # the rarest wanted come last
            layers[name].update(found)
        return list(layers.items())

    def _add_gradients(self, layers: Dict[str, Dict[str, float]], gradients: Any, values: Dict[str, Any]) -> None:
        segments = self._state.learning
        if gradients is None or not segments.names:
            return
        moments = segments.moments('grad', gradients)
        columns = segments.names, moments, segments.zero_ratios(gradients), segments.quantiles('grad', gradients)
        for name, own, zeros, found in zip(*columns):
            layers[name].update(own, zero_grad_ratio=zeros, **found)
        values.setdefault('grad_norm', math.sqrt(sum(m['grad_norm'] ** 2 for m in moments)))


class KerasWatch:
    """Watches one model through the callback's batches."""

    def __init__(self, overhead: Overhead, model: Any, every: int, activation_batch: Any):
        self._overhead, self.model, self._batch = overhead, model, activation_batch
        self._pace = Pace(overhead, every)
        self._steps = 0
        self._is_due = self._is_requested = False
        self._emergency_at = -math.inf
        self._before: Any = None
        self._cost_s = 0.0
        self._newest: Callable[[], Any] = lambda: None  # a weak reference to the newest sample
        self._done: Optional[Sample] = None  # the same, until a report has taken it
        self._state: Optional[State] = None
        self._activations: Optional[Activations] = None

    def begin(self) -> None:
        """A fit begins: what learns, and by which optimizer, may be another than in the one before."""
        self._state = self._before = None
        self._pace.is_new()

    @property
    def lr(self) -> Optional[float]:
        return None  # goes with the samples

    # ---- around a batch

    on_news: Optional[Callable[[], None]] = None  # a sample is there: the next report is to be a line of its own

    @property
    def is_wanted(self) -> bool:
        """Is the next batch to be sampled?"""
        return self._is_due or self._is_requested

    def before_step(self) -> None:
        began = time.perf_counter()
        try:
            if self._state is None:
                self._state = State(self.model)
            self._before = self._state.take()
        except Exception as e:  # pylint: disable=broad-except
            failures.note('watch', e)
        self._cost_s = time.perf_counter() - began
        self._overhead.foreground_s += self._cost_s

    def after_step(self) -> None:
        self._steps += 1
        began = time.perf_counter()
        if self._before is None and (self._is_due or not self._is_time(began)):
            return
        try:
            if self._before is not None:
                self._sample()
                cost_s = time.perf_counter() - began + self._cost_s
                # What a busy machine adds is no cost of the sample; the backend's threads have their part in the rest.
                self._pace.sampled(self._steps, cost_s * (1 - min(0.9, self._overhead.cpu_wait_ratio)))
            else:
                self._is_due = True
        except Exception as e:  # pylint: disable=broad-except
            failures.note('watch', e)
        finally:
            self._before = None
        self._overhead.foreground_s += time.perf_counter() - began

    def _is_time(self, now: float) -> bool:
        """A sample holds much memory until the background thread has made numbers of it: there is one at a time."""
        newest = self._newest()
        return self._pace.is_due(self._steps, now) and (newest is None or newest.is_resolved)

    def _sample(self) -> None:
        self._is_due = self._is_requested = False
        after = self._state.take()  # type: ignore[union-attr]
        outputs = self._activations_now()
        self._done = Sample(self._state, self._before, after, self._activations, outputs)  # type: ignore[arg-type]
        self._newest = weakref.ref(self._done)
        if self.on_news is not None:
            self.on_news()

    def _activations_now(self) -> Any:
        if self._batch is None:
            return None
        try:
            if self._activations is None:
                self._activations = Activations(self.model, self._batch)
            return self._activations.take(self._state.arrays_of)  # type: ignore[union-attr]
        except Exception as e:  # pylint: disable=broad-except
            failures.note('activations', e)
            self._batch = None  # a model of which the parts cannot be asked
            return None

    # ---- the run's side

    def request(self) -> None:
        now = time.perf_counter()
        if now - self._emergency_at >= EMERGENCY_EVERY_S:
            self._emergency_at = now
            self._is_requested = True

    wants_each_report = False

    def look_at_time(self) -> None: ...

    def on_log(self, now: float, is_bad: bool) -> Any:
        if is_bad and self._done is None:
            self.request()
        done, self._done = self._done, None
        return done

    def close(self) -> None: ...
