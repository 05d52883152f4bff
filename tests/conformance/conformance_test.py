"""What the conformance programs share: where the shared files are, running the binary; counting checks is that of the end-to-end tests."""
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'e2e'))
from tocsin_test import BINARY, Checks  # noqa: E402, F401


def shared(name):
    """The folder of shared conformance files, or None (said on standard output)."""
    root = pathlib.Path(os.environ.get('TOCSIN_SHARED', HERE.parents[2] / 'shared'))
    folder = root / 'conformance' / name
    if folder.is_dir():
        return folder
    print(f'{folder} is not here: those tests did not run')
    return None


def run(*arguments, cwd=None, stdin=None, timeout=120):
    """Exit code and everything printed."""
    p = subprocess.run([BINARY, *map(str, arguments)], cwd=cwd, input=stdin, capture_output=True, timeout=timeout)
    return p.returncode, p.stdout.decode(errors='replace') + p.stderr.decode(errors='replace')


def counts(output):
    """The numbers of the last line `N passed, N failed`."""
    found = re.findall(r'^(\d+) passed, (\d+) failed$', output, re.M)
    return (int(found[-1][0]), int(found[-1][1])) if found else None
