#!/usr/bin/env python3
"""kill -9 of a daemon that forwards, and of the receiver, at random moments while samples are pushed: what was
acknowledged is at the receiver in the end."""
import argparse
import pathlib
import random
import tempfile
import threading
import time
import urllib.parse

from push import remote_write, series
from tocsin_test import Checks, Daemon, wait_for

QUIET = 'host: {enabled: false}\ngpu: {enabled: false}\ndiscovery: {enabled: false}\nrules: {builtin: false}\n'


class Pusher(threading.Thread):
    """Pushes until the daemon is gone. A sample is a number; its time is that many milliseconds after the start."""

    def __init__(self, daemon, state):
        super().__init__(daemon=True)
        self.target, self.state, self.acknowledged = daemon, state, []

    def run(self):
        try:
            while True:
                first = self.state['next']
                self.state['next'] += 50
                numbers = range(first, first + 50)
                status = remote_write(self.target, [series({'__name__': 'ledger', 'i': str(i)},
                                                           [(self.state['start'] + n, float(n)) for n in numbers if n % 5 == i])
                                                    for i in range(5)]).status
                if status == 204:
                    self.acknowledged += numbers
        except OSError:
            pass  # the daemon was killed: nothing more is acknowledged


def stored(daemon):
    form = urllib.parse.urlencode({'query': 'ledger[10h]'}).encode()
    answer = daemon.call('POST', '/api/v1/query', form, headers={'Content-Type': 'application/x-www-form-urlencoded'}).json
    return {int(float(v)) for r in answer['data']['result'] for _, v in r['values']}


def configure(path, url, data, rng):
    path.write_text(QUIET + 'remote_write:\n' + ''.join(f'''
  - name: r{i}
    url: {url}/api/v1/write?{i}
    protobuf_message: {message}
    authorization: {{credentials_file: {data}/token}}
    queue_config: {{batch_send_deadline: 50ms, max_backoff: 200ms, max_samples_per_send: {rng.choice((7, 100, 2000))}, min_shards: {1 + i}}}
    write_relabel_configs: [{{target_label: through, replacement: r{i}}}]
''' for i, message in enumerate(('prometheus.WriteRequest', 'io.prometheus.write.v2.Request'))))


def both(daemon):
    """Samples that came through both ways."""
    form = urllib.parse.urlencode({'query': 'ledger[10h]'}).encode()
    answer = daemon.call('POST', '/api/v1/query', form, headers={'Content-Type': 'application/x-www-form-urlencoded'}).json
    found = {'r0': set(), 'r1': set()}
    for r in answer['data']['result']:
        found[r['metric']['through']] |= {int(float(v)) for _, v in r['values']}
    return found['r0'] & found['r1']


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--cycles', type=int, default=15)
    parser.add_argument('--seed', type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    print(f'seed {options.seed}', flush=True)
    c, rng = Checks(), random.Random(options.seed)
    state, kept = {'next': 0, 'start': int(time.time() * 1000) - 3600_000}, set()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        (directory / 'b.yml').write_text(QUIET)
        with Daemon(config=directory / 'b.yml') as b:
            port = b.port
            configure(directory / 'a.yml', b.url, b.data, rng)
            with Daemon(config=directory / 'a.yml') as a:
                for _ in range(options.cycles):
                    pusher = Pusher(a, state)
                    pusher.start()
                    time.sleep(rng.uniform(0.05, 0.8))
                    if rng.random() < 0.5:
                        b.kill()
                    time.sleep(rng.uniform(0.0, 0.6))
                    a.kill()
                    pusher.join()
                    kept |= set(pusher.acknowledged)
                    if b.process.poll() is not None and rng.random() < 0.7:
                        b.start(port=port)
                    a.start()
                if b.process.poll() is not None:
                    b.start(port=port)
                c.check(len(kept) > options.cycles * 50, f'enough was pushed: {len(kept)}')
                c.equal(len(kept - stored(a)), 0, 'acknowledged samples that the sender lost')
                wait_for(lambda: not kept - both(b), 90, 0.5)
                lost = kept - both(b)
                c.equal(sorted(lost)[:10], [], f'{len(lost)} acknowledged samples did not arrive')
    print(f'{options.cycles} cycles, {len(kept)} samples acknowledged, {len(lost)} lost on the way')
    c.finish()


main()
