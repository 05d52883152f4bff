"""A training loop says where it is, in two lines; Tocsin says what goes wrong.

    import tocsin
    run = tocsin.init("my-model")
    for step, batch in enumerate(run.wrap(loader), 1):
        ...
        run.log(step, loss=loss)

No call waits for the network and none ends the job. Apache-2.0.
"""
from typing import Any, Iterable, Mapping, Optional, Union

from ._guard import failures as _failures
from ._run import NoRun, Run

__version__ = '0.1.0'
__all__ = ['init', 'log', 'event', 'checkpoint', 'phase', 'watch', 'wrap', 'finish', 'flush', 'current', 'Run', 'NoRun']

_current: Union[Run, NoRun] = NoRun()


def init(run: Optional[str] = None, url: Optional[str] = None, token: Optional[str] = None, file: Any = None,
         labels: Optional[Mapping[str, Any]] = None, rank: Optional[int] = None, max_buffered_bytes: int = 4 << 20,
         min_interval: float = 0.1, signals: bool = True, checkpoint_interval: Optional[float] = None) -> Union[Run, NoRun]:
    """Begins to report. Defaults: TOCSIN_RUN, TOCSIN_URL (http://127.0.0.1:9797), TOCSIN_TOKEN; the rank comes from
    torch.distributed, RANK, SLURM_PROCID or OMPI_COMM_WORLD_RANK. file: append lines to it instead of sending them.
    signals: report SIGTERM. Never raises: what cannot be used is said on stderr, and then every call does nothing."""
    global _current
    try:
        _current = Run(run, url, token, file, labels, rank, max_buffered_bytes, min_interval, signals, checkpoint_interval)
    except Exception as e:  # pylint: disable=broad-except
        _failures.note('init', e)
        _current = NoRun()
    return _current


def current() -> Union[Run, NoRun]:
    """The run made last, or one that does nothing."""
    return _current


def log(step: Optional[int] = None, numbers: Optional[Mapping[str, Any]] = None, loss: Any = None, **more: Any) -> None:
    _current.log(step, numbers, loss, **more)


def event(event: str, message: Any = None, step: Optional[int] = None) -> None:  # pylint: disable=redefined-outer-name
    _current.event(event, message, step)


def checkpoint(path: Any, step: Optional[int] = None, verify: bool = True) -> None:
    _current.checkpoint(path, step, verify)


def phase(name: str) -> Any:
    return _current.phase(name)


def watch(model: Any, optimizer: Any = None, every: int = 0, activations: bool = False,
          checksums: Optional[bool] = None) -> None:
    _current.watch(model, optimizer, every, activations, checksums)


def wrap(loader: Iterable[Any]) -> Iterable[Any]:
    return _current.wrap(loader)


def finish(state: str = 'finished', message: Any = None) -> None:
    _current.finish(state, message)


def flush(timeout: float = 2.0) -> bool:
    return bool(_current.flush(timeout))
