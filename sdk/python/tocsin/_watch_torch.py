"""Statistics of the layers of a PyTorch module.

A sample is taken around one optimizer step: gradients and parameters just before it (gradients complete, unscaled, clipped),
parameters again after it, for the update ratio. Everything is computed where the tensors are and collected in one vector,
which the background thread fetches: the job's thread never waits for a device.
"""
import gc
import math
import sys
import time
import types
import weakref
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import _torch_canary, _torch_host
from ._guard import failures
from ._overhead import Overhead, Pace
from ._torch_activations import Activations
from ._torch_layers import Layer, find_layers
from ._torch_numbers import Group, Vector, local, part_of
from ._torch_sample import Both, Checksum, Sample

TIMED_EVERY = 32  # steps, of which the first is timed
CHECKSUM_EVERY = 3 * TIMED_EVERY  # optimizer steps; the same steps on each rank, or the sums could not be compared
EMERGENCY_EVERY_S = 10.0
GROUPS_MAX = 8  # sets of layers with gradients, of which sizes are remembered


def is_module(model: Any) -> bool:
    torch = sys.modules.get('torch')
    return torch is not None and isinstance(model, torch.nn.Module)


class TorchWatch:
    """Watches one module. Its optimizer's step is where samples are taken; without one, the call of log."""

    def __init__(self, overhead: Overhead, model: Any, optimizer: Any, every: int, activations: bool,
                 checksums: Optional[bool]):
        self._torch = sys.modules['torch']
        self._overhead = overhead
        self._model = model
        self._layers = find_layers(model)
        self._pace = Pace(overhead, every)
        self._wants_activations = activations
        is_replica = type(model).__name__ == 'DistributedDataParallel'
        self._wants_checksums = is_replica if checksums is None else checksums
        self._optimizers: List[Any] = []
        self._is_due = self._is_requested = self._was_bad = False  # each of them makes the watch busy
        self._emergency_at = -math.inf
        self._hooks: Optional[Activations] = None
        self._done: Any = None  # the newest sample, for the next line
        self._hot = _torch_canary.Hot()
        self._groups: Dict[Any, Group] = {}
        self._before: Any = None  # a sample of which the step is still to come
        self._buffers: Optional[_torch_host.Buffers] = None
        self._newest: Callable[[], Any] = lambda: None  # a weak reference to the newest sample
        self._begin_cost_s = 0.0
        self._is_attached = False
        self._step_cost_s = self._look_s = 0.0
        self._order_from_forward()
        if optimizer is not None:
            self._attach([optimizer])

    # ---- where the steps are

    def _order_from_forward(self) -> None:
        """The order in which the first forward pass runs the layers is that of the network."""
        ran: List[Layer] = []
        handles: List[Any] = []

        def done(*_: Any) -> None:
            for h in handles:
                h.remove()
            known = {id(layer) for layer in ran}
            self._layers = ran + [layer for layer in self._layers if id(layer) not in known]
            handles.clear()

        if type(self._model).__name__ == 'OptimizedModule':
            return  # hooks would make torch.compile compile again
        for layer in self._layers:
            def note(*_: Any, layer: Layer = layer) -> None:
                if layer not in ran:
                    ran.append(layer)
            if layer.module is not self._model:
                handles.append(layer.module.register_forward_pre_hook(note))
        handles.append(self._model.register_forward_hook(done))

    def _attach(self, optimizers: List[Any]) -> None:
        self._is_attached = True
        for optimizer in optimizers:
            # accelerate and lightning wrap it
            inner = getattr(optimizer, 'optimizer', None) or getattr(optimizer, '_optimizer', None) or optimizer
            if hasattr(inner, 'param_groups') and not any(o is inner for o in self._optimizers):
                self._optimizers.append(inner)
                inner.step = types.MethodType(self._watched_step(inner), inner)
        self._hot.parameter = _torch_canary.choose(self._torch, self._layers)

    def _watched_step(self, optimizer: Any) -> Callable[..., Any]:
        """Runs at every step, with cold caches: what is not looked up, called or timed counts. So the usual step is looked at in
        place, and that is timed once in TIMED_EVERY steps."""
        step, hot = optimizer.step, self._hot
        is_first = optimizer is self._optimizers[0]

        def watched(_: Any, *args: Any, **kwargs: Any) -> Any:
            if hot.is_busy or args or kwargs or not is_first or not hot.steps % TIMED_EVERY:
                return self._odd_step(optimizer, step, args, kwargs)
            try:
                grad = hot.parameter.grad
                if grad is not None:
                    address = grad.data_ptr()
                    if address != hot.address:
                        hot.look_at(address)
                    value = hot.view.value
                    if value - value != 0.0:
                        return self._odd_step(optimizer, step, args, kwargs)
            except Exception as e:  # pylint: disable=broad-except
                failures.note('watch', e)
            result = step()
            hot.steps += 1
            return result

        watched.__name__ = 'step'
        for mark in ('_wrapped_by_lr_sched', '_with_counter', 'hooked'):  # what schedulers look for
            if hasattr(step, mark):
                setattr(watched, mark, getattr(step, mark))
        return watched

    def _odd_step(self, optimizer: Any, step: Any, args: Any, kwargs: Any) -> Any:
        """A step with a closure, of a further optimizer, with something to be done around it, or one that is timed."""
        closure = args[0] if args else kwargs.get('closure')
        if closure is None:
            self._before_step(optimizer)
        else:  # gradients are made inside the step
            def seen_closure() -> Any:
                loss = closure()
                self._before_step(optimizer)
                return loss
            args, kwargs = (seen_closure,) + args[1:], {k: v for k, v in kwargs.items() if k != 'closure'}
        result = step(*args, **kwargs)
        self._after_step(optimizer)
        return result

    def _find_optimizers(self) -> List[Any]:
        """Optimizers of the watched parameters among all objects: once, when the job did not name them."""
        base = self._torch.optim.Optimizer
        own = {id(p) for layer in self._layers for p in layer.tensors}
        found = []
        for o in gc.get_objects():
            if base in getattr(type(o), '__mro__', ()):
                if any(id(p) in own for g in getattr(o, 'param_groups', ()) for p in g['params'][:8]):
                    found.append(o)
        return found

    # ---- around a step

    def _before_step(self, optimizer: Any) -> None:
        began = time.perf_counter()
        try:
            is_bad = self._hot.is_bad()
            self._look_s = time.perf_counter() - began
            if is_bad:
                self._note_bad(began)
            else:
                self._was_bad = False
            if (self._is_due or self._is_requested) and self._before is None and optimizer is self._optimizers[0]:
                self._begin_sample()
        except Exception as e:  # pylint: disable=broad-except
            failures.note('watch', e)
        self._step_cost_s = time.perf_counter() - began

    def _after_step(self, optimizer: Any) -> None:
        if optimizer is not self._optimizers[0]:
            return
        now = time.perf_counter()
        was_sampled = self._before is not None
        try:
            self._hot.steps += 1
            if was_sampled:
                self._end_sample()
            if self._wants_checksums and self._hot.steps % CHECKSUM_EVERY == 1:
                self._keep(self._checksum())
            if not self._is_due and self._is_time(now):
                self._is_due = True
                if self._wants_activations:
                    self._hooks = Activations(self._torch, self._model, self._layers)
        except Exception as e:  # pylint: disable=broad-except
            failures.note('watch', e)
        self._hot.is_busy = self._needs_a_look()
        looks = TIMED_EVERY - 1 if self._hot.steps % TIMED_EVERY == 1 else 0  # of the steps up to the next one that is timed
        self._overhead.foreground_s += self._step_cost_s + looks * self._look_s + time.perf_counter() - now

    def _needs_a_look(self) -> bool:
        """Is there something to do around the next step?"""
        return self._is_due or self._is_requested or self._was_bad or self._before is not None or self._pace.samples == 0

    def _note_bad(self, now: float) -> None:
        """The last layer's gradient is NaN right after the loss was: the one moment in which the parameters still
        tell where it began, for the step spreads it everywhere."""
        if not self._was_bad and now - self._emergency_at >= EMERGENCY_EVERY_S:
            self._emergency_at = now
            self._is_requested = True
        self._was_bad = True

    def _begin_sample(self) -> None:
        # CPU time: what a busy machine adds is no cost of the sample.
        began = time.thread_time()
        with self._torch.no_grad():
            self._before = self._begin_on_host() if _torch_host.is_usable(self._layers[0].tensors[0]) else self._begin_on_device()
        self._begin_cost_s = time.thread_time() - began

    def _begin_on_host(self) -> Any:
        newest = self._newest()
        if self._buffers is None or (newest is not None and not newest.is_resolved):
            self._buffers = _torch_host.Buffers(self._torch)  # the others are still to be read
        taken = [(what, found) for what, found in (('param', self._params_group()), ('grad', self._grads_group())) if found is not None]
        parts = [_torch_host.Part(*found, self._buffers.copy(what, *found)) for what, found in taken]
        return parts[0], taken[0][1][1], parts[1] if len(parts) > 1 else None

    def _end_on_host(self, begun: Any, hooks: Optional[Activations]) -> Any:
        params, tensors, grads = begun
        activations = None
        if hooks is not None:
            hooks.close()
            if hooks.rows:
                vector = Vector()
                hooks.add_to(vector)
                activations = vector, hooks.rows
        after = self._buffers.copy('after', params.group, tensors)
        return _torch_host.HostSample(self._torch, params, grads, after, activations, self._sizes())

    def _sizes(self) -> Dict[str, int]:
        return {layer.name: sum(p.numel() for p in layer.tensors) for layer in self._layers}

    def _begin_on_device(self) -> Any:
        torch = self._torch
        event = None
        if self._layers[0].tensors[0].device.type == 'cuda':
            event = torch.cuda.Event(enable_timing=True)
            event.record()
        vector, rows = Vector(), []  # type: ignore[var-annotated]
        params = self._params_group()
        group, tensors = params
        before = group.values(tensors)
        # Of the parameters before the step: with a NaN loss they are the last ones that tell something.
        self._add_stats('param', group, tensors, before, vector, rows)
        grads = self._grads_group()
        if grads is not None:
            self._add_stats('grad', grads[0], grads[1], grads[0].values(grads[1]), vector, rows)
        return params, before, vector, rows, event

    def _params_group(self) -> Tuple[Group, List[Any]]:
        layers = [(layer.name, [p for p in layer.tensors if local(p).numel()]) for layer in self._layers]
        return self._group_of([(name, own) for name, own in layers if own])

    def _grads_group(self) -> Optional[Tuple[Group, List[Any]]]:
        layers = [(layer.name, [p.grad for p in layer.tensors if p.grad is not None and not p.grad.is_sparse
                                and local(p.grad).numel()]) for layer in self._layers]
        layers = [(name, own) for name, own in layers if own]
        return self._group_of(layers) if layers else None

    def _group_of(self, layers: List[Tuple[str, List[Any]]]) -> Tuple[Group, List[Any]]:
        """What is known of these sizes already, and the tensors one after the other."""
        tensors = [t for _, own in layers for t in own]
        key = (tuple(name for name, _ in layers), tuple(t.numel() for t in tensors))
        group = self._groups.get(key)
        if group is None:
            if len(self._groups) >= GROUPS_MAX:
                self._groups.clear()
            group = self._groups[key] = Group(self._torch, [name for name, _ in layers], [own for _, own in layers])
        return group, tensors

    @staticmethod
    def _add_stats(what: str, group: Group, tensors: List[Any], values: Any, vector: Vector, rows: List[Any]) -> None:
        norms = group.norms(tensors)
        moments = group.moments(values, tensors, what == 'grad')
        vector.add(group.names, what + '_norm', norms)
        for name in ('mean', 'std', 'min', 'max'):
            vector.add(group.names, f'{what}_{name}', moments[name])
        vector.add(group.names, what + '_bad', group.bad_ratios(values, norms))
        if 'zeros' in moments:
            vector.add(group.names, 'zero_grad_ratio', moments['zeros'])
        rows.append(([(name, what) for name in group.names], group.rows(values)))

    def _end_sample(self) -> None:
        began = time.thread_time()
        begun, self._before = self._before, None
        hooks, self._hooks = self._hooks, None
        with self._torch.no_grad():
            is_on_host = isinstance(begun[0], _torch_host.Part)
            sample = self._end_on_host(begun, hooks) if is_on_host else self._end_on_device(begun, hooks)
        self._newest = weakref.ref(sample)
        self._keep(sample)
        self._is_due = self._is_requested = False
        self._pace.sampled(self._hot.steps, time.thread_time() - began + self._begin_cost_s)

    def _end_on_device(self, begun: Any, hooks: Optional[Activations]) -> Any:
        torch = self._torch
        (group, tensors), before, vector, rows, event = begun
        moved, size = group.distances(group.values(tensors), before)
        vector.add(group.names, 'update_ratio', moved / size.clamp(min=1e-12))
        if hooks is not None:
            hooks.close()
            hooks.add_to(vector)
            if hooks.rows:
                rows.append(([(name, 'activation') for name in hooks.rows], torch.stack(list(hooks.rows.values()))))
        sample = Sample(torch, vector, [key for keys, _ in rows for key in keys], torch.cat([m for _, m in rows]), self._sizes(),
                        self._overhead)
        sample.mark(torch, event)
        return sample

    def _is_time(self, now: float) -> bool:
        """A sample may hold much memory until the background thread has made numbers of it: there is one at a time."""
        newest = self._newest()
        return self._pace.is_due(self._hot.steps, now) and (newest is None or newest.is_resolved)

    def _checksum(self) -> Any:
        torch = self._torch
        sums = []
        with torch.no_grad():
            for layer in self._layers:
                bits = torch.cat([part_of(torch, t) for t in layer.tensors]).float().view(torch.int32).long()
                weights = torch.arange(1, bits.numel() + 1, device=bits.device) % 1021 + 1
                sums.append((bits * weights).sum())
            return Checksum([layer.name for layer in self._layers], torch.stack(sums))

    on_news: Optional[Callable[[], None]] = None  # a sample is there: the next report is to be a line of its own

    def _keep(self, sample: Any) -> None:
        if self.on_news is not None:
            self.on_news()
        self._done = sample if self._done is None else Both(self._done, sample)

    # ---- the run's side

    @property
    def lr(self) -> Optional[float]:
        rate = self._optimizers[0].param_groups[0].get('lr') if self._optimizers else None
        return rate if isinstance(rate, (int, float)) else None

    def request(self) -> None:
        """A sample as soon as possible: a loss is not finite."""
        now = time.perf_counter()
        if now - self._emergency_at >= EMERGENCY_EVERY_S:
            self._emergency_at = now
            self._is_requested = self._hot.is_busy = True

    @property
    def wants_each_report(self) -> bool:
        return not self._optimizers  # they are the steps then

    def look_at_time(self) -> None:
        """In the background thread: is it time for a sample?"""
        if self._optimizers and time.perf_counter() >= self._pace.due_at:
            self._hot.is_busy = True

    def on_log(self, now: float, is_bad: bool) -> Any:
        """The sample that goes with this line, or None."""
        if not self._is_attached:
            self._attach(self._find_optimizers())
        if not self._optimizers:
            self._without_optimizer(is_bad)
        elif is_bad and self._done is None:
            self.request()
        sample, self._done = self._done, None
        return sample

    def _without_optimizer(self, is_bad: bool) -> None:
        """Updates are made by hand: the time between two calls of log is the step."""
        began = time.perf_counter()
        if self._before is not None:
            self._end_sample()
        self._hot.steps += 1
        if self._pace.is_due(self._hot.steps, began) or (is_bad and began - self._emergency_at >= EMERGENCY_EVERY_S) or self._is_requested:
            self._emergency_at = began if is_bad else self._emergency_at
            self._begin_sample()
            if is_bad:
                self._end_sample()
        self._overhead.foreground_s += time.perf_counter() - began

    def close(self) -> None:
        if self._hooks is not None:
            self._hooks.close()
