"""A real Prometheus beside the daemon: the same sources of targets, the same targets."""
import json
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Prometheus:
    """Enters as None where it is not installed, or was built without the mechanisms that the configuration names."""

    def __init__(self, config, wrapper=()):
        self.config, self.wrapper, self.process = config, list(wrapper), None

    def __enter__(self):
        if not shutil.which('prometheus'):
            return None
        self.root = pathlib.Path(tempfile.mkdtemp(prefix='tocsin-peer-'))
        (self.root / 'prometheus.yml').write_text(self.config)
        self.url = f'http://127.0.0.1:{free_port()}'
        self.log = open(self.root / 'log', 'wb')
        self.process = subprocess.Popen(
            self.wrapper + ['prometheus', '--web.listen-address=' + self.url[7:], f'--config.file={self.root}/prometheus.yml',
                            f'--storage.tsdb.path={self.root}/tsdb'], stdout=self.log, stderr=self.log)
        for _ in range(100):
            try:
                urllib.request.urlopen(self.url + '/-/ready', timeout=2)
                return self
            except OSError:
                if 'not found in type config.ScrapeConfig' in (self.root / 'log').read_text():
                    print('this Prometheus was built without a mechanism that the test is about')
                    return None
                time.sleep(0.1)
        raise RuntimeError('Prometheus did not start: ' + (self.root / 'log').read_text()[-1000:])

    def __exit__(self, *_):
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.log.close()
            shutil.rmtree(self.root, ignore_errors=True)


def targets(server, state='any'):
    with urllib.request.urlopen(server.url + '/api/v1/targets?state=' + state, timeout=20) as r:
        return json.load(r)['data']


def discovered(server, job):
    """All targets of a job, also dropped ones: (discovered labels, labels, URL), sorted."""
    data = targets(server)
    rows = [(sorted(t['discoveredLabels'].items()), sorted(t['labels'].items()), t['scrapeUrl'])
            for t in data['activeTargets'] if t['scrapePool'] == job]
    rows += [(sorted(t['discoveredLabels'].items()), [], '') for t in data['droppedTargets']
             if t['discoveredLabels'].get('job') == job]
    return sorted(rows)
