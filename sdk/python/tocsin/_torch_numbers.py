"""What is computed of tensors, where they are: nothing here waits for a device. One call of the framework for all layers where
there is one, for on small models the calls cost more than the numbers."""
import functools
from typing import Any, Dict, List, Tuple

EXACT_MAX = 65536  # values of a tensor beyond which mean, spread, zeros and quantiles come from a part of them
PART = 16384
ROW = 1024  # values a layer's quantiles are taken from


def local(tensor: Any) -> Any:
    tensor = tensor.detach()
    return tensor.to_local() if hasattr(tensor, 'to_local') else tensor


def _stride(n: int) -> int:
    """Of the part of a tensor of n values; odd, or all of them could be of one column."""
    return n // PART | 1 if n > EXACT_MAX else 1


def part_size(n: int) -> int:
    return min(PART, (n + _stride(n) - 1) // _stride(n)) if n > EXACT_MAX else n


def part_of(torch: Any, tensor: Any) -> Any:
    """All values of a small tensor, evenly spaced ones of a large one, as float32."""
    flat = local(tensor).reshape(-1)
    n = flat.numel()
    if n > EXACT_MAX:
        flat = flat[::_stride(n)][:PART]
    return flat if flat.dtype == torch.float64 or flat.dtype == torch.float32 else flat.float()


def row_index(torch: Any, n: int, start: int, device: Any) -> Any:
    """Places of ROW evenly spaced values among n that begin at start, so that layers of any size form one matrix."""
    index = torch.arange(ROW, device=device) * max(n - 1, 1) // (ROW - 1)
    return index.clamp_(max=n - 1) + start


def row_of(torch: Any, values: Any) -> Any:
    return values[row_index(torch, values.numel(), 0, values.device)].float()


def bad_ratio(torch: Any, values: Any) -> Any:
    return 1.0 - torch.isfinite(values).float().mean()


class Group:
    """Tensors of some layers as one vector of values; what depends on sizes alone is computed once."""

    def __init__(self, torch: Any, names: List[str], tensors: List[List[Any]]):
        """tensors: one list per layer, none empty, all on one device."""
        self._torch = torch
        self.names = names
        self._counts = [len(own) for own in tensors]
        self.has_large = any(local(t).numel() > EXACT_MAX for own in tensors for t in own)
        self._device = tensors[0][0].device
        self.sizes = [sum(part_size(local(t).numel()) for t in own) for own in tensors]
        layer_of_tensor = [i for i, count in enumerate(self._counts) for _ in range(count)]
        self._owner = torch.tensor(layer_of_tensor, device=self._device)
        kinds = {(type(t) in (torch.Tensor, torch.nn.Parameter), t.dtype) for own in tensors for t in own}
        self.is_plain = kinds == {(True, torch.float32)} and not self.has_large

    @functools.cached_property
    def segments(self) -> Any:
        """Where the layers are in a vector of the host."""
        from ._segments import Segments  # a job without NumPy never comes here
        return Segments(self.names, self.sizes, self.sizes)

    @functools.cached_property
    def _size_column(self) -> Any:
        return self._torch.tensor(self.sizes, device=self._device, dtype=self._torch.float32)

    @functools.cached_property
    def _rows(self) -> Any:
        starts = [sum(self.sizes[:i]) for i in range(len(self.sizes))]
        return self._torch.stack([row_index(self._torch, n, start, self._device) for n, start in zip(self.sizes, starts)])

    def values(self, tensors: List[Any]) -> Any:
        """A copy: what the optimizer is about to change would change in a view."""
        return self._torch.cat([part_of(self._torch, t) for t in tensors])

    def by_layer(self, values: Any) -> Tuple[Any, ...]:
        return values.split(self.sizes)

    def rows(self, values: Any) -> Any:
        return values[self._rows].float()

    def norms(self, tensors: List[Any]) -> Any:
        """Euclidean norm of each layer, of all its values."""
        torch = self._torch
        own = [local(t) for t in tensors]
        if hasattr(torch, '_foreach_norm') and all(t.dtype == torch.float32 for t in own):
            each = torch.stack(torch._foreach_norm(own))
        else:
            each = torch.stack([torch.linalg.vector_norm(t, dtype=torch.float32) for t in own])
        if len(own) == len(self._counts):
            return each
        squares = each.double().square()  # single precision has no room for the square of a norm of 1e20
        return torch.zeros(len(self._counts), dtype=squares.dtype, device=squares.device).index_add_(0, self._owner, squares).sqrt()

    def distances(self, after: Any, before: Any) -> Tuple[Any, Any]:
        """Norms of the differences and of what was before, of each layer's part."""
        torch = self._torch
        pieces = self.by_layer(after - before), self.by_layer(before)
        if hasattr(torch, '_foreach_norm') and before.dtype == torch.float32:
            return tuple(torch.stack(torch._foreach_norm(list(p))) for p in pieces)  # type: ignore[return-value]
        return tuple(torch.stack([v.norm() for v in p]) for p in pieces)  # type: ignore[return-value]

    def moments(self, values: Any, tensors: List[Any], wants_zeros: bool) -> Dict[str, Any]:
        """mean, std, min, max and on request the share of zeros; extremes of all values, the rest of the part."""
        torch = self._torch
        pieces = self.by_layer(values)
        ends = self._extremes(tensors) if self.has_large else [torch.aminmax(v) for v in pieces]
        means = [v.mean() for v in pieces]
        out = {'mean': torch.stack(means), 'std': self._spreads(pieces, means), 'min': torch.stack([e[0] for e in ends]), 'max': torch.stack([e[1] for e in ends])}
        if wants_zeros:
            nonzero = torch.stack([torch.count_nonzero(v) for v in pieces])
            out['zeros'] = 1.0 - nonzero / self._size_column
        return out

    def _spreads(self, pieces: Tuple[Any, ...], means: List[Any]) -> Any:
        """By the norm of what differs from the mean: in one thread ten times as fast as torch.std, and as exact."""
        torch = self._torch
        if hasattr(torch, '_foreach_norm') and pieces[0].dtype == torch.float32:
            norms = torch._foreach_norm(torch._foreach_sub(list(pieces), means))
        else:
            norms = [(v - m).norm() for v, m in zip(pieces, means)]
        return torch.stack(norms) * self._size_column.rsqrt()

    def extremes(self, tensors: List[Any]) -> Tuple[Any, Any]:
        """Smallest and largest of all values of each layer."""
        ends = self._extremes(tensors)
        return self._torch.stack([low for low, _ in ends]), self._torch.stack([high for _, high in ends])

    def _extremes(self, tensors: List[Any]) -> List[Tuple[Any, Any]]:
        torch, ends, at = self._torch, [], 0
        for count in self._counts:
            pairs = [torch.aminmax(local(t)) for t in tensors[at:at + count]]
            at += count
            if count == 1:
                ends.append((pairs[0][0].float(), pairs[0][1].float()))
            else:
                ends.append((torch.stack([p[0].float() for p in pairs]).min(), torch.stack([p[1].float() for p in pairs]).max()))
        return ends

    def bad_ratios(self, values: Any, norms: Any) -> Any:
        """Share of values that are not finite. On the CPU a finite norm says that there is none; a device is not asked."""
        torch = self._torch
        if self._device.type == 'cpu' and bool(torch.isfinite(norms).all()):
            return torch.zeros(len(self.sizes))
        return torch.stack([bad_ratio(torch, v) for v in self.by_layer(values)])


class Vector:
    """Numbers of the layers, a column of each, until they are fetched together."""

    def __init__(self) -> None:
        self.keys: List[Tuple[str, str]] = []
        self.columns: List[Any] = []

    def add(self, names: List[str], statistic: str, column: Any) -> None:
        """One number per name."""
        self.keys.extend((name, statistic) for name in names)
        self.columns.append(column)

    def joined(self, torch: Any) -> Any:
        return torch.cat([c.to(torch.float32) for c in self.columns])
