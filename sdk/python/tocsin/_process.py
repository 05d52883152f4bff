"""What the process and its machine say about themselves."""
import os
import resource
import socket
import sys
import time
from typing import Dict, List, Optional, Tuple

RANK_VARIABLES = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK', 'PMI_RANK')
SIZE_VARIABLES = ('WORLD_SIZE', 'SLURM_NTASKS', 'OMPI_COMM_WORLD_SIZE', 'PMI_SIZE')
LIMIT_EVERY_S = 5.0
FRAMEWORKS = ('lightning', 'keras', 'torch', 'jax', 'tensorflow')


def _from_environment(names: Tuple[str, ...]) -> Optional[int]:
    for name in names:
        text = os.environ.get(name, '')
        if text.isdigit():
            return int(text)
    return None


def _distributed():
    """torch.distributed when the job has started it."""
    torch = sys.modules.get('torch')
    dist = getattr(torch, 'distributed', None)
    if dist is not None and dist.is_available() and dist.is_initialized():
        return dist
    return None


def rank() -> int:
    dist = _distributed()
    return dist.get_rank() if dist else _from_environment(RANK_VARIABLES) or 0


def world_size() -> int:
    dist = _distributed()
    return dist.get_world_size() if dist else _from_environment(SIZE_VARIABLES) or 1


def run_name() -> str:
    """The same on every rank of a job, when anything tells."""
    for name in ('TOCSIN_RUN', 'SLURM_JOB_ID', 'TORCHELASTIC_RUN_ID'):
        text = os.environ.get(name, '')
        if text and text != 'none':
            return text if name == 'TOCSIN_RUN' else f'{_script()}-{text}'
    return f'{_script()}-{os.getpid()}'


def _script() -> str:
    path = sys.argv[0] if getattr(sys, 'argv', None) else ''
    return os.path.splitext(os.path.basename(path))[0] or 'run'


def _job() -> Dict[str, str]:
    """What the scheduler calls the job this process is part of."""
    job, pod = os.environ.get('SLURM_JOB_ID', ''), os.environ.get('POD_NAME', '')
    if not pod and 'KUBERNETES_SERVICE_HOST' in os.environ:
        pod = socket.gethostname()  # what a pod is called, unless it uses the network of its node
    return {name: value for name, value in (('slurm_job_id', job), ('pod', pod)) if value}


def labels() -> Dict[str, str]:
    out = {'host': socket.gethostname(), 'pid': str(os.getpid()), 'world_size': str(world_size()), **_job()}
    for name in FRAMEWORKS:
        if name in sys.modules:
            version = getattr(sys.modules[name], '__version__', '')
            out['framework'] = f'{name} {version}'.strip()
            break
    return out


class Memory:
    """Memory in use and its limit: of the device when the job has one, else resident memory and cgroup."""

    def __init__(self) -> None:
        self._limit: Optional[int] = None
        self._due_at = 0.0

    def read(self) -> Tuple[Optional[int], Optional[int]]:
        return _torch_device() or _jax_device() or (resident_bytes(), self._host_limit())

    def _host_limit(self) -> Optional[int]:
        now = time.monotonic()
        if now >= self._due_at:  # a limit may be changed while the job runs
            self._due_at = now + LIMIT_EVERY_S
            self._limit = limit_bytes() or _total_bytes()
        return self._limit


def _torch_device() -> Optional[Tuple[int, int]]:
    torch = sys.modules.get('torch')
    cuda = getattr(torch, 'cuda', None)
    if cuda is None or not cuda.is_initialized():
        return None
    return cuda.memory_reserved(), cuda.get_device_properties(cuda.current_device()).total_memory


def _jax_device() -> Optional[Tuple[int, int]]:
    """Only when JAX has already chosen its devices: asking would choose."""
    bridge = getattr(getattr(sys.modules.get('jax'), '_src', None), 'xla_bridge', None)
    if not getattr(bridge, '_backends', None):
        return None
    device = sys.modules['jax'].local_devices()[0]
    stats = device.memory_stats() if device.platform != 'cpu' else None
    return (stats['bytes_in_use'], stats['bytes_limit']) if stats and 'bytes_limit' in stats else None


def resident_bytes() -> Optional[int]:
    try:
        with open('/proc/self/statm', 'rb', buffering=0) as f:
            return int(f.read(128).split()[1]) * os.sysconf('SC_PAGE_SIZE')
    except (OSError, ValueError, IndexError):
        return None


def _total_bytes() -> Optional[int]:
    try:
        return os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    except (OSError, ValueError):
        return None


def _read_limit(path: str) -> Optional[int]:
    try:
        with open(path) as f:
            text = f.read().strip()
    except OSError:
        return None
    # Version 1 says "no limit" by a number near 2^63.
    return int(text) if text.isdigit() and int(text) < 1 << 60 else None


def limit_bytes() -> Optional[int]:
    """The smallest limit of this process, its cgroup and those above it."""
    try:
        with open('/proc/self/cgroup') as f:
            lines = f.read().splitlines()
    except OSError:
        lines = []
    limits = []
    for line in lines:
        _, controllers, path = line.split(':', 2)
        if controllers and 'memory' not in controllers.split(','):
            continue
        root, name = ('/sys/fs/cgroup', 'memory.max') if not controllers else ('/sys/fs/cgroup/memory', 'memory.limit_in_bytes')
        while True:
            limits.append(_read_limit(f'{root}{path.rstrip("/")}/{name}'))
            if path in ('/', ''):
                break
            path = os.path.dirname(path)
    known = [x for x in limits if x] + _own_limits()
    return min(known) if known else None


def _own_limits() -> List[int]:
    """What ulimit -v and -d say."""
    soft = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return [x for x in soft if x != resource.RLIM_INFINITY and x > 0]
