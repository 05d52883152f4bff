#!/usr/bin/env python3
"""kill -9 at random moments while samples and incident changes are written: what was acknowledged is there afterwards."""
import argparse
import pathlib
import random
import tempfile
import threading
import time

from tocsin_test import Checks, Daemon, wait_for

T = '/api/tocsin/v1'
RULES = '''
groups:
  - name: test
    interval: 1s
    rules:
      - {alert: Always, expr: "train_switch == 1", labels: {severity: warning}}
'''


class Writer(threading.Thread):
    """Writes until the daemon is gone; remembers what was acknowledged."""

    def __init__(self, daemon, work):
        super().__init__(daemon=True)
        self.target_daemon, self.work, self.acknowledged = daemon, work, []

    def run(self):
        try:
            while True:
                done = self.work(self.target_daemon)
                if done is not None:
                    self.acknowledged.append(done)
        except Exception:  # the daemon was killed: nothing more is acknowledged
            pass


class Counter:
    def __init__(self):
        self.n = 0

    def next(self):
        self.n += 1
        return self.n


def sample_writer(counter, start):
    def work(daemon):
        n = counter.next()
        # A millisecond each: two samples of one series at one time would be one sample.
        return n if daemon.report('ledger', t=round(start + n / 1000, 3), count=n) == 204 else None
    return work


def comment_writer(counter, incident):
    def work(daemon):
        n = counter.next()
        answer = daemon.post(f'{T}/incidents/{incident}/comment', {'text': f'note {n}'})
        return f'note {n}' if answer.status == 200 else None
    return work


def stored_samples(daemon):
    answer = daemon.call('POST', '/api/v1/query', b'query=train_count%7Brun%3D%22ledger%22%7D%5B1h%5D',
                         headers={'Content-Type': 'application/x-www-form-urlencoded'}).json
    return {int(float(v)) for r in answer['data']['result'] for _, v in r['values']}


def stored_notes(daemon, incident):
    timeline = daemon.get(f'{T}/incidents/{incident}').json['timeline']
    return {e['text'] for e in timeline if e['type'] == 'comment'}


def open_incident(daemon):
    daemon.report('switch', t=time.time(), switch=1)
    found = wait_for(lambda: daemon.incidents('open'), 20)
    return found[0]['id']


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--cycles', type=int, default=50)
    parser.add_argument('--seed', type=int, default=random.randrange(1 << 30))
    options = parser.parse_args()
    print(f'seed {options.seed}')
    c, rng = Checks(), random.Random(options.seed)
    samples, notes, kept_samples, kept_notes = Counter(), Counter(), set(), set()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        (directory / 'rules.yml').write_text(RULES)
        (directory / 'tocsin.yml').write_text('rule_files: [rules.yml]\nrules: {builtin: false}\n'
                                              'discovery: {enabled: false}\nglobal: {evaluation_interval: 1s}\n')
        with Daemon(config=directory / 'tocsin.yml') as d:
            incident = open_incident(d)
            start = time.time() - 600
            for _ in range(options.cycles):
                writers = [Writer(d, sample_writer(samples, start)), Writer(d, comment_writer(notes, incident))]
                for w in writers:
                    w.start()
                time.sleep(rng.uniform(0.05, 0.9))
                d.kill()
                for w in writers:
                    w.join()
                kept_samples |= set(writers[0].acknowledged)
                kept_notes |= set(writers[1].acknowledged)
                d.start()
            lost_samples = kept_samples - stored_samples(d)
            lost_notes = kept_notes - stored_notes(d, incident)
            c.equal(sorted(lost_samples)[:10], [], 'lost samples')
            c.equal(sorted(lost_notes)[:10], [], 'lost incident changes')
            c.check(len(kept_samples) > options.cycles and len(kept_notes) > options.cycles / 2, 'enough was written')
            c.equal(d.stop(), 0, 'a clean stop at the end')
            code, out, err = d.command('db', 'verify', '--data', str(d.data), token=False)
            c.equal(code, 0, f'db verify: {out}{err}')
    print(f'{options.cycles} cycles, {len(kept_samples)} samples and {len(kept_notes)} changes acknowledged, '
          f'{len(lost_samples) + len(lost_notes)} lost')
    c.finish()


main()
