"""Numbers of the layers on their way: vectors on the device, made into statistics in the background."""
import math
import sys
from typing import Any, Dict, List, Tuple

from ._line import Layers
from ._overhead import Overhead
from ._torch_numbers import Vector

QUANTILES = (1, 5, 25, 50, 75, 95, 99)


def quantiles_of(torch: Any, matrix: Any) -> Any:
    """Of each row; NumPy, where the job has it, need not sort for that."""
    places = [round(q / 100 * (matrix.shape[1] - 1)) for q in QUANTILES]
    numpy = sys.modules.get('numpy')
    if numpy is not None and matrix.device.type == 'cpu':
        return numpy.partition(matrix.numpy(), places, axis=1)[:, places]
    return matrix.sort(dim=1).values[:, places]


def quantiles_by_row(rows: List[Tuple[str, str]], matrix: Any) -> List[Tuple[str, Dict[str, float]]]:
    """(layer, its quantiles) of each row that names one; none of a row with a value that is not finite."""
    return [(layer, {f'{what}_q{q:02d}': v for q, v in zip(QUANTILES, row)})
            for (layer, what), row in zip(rows, matrix.tolist()) if all(map(math.isfinite, row))]


def add_nonfinite(stats: Dict[str, Dict[str, float]], sizes: Dict[str, int]) -> None:
    """A loss that is not finite makes every gradient non-finite, which tells nothing about a layer: then the ratio
    speaks of parameters alone, so that the layer whose parameters went bad first is seen."""
    bad_grads = [not math.isfinite(s['grad_norm']) for s in stats.values() if 'grad_norm' in s]
    are_all_bad = bool(bad_grads) and all(bad_grads)
    for name, s in stats.items():
        worst = 0.0
        for what in ('param',) if are_all_bad else ('param', 'grad'):
            ratio = s.get(what + '_bad', 0.0)
            if ratio == 0.0 and not math.isfinite(s.get(what + '_norm', 0.0)):
                ratio = 1.0 / max(1, sizes.get(name, 1))  # none among those looked at, but one is there
            worst = max(worst, ratio)
        s.pop('param_bad', None)
        s.pop('grad_bad', None)
        if s:
            s['nonfinite_ratio'] = worst


def add_grad_norm(values: Dict[str, Any], stats: Dict[str, Dict[str, float]]) -> None:
    norms = [s['grad_norm'] for s in stats.values() if 'grad_norm' in s]
    if norms and 'grad_norm' not in values:
        values['grad_norm'] = math.sqrt(sum(n * n for n in norms))


class Sample:
    """Numbers of the layers on their way: a vector on the device, made into statistics in the background."""

    def __init__(self, torch: Any, vector: Vector, rows: List[Tuple[str, str]], matrix: Any, sizes: Dict[str, int],
                 overhead: Overhead):
        """matrix: some values of what `rows` names, one row each."""
        self._keys, self._rows, self._sizes = vector.keys, rows, sizes
        self._vector = vector.joined(torch) if vector.columns else None
        # On a device the sort belongs to the job's stream; on the CPU it is left to the background thread.
        self._matrix = matrix if matrix is None or matrix.device.type == 'cpu' else quantiles_of(torch, matrix)
        self._is_sorted, self._torch = self._matrix is not matrix, torch
        self._overhead = overhead
        self._event = self._begin = None
        self.weight = 2000 + 60 * (len(self._keys) + len(QUANTILES) * len(rows))

    def mark(self, torch: Any, begin: Any) -> None:
        """On a CUDA device: when its numbers are there, and what they cost the device."""
        if begin is not None:
            self._begin, self._event = begin, torch.cuda.Event(enable_timing=True)
            self._event.record()

    is_resolved = True  # it is small

    def resolve(self, values: Dict[str, Any]) -> Layers:
        if self._event is not None:
            self._event.synchronize()
            self._overhead.device_s += self._begin.elapsed_time(self._event) / 1000
        stats: Dict[str, Dict[str, float]] = {name: {} for name in self._sizes}
        if self._vector is not None:
            for (layer, name), v in zip(self._keys, self._vector.tolist()):
                stats.setdefault(layer, {})[name] = v
        add_nonfinite(stats, self._sizes)
        if self._matrix is not None:
            quantiles = self._matrix if self._is_sorted else quantiles_of(self._torch, self._matrix)
            for layer, found in quantiles_by_row(self._rows, quantiles):
                stats[layer].update(found)
        add_grad_norm(values, stats)
        return [(name, s) for name, s in stats.items() if s]


class Checksum:
    """Sums of the parameters' bits, for comparison between replicas."""

    weight = 1000

    def __init__(self, names: List[str], sums: Any):
        self._names, self._sums = names, sums

    def resolve(self, values: Dict[str, Any]) -> Layers:
        sums = [s % (1 << 50) for s in self._sums.tolist()]
        values['param_checksum'] = sum(sums) % (1 << 50)
        return [(name, {'param_checksum': s}) for name, s in zip(self._names, sums)]


class Both:
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
