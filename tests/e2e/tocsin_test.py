"""Starts real daemons for the end-to-end tests, talks to them, and counts checks."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

BINARY = os.environ.get('TOCSIN_BINARY', str(pathlib.Path(__file__).resolve().parents[2] / 'build/tocsin'))


class Checks:
    """Counts what was checked; the last line of the program says it."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, is_good, text):
        if is_good:
            self.passed += 1
        else:
            self.failed += 1
            print(f'FAILED {text}', flush=True)
        return is_good

    def equal(self, got, wanted, text):
        return self.check(got == wanted, f'{text}: got {got!r}, wanted {wanted!r}')

    def finish(self):
        print(f'{self.passed} passed, {self.failed} failed')
        sys.exit(1 if self.failed or not self.passed else 0)


class Answer:
    def __init__(self, status, body, headers):
        self.status, self.body, self.headers = status, body, headers

    @property
    def json(self):
        return json.loads(self.body)


class Daemon:
    """One daemon on a free port with a data directory of its own; usable as a context manager."""

    def __init__(self, data=None, config=None, environment=None, arguments=(), wrapper=()):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix='tocsin-test-'))
        self.data = pathlib.Path(data) if data else self.root / 'data'
        self.config, self.arguments, self.wrapper = config, list(arguments), list(wrapper)
        self.environment = {**os.environ, **(environment or {})}
        self.process = self.url = None
        self.log = self.root / 'log'

    def start(self, timeout=20, port=0):
        command = self.wrapper + [BINARY, 'run', '--data', str(self.data), '--listen', f'127.0.0.1:{port}']
        if self.config:
            command += ['--config', str(self.config)]
        log = open(self.log, 'ab')
        offset = self.log.stat().st_size
        self.process = subprocess.Popen(command + self.arguments, stdout=log, stderr=log, cwd=self.root,
                                        env=self.environment, start_new_session=True)
        log.close()
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            found = re.search(rb'is running: (http\S+)', self.log.read_bytes()[offset:])
            if found:
                self.url = found[1].decode()
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise RuntimeError('the daemon did not start: ' + self.log.read_text()[-1000:])

    def kill(self):
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stop(self, timeout=20):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout)
        return self.process.returncode

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.root, ignore_errors=True)

    @property
    def port(self):
        return int(self.url.rsplit(':', 1)[1])

    @property
    def token(self):
        return (self.data / 'token').read_text().strip()

    def call(self, method, path, body=None, token=None, headers=None, timeout=20):
        """One request; any status is an answer. body: bytes, or an object sent as JSON."""
        send = {**(headers or {})}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            send.setdefault('Content-Type', 'application/json')
        if token:
            send['Authorization'] = 'Bearer ' + token
        request = urllib.request.Request(self.url + path, data=body, method=method, headers=send)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as r:
                return Answer(r.status, r.read(), r.headers)
        except urllib.error.HTTPError as e:
            return Answer(e.code, e.read(), e.headers)

    def get(self, path, **options):
        return self.call('GET', path, **options)

    def post(self, path, body=None, **options):
        options.setdefault('token', self.token)
        return self.call('POST', path, {} if body is None else body, **options)

    def query(self, expression):
        """[(labels, value)] of an instant query."""
        form = urllib.parse.urlencode({'query': expression}).encode()
        answer = self.call('POST', '/api/v1/query', form,
                           headers={'Content-Type': 'application/x-www-form-urlencoded'}).json
        if answer['status'] != 'success':
            raise RuntimeError(answer)
        return [(r['metric'], float(r['value'][1])) for r in answer['data']['result']]

    def report(self, run, **fields):
        """One line of the run protocol; its HTTP status."""
        return self.call('POST', f'/api/tocsin/v1/ingest/run?run={run}', (json.dumps(fields) + '\n').encode()).status

    def incidents(self, state='all'):
        return self.get(f'/api/tocsin/v1/incidents?state={state}').json['incidents']

    def command(self, *arguments, token=True):
        """The command line against this daemon: (exit code, stdout, stderr)."""
        environment = {**os.environ, 'TOCSIN_SERVER': self.url}
        environment.pop('TOCSIN_TOKEN', None)
        if token:
            environment['TOCSIN_TOKEN'] = self.token
        done = subprocess.run([BINARY, *arguments], env=environment, cwd=self.root, capture_output=True, text=True,
                              timeout=60)
        return done.returncode, done.stdout, done.stderr


def offline(*arguments, timeout=60):
    """The command line by itself: (exit code, stdout, stderr)."""
    done = subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=timeout)
    return done.returncode, done.stdout, done.stderr


def wait_for(condition, timeout=20, every=0.1):
    """The first true value of condition(), or None when the time is up."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            return None
        time.sleep(every)


def skip(reason):
    print(f'skipped: {reason}')
    sys.exit(77)
