"""What the conformance programs share: where the shared files are, running the binary, counting checks."""
import os
import pathlib
import re
import subprocess
import sys

BINARY = os.environ.get('TOCSIN_BINARY', str(pathlib.Path(__file__).resolve().parents[2] / 'build/tocsin'))
HERE = pathlib.Path(__file__).resolve().parent


def shared(name):
    """The folder of shared conformance files, or None (said on standard output)."""
    root = pathlib.Path(os.environ.get('TOCSIN_SHARED', HERE.parents[2] / 'shared'))
    folder = root / 'conformance' / name
    if folder.is_dir():
        return folder
    print(f'{folder} is not here: those tests did not run')
    return None


class Checks:
    """Counts; the last line of the program says it."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, is_good, text):
        if is_good:
            self.passed += 1
        else:
            self.failed += 1
            print(f'FAILED {text}', flush=True)
        return is_good

    def finish(self):
        print(f'{self.passed} passed, {self.failed} failed')
        sys.exit(1 if self.failed or not self.passed else 0)


def run(*arguments, cwd=None, stdin=None, timeout=120):
    """Exit code and everything printed."""
    p = subprocess.run([BINARY, *map(str, arguments)], cwd=cwd, input=stdin, capture_output=True, timeout=timeout)
    return p.returncode, p.stdout.decode(errors='replace') + p.stderr.decode(errors='replace')


def counts(output):
    """The numbers of the last line `N passed, N failed`."""
    found = re.findall(r'^(\d+) passed, (\d+) failed$', output, re.M)
    return (int(found[-1][0]), int(found[-1][1])) if found else None
