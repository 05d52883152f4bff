"""What is computed of tensors, where they are: nothing here waits for a device."""
from typing import Any, List, Tuple

EXACT_MAX = 65536  # values of a tensor beyond which mean, spread, zeros and quantiles come from a part of them
PART = 16384
ROW = 1024  # values a layer's quantiles are taken from


def local(tensor: Any) -> Any:
    tensor = tensor.detach()
    return tensor.to_local() if hasattr(tensor, 'to_local') else tensor


def part_of(torch: Any, tensor: Any) -> Any:
    """All values of a small tensor, evenly spaced ones of a large one, as float32."""
    flat = local(tensor).reshape(-1)
    n = flat.numel()
    if n > EXACT_MAX:
        flat = flat[::n // PART][:PART]
    return flat.float() if flat.dtype != torch.float64 else flat


def joined(torch: Any, tensors: List[Any]) -> Any:
    parts = [part_of(torch, t) for t in tensors if t.numel()]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def row_of(torch: Any, values: Any) -> Any:
    """Exactly ROW of the values, evenly spaced, so that the layers form one matrix."""
    n = values.numel()
    index = torch.arange(ROW, device=values.device) * max(n - 1, 1) // (ROW - 1)
    return values[index.clamp_(max=n - 1)].float()


def norm_of(torch: Any, tensors: List[Any]) -> Any:
    norms = [torch.linalg.vector_norm(local(t), dtype=torch.float32) for t in tensors if t.numel()]
    return norms[0] if len(norms) == 1 else torch.stack(norms).norm()


def bad_ratio(torch: Any, values: Any) -> Any:
    return 1.0 - torch.isfinite(values).float().mean()


def extremes(torch: Any, tensors: List[Any]) -> Tuple[Any, Any]:
    pairs = [torch.aminmax(local(t)) for t in tensors if t.numel()]
    if len(pairs) == 1:
        return pairs[0].min.float(), pairs[0].max.float()
    return (torch.stack([p.min.float() for p in pairs]).min(), torch.stack([p.max.float() for p in pairs]).max())


class Vector:
    """0-d tensors and what each is, until they are fetched together."""

    def __init__(self) -> None:
        self.keys: List[Tuple[str, str]] = []
        self.scalars: List[Any] = []

    def add(self, layer: str, names: Tuple[str, ...], scalars: Tuple[Any, ...]) -> None:
        self.keys.extend((layer, n) for n in names)
        self.scalars.extend(scalars)
