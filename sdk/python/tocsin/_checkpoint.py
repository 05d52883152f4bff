"""Whether a checkpoint that was just written is whole, as far as its first and last bytes tell."""
import json
import os
import zipfile
from typing import Any, Optional


def problem_of(path: Any) -> Optional[str]:
    """None, or what is wrong: missing, empty, or shorter than its own directory says."""
    path = os.fspath(path)
    if '://' in path:
        return None
    try:
        if os.path.isdir(path):
            return None if os.listdir(path) else 'the directory is empty'
        size = os.path.getsize(path)
        if not size:
            return 'the file is empty'
        with open(path, 'rb') as f:
            head = f.read(8)
        if head[:4] == b'PK\x03\x04':
            return None if zipfile.is_zipfile(path) else f'cut short: {size} bytes without a zip directory at the end'
        if path.endswith('.safetensors'):
            return _safetensors_problem(path, size)
    except OSError as e:
        return str(e.strerror)
    return None


def _safetensors_problem(path: str, size: int) -> Optional[str]:
    with open(path, 'rb') as f:
        length = int.from_bytes(f.read(8), 'little')
        if length > size - 8 or length > 100 << 20:
            return f'cut short: the header wants {length} bytes of {size}'
        try:
            header = json.loads(f.read(length))
            end = max((v['data_offsets'][1] for k, v in header.items() if k != '__metadata__'), default=0)
        except (ValueError, KeyError, TypeError, IndexError):
            return 'the header is not that of a safetensors file'
    return None if 8 + length + end <= size else f'cut short: {8 + length + end} bytes expected, {size} there'
