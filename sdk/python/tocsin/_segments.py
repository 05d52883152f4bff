"""Statistics of layers in the host's memory, computed by NumPy in the background thread. One layer after the other: what is made on
the way stays in the processor's cache, which a model does not."""
import math
from typing import Any, Dict, List

import numpy as np

QUANTILES = (1, 5, 25, 50, 75, 95, 99)
ROW = 1024  # values a layer's quantiles are taken from
PLACES = [round(q / 100 * (ROW - 1)) for q in QUANTILES]


def row_index(n: int) -> Any:
    """Places of ROW evenly spaced values among n."""
    return np.arange(ROW) * (n - 1) // (ROW - 1)


def quantiles(what: str, rows: Any) -> List[Dict[str, float]]:
    """Of each row of values; none of a row with one that is not finite."""
    is_finite = np.isfinite(rows).all(axis=1)
    found = np.partition(rows, PLACES, axis=1)[:, PLACES].tolist()
    names = [f'{what}_q{q:02d}' for q in QUANTILES]
    return [dict(zip(names, row)) if ok else {} for row, ok in zip(found, is_finite)]


def norm(values: Any) -> float:
    square = float(np.einsum('i,i->', values, values))
    if square == math.inf:  # maybe single precision had no room for it
        square = float(np.square(values, dtype=np.float64).sum())
    return math.sqrt(square) if square >= 0 else math.nan


def _moments(what: str, values: Any) -> Dict[str, float]:
    mean = float(values.sum()) / values.size
    away = values - values.dtype.type(mean)
    return {f'{what}_norm': norm(values), f'{what}_mean': mean, f'{what}_std': norm(away) / math.sqrt(values.size),
            f'{what}_min': float(values.min()), f'{what}_max': float(values.max())}


class Segments:
    """Layers as parts of one vector, none of them empty. counts: how many values a layer has, of which the vector holds sizes."""

    def __init__(self, names: List[str], sizes: List[int], counts: List[int]):
        self.names = names
        self.total = sum(sizes)
        ends = np.cumsum(sizes, dtype=np.int64).tolist()
        self._slices = [slice(end - size, end) for size, end in zip(sizes, ends)]
        self._scale = [math.sqrt(count / size) for size, count in zip(sizes, counts)]
        self._rows = np.stack([row_index(n) + s.start for n, s in zip(sizes, self._slices)]) if sizes else np.empty((0, ROW), int)

    def pieces(self, values: Any) -> List[Any]:
        return [values[s] for s in self._slices]

    def moments(self, what: str, values: Any) -> List[Dict[str, float]]:
        """norm, mean, std, min and max of each layer; the norm as if the values stood for all of the layer's."""
        out = [_moments(what, v) for v in self.pieces(values)]
        for stats, scale in zip(out, self._scale):
            stats[what + '_norm'] *= scale
        return out

    def bad_ratios(self, values: Any, moments: List[Dict[str, float]], what: str) -> List[float]:
        """Shares of what is not finite: none where the extremes are finite, for they are not when one value is not."""
        return [0.0 if math.isfinite(m[what + '_max'] - m[what + '_min']) else 1.0 - float(np.isfinite(v).mean())
                for v, m in zip(self.pieces(values), moments)]

    def zero_ratios(self, values: Any) -> List[float]:
        return [float(np.count_nonzero(v == 0)) / v.size for v in self.pieces(values)]

    def update_ratios(self, before: Any, after: Any) -> List[float]:
        out = []
        for old, new in zip(self.pieces(before), self.pieces(after)):
            size = norm(old)
            out.append(norm(new - old) / max(size, 1e-12) if math.isfinite(size) else math.nan)
        return out

    def quantiles(self, what: str, values: Any) -> List[Dict[str, float]]:
        return quantiles(what, values[self._rows])
