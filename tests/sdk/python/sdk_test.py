"""What the tests of the Python SDK share."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import textwrap
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[3]
SDK = ROOT / 'sdk/python'
sys.path[:0] = [str(SDK), str(ROOT / 'tests/e2e')]


def lines_of(path):
    """Every line, which must be whole JSON."""
    text = pathlib.Path(path).read_text(encoding='utf-8')
    assert not text or text.endswith('\n'), f'the last line is cut: {text[-80:]!r}'
    return [json.loads(line) for line in text.splitlines()]


class FileCase(unittest.TestCase):
    """Runs write to a file of a directory that goes away afterwards."""

    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='tocsin-sdk-'))
        self.addCleanup(shutil.rmtree, self.directory, True)
        self.path = self.directory / 'run.jsonl'

    @property
    def lines(self):
        return lines_of(self.path)

    def job(self, code, *arguments, **environment):
        """A program that uses the SDK, as a process: (exit code, stdout, stderr)."""
        done = subprocess.run(self.command(code, *arguments), capture_output=True, text=True, timeout=120,
                              env=self.environment(**environment))
        return done.returncode, done.stdout, done.stderr

    def command(self, code, *arguments):
        script = self.directory / 'job.py'
        script.write_text(textwrap.dedent(code))
        return [sys.executable, '-B', str(script), str(self.path), *map(str, arguments)]

    @staticmethod
    def environment(**more):
        return {**os.environ, 'PYTHONPATH': str(SDK), **more}


def main():
    """Runs the file's tests; the last line is what tools/test_summary.py counts."""
    program = unittest.main(module='__main__', exit=False, verbosity=1)
    result = program.result
    bad = len(result.failures) + len(result.errors)
    skipped = [reason for _, reason in result.skipped]
    for reason in sorted(set(skipped)):
        print(f'skipped: {reason}')
    passed = result.testsRun - bad - len(skipped)
    print(f'{passed} passed, {bad} failed')
    if not bad and not passed and skipped:
        sys.exit(77)
    sys.exit(1 if bad or not passed else 0)
