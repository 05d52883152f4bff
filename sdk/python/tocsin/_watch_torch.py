"""Statistics of the layers of a PyTorch module.

A sample is taken around one optimizer step: gradients and parameters just before it (gradients complete, unscaled, clipped),
parameters again after it, for the update ratio. Everything is computed where the tensors are and collected in one vector,
which the background thread fetches: the job's thread never waits for a device.
"""
import ctypes
import gc
import math
import sys
import time
import types
from typing import Any, Callable, Dict, List, Optional, Tuple

from ._guard import failures
from ._line import Layers
from ._overhead import Overhead, Pace

EXACT_MAX = 65536  # values of a tensor beyond which mean, spread, zeros and quantiles come from a part of them
PART = 16384
ROW = 1024  # values a layer's quantiles are taken from
QUANTILES = (1, 5, 25, 50, 75, 95, 99)
CHECKSUM_EVERY = 100  # optimizer steps; the same steps on each rank, or the sums could not be compared
BOUNDED = {'Sigmoid': (0.0, 1.0), 'Hardsigmoid': (0.0, 1.0), 'Tanh': (-1.0, 1.0), 'Hardtanh': (-1.0, 1.0),
           'Softsign': (-1.0, 1.0), 'ReLU6': (0.0, 6.0)}
EMERGENCY_EVERY_S = 10.0
PARAM_STATS = ('param_norm', 'param_mean', 'param_std', 'param_min', 'param_max', 'param_bad')
GRAD_STATS = ('grad_norm', 'grad_mean', 'grad_std', 'grad_min', 'grad_max', 'grad_bad', 'zero_grad_ratio')
ACTIVATION_STATS = ('nonfinite_activation_ratio', 'zero_activation_ratio', 'dead_unit_ratio')


def is_module(model: Any) -> bool:
    torch = sys.modules.get('torch')
    return torch is not None and isinstance(model, torch.nn.Module)


def _plain_name(name: str) -> str:
    for prefix in ('_orig_mod.', 'module.', '_fsdp_wrapped_module.', '_forward_module.'):
        while name.startswith(prefix):
            name = name[len(prefix):]
    return name.replace('._fsdp_wrapped_module', '').replace('._orig_mod', '').replace('._checkpoint_wrapped_module', '')


class _Layer:
    """One module with parameters of its own."""

    __slots__ = ('name', 'module', 'tensors')

    def __init__(self, name: str, module: Any, tensors: List[Any]):
        self.name, self.module, self.tensors = name, module, tensors


def _find_layers(model: Any) -> List[_Layer]:
    layers, seen = [], set()
    for name, module in model.named_modules():
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen.update(id(p) for p in own)
        if own:
            layers.append(_Layer(_plain_name(name) or type(module).__name__, module, own))
    return layers


def _local(tensor: Any) -> Any:
    tensor = tensor.detach()
    return tensor.to_local() if hasattr(tensor, 'to_local') else tensor


def _part(torch: Any, tensor: Any) -> Any:
    """All values of a small tensor, evenly spaced ones of a large one, as float32."""
    flat = _local(tensor).reshape(-1)
    n = flat.numel()
    if n > EXACT_MAX:
        flat = flat[::n // PART][:PART]
    return flat.float() if flat.dtype != torch.float64 else flat


def _joined(torch: Any, tensors: List[Any]) -> Any:
    parts = [_part(torch, t) for t in tensors if t.numel()]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _row(torch: Any, values: Any) -> Any:
    """Exactly ROW of the values, evenly spaced, so that the layers form one matrix."""
    n = values.numel()
    index = torch.arange(ROW, device=values.device) * max(n - 1, 1) // (ROW - 1)
    return values[index.clamp_(max=n - 1)].float()


def _norm(torch: Any, tensors: List[Any]) -> Any:
    norms = [torch.linalg.vector_norm(_local(t), dtype=torch.float32) for t in tensors if t.numel()]
    return norms[0] if len(norms) == 1 else torch.stack(norms).norm()


def _bad_ratio(torch: Any, values: Any) -> Any:
    return 1.0 - torch.isfinite(values).float().mean()


def _extremes(torch: Any, tensors: List[Any]) -> Tuple[Any, Any]:
    pairs = [torch.aminmax(_local(t)) for t in tensors if t.numel()]
    if len(pairs) == 1:
        return pairs[0].min.float(), pairs[0].max.float()
    return (torch.stack([p.min.float() for p in pairs]).min(), torch.stack([p.max.float() for p in pairs]).max())


class _Vector:
    """0-d tensors and what each is, until they are fetched together."""

    def __init__(self) -> None:
        self.keys: List[Tuple[str, str]] = []
        self.scalars: List[Any] = []

    def add(self, layer: str, names: Tuple[str, ...], scalars: Tuple[Any, ...]) -> None:
        self.keys.extend((layer, n) for n in names)
        self.scalars.extend(scalars)


class Sample:
    """Numbers of the layers on their way: a vector on the device, made into statistics in the background."""

    def __init__(self, torch: Any, vector: _Vector, rows: List[Tuple[str, str]], matrix: Any, sizes: Dict[str, int],
                 overhead: Overhead):
        self._keys, self._rows, self._sizes = vector.keys, rows, sizes
        self._vector = torch.stack([s.to(torch.float32) for s in vector.scalars]) if vector.scalars else None
        self._matrix = matrix
        self._overhead = overhead
        self._event = self._begin = None
        self.weight = 2000 + 60 * (len(self._keys) + len(QUANTILES) * len(rows))

    def mark(self, torch: Any, begin: Any) -> None:
        """On a CUDA device: when its numbers are there, and what they cost the device."""
        if begin is not None:
            self._begin, self._event = begin, torch.cuda.Event(enable_timing=True)
            self._event.record()

    def resolve(self, values: Dict[str, Any]) -> Layers:
        if self._event is not None:
            self._event.synchronize()
            self._overhead.device_s += self._begin.elapsed_time(self._event) / 1000
        stats: Dict[str, Dict[str, float]] = {name: {} for name in self._sizes}
        if self._vector is not None:
            for (layer, name), v in zip(self._keys, self._vector.tolist()):
                stats.setdefault(layer, {})[name] = v
        self._add_nonfinite(stats)
        if self._matrix is not None:
            for (layer, what), row in zip(self._rows, self._matrix.tolist()):
                if all(map(math.isfinite, row)):
                    stats[layer].update((f'{what}_q{q:02d}', v) for q, v in zip(QUANTILES, row))
        norms = [s['grad_norm'] for s in stats.values() if 'grad_norm' in s]
        if norms and 'grad_norm' not in values:
            values['grad_norm'] = math.sqrt(sum(n * n for n in norms))
        return [(name, s) for name, s in stats.items() if s]

    def _add_nonfinite(self, stats: Dict[str, Dict[str, float]]) -> None:
        """A loss that is not finite makes every gradient non-finite, which tells nothing about a layer: then the ratio
        speaks of parameters alone, so that the layer whose parameters went bad first is seen."""
        bad_grads = [not math.isfinite(s['grad_norm']) for s in stats.values() if 'grad_norm' in s]
        are_all_bad = bool(bad_grads) and all(bad_grads)
        for name, s in stats.items():
            worst = 0.0
            for what in ('param',) if are_all_bad else ('param', 'grad'):
                ratio = s.get(what + '_bad', 0.0)
                if ratio == 0.0 and not math.isfinite(s.get(what + '_norm', 0.0)):
                    ratio = 1.0 / max(1, self._sizes.get(name, 1))  # none among those looked at, but one is there
                worst = max(worst, ratio)
            s.pop('param_bad', None)
            s.pop('grad_bad', None)
            if s:
                s['nonfinite_ratio'] = worst


class _Checksum:
    """Sums of the parameters' bits, for comparison between replicas."""

    weight = 1000

    def __init__(self, names: List[str], sums: Any):
        self._names, self._sums = names, sums

    def resolve(self, values: Dict[str, Any]) -> Layers:
        sums = [s % (1 << 50) for s in self._sums.tolist()]
        values['param_checksum'] = sum(sums) % (1 << 50)
        return [(name, {'param_checksum': s}) for name, s in zip(self._names, sums)]


class _Both:
    """Two samples that travel with one line."""

    def __init__(self, one: Any, two: Any):
        self._parts = (one, two)
        self.weight = one.weight + two.weight

    def resolve(self, values: Dict[str, Any]) -> Layers:
        merged: Dict[str, Dict[str, float]] = {}
        for part in self._parts:
            for name, stats in part.resolve(values):
                merged.setdefault(name, {}).update(stats)
        return list(merged.items())


class _Activations:
    """Forward hooks for one step: what the layers hand on."""

    def __init__(self, torch: Any, model: Any, layers: List[_Layer]):
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
                self._handles.append(module.register_forward_hook(self._hook(_plain_name(name))))

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
        part = _part(torch, x)
        self._by_layer[owner] = (_bad_ratio(torch, part), (x == 0).float().mean(), 1.0 - alive.float().mean())
        self.rows[owner] = _row(torch, part)
        bounds = BOUNDED.get(type(module).__name__)
        if bounds:
            edge = 0.01 * (bounds[1] - max(bounds[0], 0.0))
            self.saturated[owner] = ((part <= bounds[0] + edge) | (part >= bounds[1] - edge)).float().mean()

    def close(self) -> None:
        for h in self._handles:
            h.remove()
        self._handles = []

    def add_to(self, vector: _Vector) -> None:
        for name, scalars in self._by_layer.items():
            vector.add(name, ACTIVATION_STATS, scalars)
        for name, scalar in self.saturated.items():
            vector.add(name, ('saturated_ratio',), (scalar,))


class TorchWatch:
    """Watches one module. Its optimizer's step is where samples are taken; without one, the call of log."""

    def __init__(self, overhead: Overhead, model: Any, optimizer: Any, every: int, activations: bool,
                 checksums: Optional[bool]):
        self._torch = sys.modules['torch']
        self._overhead = overhead
        self._model = model
        self._layers = _find_layers(model)
        self._pace = Pace(overhead, every)
        self._wants_activations = activations
        is_replica = type(model).__name__ == 'DistributedDataParallel'
        self._wants_checksums = is_replica if checksums is None else checksums
        self._optimizers: List[Any] = []
        self._is_due = self._is_requested = self._was_bad = False
        self._emergency_at = -math.inf
        self._hooks: Optional[_Activations] = None
        self._done: Any = None  # the newest sample, for the next line
        self._steps = 0
        self._before: Any = None  # a sample of which the step is still to come
        self._begin_cost_s = 0.0
        self._logs = 0
        self._is_attached = False
        self._canary: Any = None
        self._view: Any = None
        self._order_from_forward()
        if optimizer is not None:
            self._attach([optimizer])

    # ---- where the steps are

    def _order_from_forward(self) -> None:
        """The order in which the first forward pass runs the layers is that of the network."""
        ran: List[_Layer] = []
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
            def note(*_: Any, layer: _Layer = layer) -> None:
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
        self._canary = self._choose_canary()

    def _choose_canary(self) -> Any:
        """The smallest parameter of the last layer that learns, where its gradient can be read in place."""
        for layer in reversed(self._layers):
            for p in sorted(layer.tensors, key=lambda p: p.numel()):
                if p.requires_grad and p.device.type == 'cpu' and p.dtype is self._torch.float32 and p.is_contiguous() \
                        and type(layer.module).__name__ not in ('Embedding', 'EmbeddingBag'):
                    self._view = ctypes.c_float * min(4, p.numel())
                    return p
        return None

    def _watched_step(self, optimizer: Any) -> Callable[..., Any]:
        step = optimizer.step

        def watched(_: Any, *args: Any, **kwargs: Any) -> Any:
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

        watched.__name__ = 'step'
        for mark in ('_wrapped_by_lr_sched', '_with_counter', 'hooked'):  # what schedulers look for
            if hasattr(step, mark):
                setattr(watched, mark, getattr(step, mark))
        return watched

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

    # ---- around a step. These run at every step, with cold caches: each attribute that is not looked up counts.

    def _before_step(self, optimizer: Any) -> None:
        began = time.perf_counter()
        try:
            if self._canary is not None:
                grad = self._canary.grad
                if grad is not None:
                    # Read in place: an operation of the framework would cost twenty times as much.
                    some = sum(self._view.from_address(grad.data_ptr()))
                    if some - some != 0.0:
                        self._note_bad(began)
                    elif self._was_bad:
                        self._was_bad = False
            if (self._is_due or self._is_requested) and self._before is None and optimizer is self._optimizers[0]:
                self._begin_sample()
                self._begin_cost_s = time.perf_counter() - began
        except Exception as e:  # pylint: disable=broad-except
            failures.note('watch', e)
        self._overhead.foreground_s += time.perf_counter() - began

    def _after_step(self, optimizer: Any) -> None:
        if optimizer is not self._optimizers[0]:
            return
        now = time.perf_counter()
        self._steps += 1
        try:
            if self._before is not None:
                self._end_sample()
            if self._wants_checksums and self._steps % CHECKSUM_EVERY == 1:
                self._keep(self._checksum())
            if not self._is_due and self._pace.is_due(self._steps, now):
                self._is_due = True
                if self._wants_activations:
                    self._hooks = _Activations(self._torch, self._model, self._layers)
        except Exception as e:  # pylint: disable=broad-except
            failures.note('watch', e)
        self._overhead.foreground_s += time.perf_counter() - now

    def _note_bad(self, now: float) -> None:
        """The last layer's gradient is NaN right after the loss was: the one moment in which the parameters still
        tell where it began, for the step spreads it everywhere."""
        if not self._was_bad and now - self._emergency_at >= EMERGENCY_EVERY_S:
            self._emergency_at = now
            self._is_requested = True
        self._was_bad = True

    def _begin_sample(self) -> None:
        torch = self._torch
        event = None
        if self._layers[0].tensors[0].device.type == 'cuda':
            event = torch.cuda.Event(enable_timing=True)
            event.record()
        before: Dict[str, Any] = {}
        vector, rows = _Vector(), []
        with torch.no_grad():
            for layer in self._layers:
                # A copy: what the step is about to change would change in a view.
                before[layer.name] = _joined(torch, layer.tensors).clone()
                self._param_stats(layer, before[layer.name], vector, rows)
                self._grad_stats(layer, vector, rows)
        self._before = (before, vector, rows, event)

    def _grad_stats(self, layer: _Layer, vector: _Vector, rows: List[Any]) -> None:
        torch = self._torch
        grads = [p.grad for p in layer.tensors if p.grad is not None and not p.grad.is_sparse]
        if not grads:
            return
        values = _joined(torch, grads)
        vector.add(layer.name, GRAD_STATS, (_norm(torch, grads), values.mean(), values.std(unbiased=False), values.min(),
                                            values.max(), _bad_ratio(torch, values), (values == 0).float().mean()))
        rows.append((layer.name, 'grad', _row(torch, values)))

    def _end_sample(self) -> None:
        began = time.perf_counter()
        torch = self._torch
        (before, vector, rows, event), self._before = self._before, None
        hooks, self._hooks = self._hooks, None
        with torch.no_grad():
            for layer in self._layers:
                self._update_ratio(layer, before[layer.name], vector)
            if hooks is not None:
                hooks.close()
                hooks.add_to(vector)
                rows.extend((name, 'activation', row) for name, row in hooks.rows.items())
            sizes = {layer.name: sum(p.numel() for p in layer.tensors) for layer in self._layers}
            sample = Sample(torch, vector, [r[:2] for r in rows], self._quantiles(rows), sizes, self._overhead)
            sample.mark(torch, event)
        self._keep(sample)
        self._is_due = self._is_requested = False
        self._pace.sampled(self._steps, time.perf_counter() - began + self._begin_cost_s)

    def _quantiles(self, rows: List[Any]) -> Any:
        """All layers in one sort."""
        torch = self._torch
        ordered = torch.stack([r[2] for r in rows]).sort(dim=1).values
        return torch.stack([ordered[:, round(q / 100 * (ROW - 1))] for q in QUANTILES], dim=1)

    def _update_ratio(self, layer: _Layer, before: Any, vector: _Vector) -> None:
        change = (_joined(self._torch, layer.tensors) - before).norm()
        vector.add(layer.name, ('update_ratio',), (change / before.norm().clamp(min=1e-12),))

    def _param_stats(self, layer: _Layer, values: Any, vector: _Vector, rows: List[Any]) -> None:
        """Of the parameters before the step: with a NaN loss they are the last ones that tell something."""
        torch = self._torch
        vector.add(layer.name, PARAM_STATS, (_norm(torch, layer.tensors), values.mean(), values.std(unbiased=False),
                                             *_extremes(torch, layer.tensors), _bad_ratio(torch, values)))
        rows.append((layer.name, 'param', _row(torch, values)))

    def _checksum(self) -> Any:
        torch = self._torch
        sums = []
        with torch.no_grad():
            for layer in self._layers:
                bits = _joined(torch, layer.tensors).float().view(torch.int32).long()
                weights = torch.arange(1, bits.numel() + 1, device=bits.device) % 1021 + 1
                sums.append((bits * weights).sum())
            return _Checksum([layer.name for layer in self._layers], torch.stack(sums))

    def _keep(self, sample: Any) -> None:
        self._done = sample if self._done is None else _Both(self._done, sample)

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
            self._is_requested = True

    def on_log(self, step: int, is_bad: bool) -> Any:
        """The sample that goes with this line, or None."""
        self._logs += 1
        if not self._is_attached and self._logs == 1:
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
        self._steps += 1
        if self._pace.is_due(self._steps, began) or (is_bad and began - self._emergency_at >= EMERGENCY_EVERY_S) or self._is_requested:
            self._emergency_at = began if is_bad else self._emergency_at
            self._begin_sample()
            self._begin_cost_s = time.perf_counter() - began
            if is_bad:
                self._end_sample()
        self._overhead.foreground_s += time.perf_counter() - began

    def close(self) -> None:
        if self._hooks is not None:
            self._hooks.close()
