"""Samples of tensors in the host's memory: the job's thread copies them, by one call for each set, and the background thread
computes with NumPy. What is too large to be copied whole is reduced in the job's thread, for the optimizer changes it next."""
import sys
from typing import Any, Dict, List, Optional, Tuple

from ._line import Layers
from ._torch_numbers import Group, Vector
from ._torch_sample import add_grad_norm, add_nonfinite, quantiles_by_row, quantiles_of


KEPT_MAX = 4 << 20  # values of a set beyond which memory is not kept for the next sample


def is_usable(tensor: Any) -> bool:
    """Has the job NumPy, and does the memory of tensors belong to the host?"""
    return tensor.device.type == 'cpu' and 'numpy' in sys.modules


class Buffers:
    """Memory that is used again by the next sample: to get it from the system and to give it back costs more than the copy."""

    def __init__(self, torch: Any):
        self._torch = torch
        self._kept: Dict[str, Any] = {}

    def copy(self, what: str, group: Group, tensors: List[Any]) -> Any:
        total = sum(group.sizes)
        if not group.is_plain or total > KEPT_MAX:
            return group.values(tensors)
        buffer = self._kept.get(what)
        if buffer is None or buffer.numel() != total:
            buffer = self._kept[what] = self._torch.empty(total, dtype=self._torch.float32)
        return self._torch.cat([t.reshape(-1) for t in tensors], out=buffer)


class Part:
    """Tensors of some layers, copied."""

    def __init__(self, group: Group, tensors: List[Any], values: Any):
        self.group, self.values = group, values
        self.norms = self.extremes = None
        if group.has_large:  # of all values, not of those copied
            self.norms, self.extremes = group.norms(tensors), group.extremes(tensors)

    def moments(self, what: str, values: Any) -> List[Dict[str, float]]:
        moments = self.group.segments.moments(what, values)
        if self.norms is not None:
            for one, norm, low, high in zip(moments, self.norms.tolist(), *(e.tolist() for e in self.extremes)):
                one.update({what + '_norm': norm, what + '_min': low, what + '_max': high})
        return moments


class HostSample:
    """The numbers of a step on their way to become statistics."""

    def __init__(self, torch: Any, params: Part, grads: Optional[Part], after: Any, activations: Optional[Tuple[Vector, Dict[str, Any]]],
                 sizes: Dict[str, int]):
        self._torch, self._params, self._grads, self._after = torch, params, grads, after
        self._activations = activations
        self._sizes = sizes
        self.weight = 2000 + 2200 * len(sizes)  # of the statistics; what was copied is there for one sample at a time
        self.is_resolved = False

    def resolve(self, values: Dict[str, Any]) -> Layers:
        try:
            return self._statistics(values)
        finally:
            self.is_resolved = True
            self._params = self._grads = self._after = self._activations = None  # type: ignore[assignment]

    def _statistics(self, values: Dict[str, Any]) -> Layers:
        import numpy
        stats: Dict[str, Dict[str, float]] = {name: {} for name in self._sizes}
        with numpy.errstate(all='ignore'):
            before = self._params.values.numpy()
            quantiles = self._add(stats, 'param', self._params, before)
            if self._grads is not None:
                quantiles += self._add(stats, 'grad', self._grads, self._grads.values.numpy())
            segments = self._params.group.segments
            for name, ratio in zip(segments.names, segments.update_ratios(before, self._after.numpy())):
                stats[name]['update_ratio'] = ratio
        add_nonfinite(stats, self._sizes)
        if self._activations is not None:
            quantiles += self._add_activations(stats)
        for name, found in quantiles:  # the rarest wanted come last
            stats[name].update(found)
        add_grad_norm(values, stats)
        return [(name, s) for name, s in stats.items() if s]

    @staticmethod
    def _add(stats: Dict[str, Dict[str, float]], what: str, part: Part, values: Any) -> List[Tuple[str, Dict[str, float]]]:
        """What is known of one set; its quantiles are returned."""
        segments, moments = part.group.segments, part.moments(what, values)
        for name, one, bad in zip(segments.names, moments, segments.bad_ratios(values, moments, what)):
            stats[name].update(one)
            stats[name][what + '_bad'] = bad
        if what == 'grad':
            for name, zeros in zip(segments.names, segments.zero_ratios(values)):
                stats[name]['zero_grad_ratio'] = zeros
        return list(zip(segments.names, segments.quantiles(what, values)))

    def _add_activations(self, stats: Dict[str, Dict[str, float]]) -> List[Tuple[str, Dict[str, float]]]:
        vector, rows = self._activations
        for (name, statistic), value in zip(vector.keys, vector.joined(self._torch).tolist()):
            stats.setdefault(name, {})[statistic] = value
        keys, matrix = [(name, 'activation') for name in rows], self._torch.stack(list(rows.values()))
        return quantiles_by_row(keys, quantiles_of(self._torch, matrix))
