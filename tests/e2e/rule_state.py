#!/usr/bin/env python3
"""kill -9 and stop at random moments while alerts are pending, firing and kept: each goes on with the times it had, and ends when it should."""
import argparse
import http.server
import json
import random
import threading
import time

from tocsin_test import Checks, Daemon

FOR_S, KEEP_S = 6, 8
RULES = f'''
groups:
- name: state
  interval: 1s
  rules:
  - alert: Short
    expr: load > 0.5
    for: {FOR_S}s
    keep_firing_for: {KEEP_S}s
    annotations: {{summary: '{{{{ $labels.inst }}}} at {{{{ $value }}}}'}}
  - alert: Long
    expr: load > 0.5
    for: 1h
  - record: load:scaled
    expr: load * 100
'''


class Exporter(http.server.BaseHTTPRequestHandler):
    values = {}

    def do_GET(self):
        body = ''.join(f'load{{inst="{k}"}} {v}\n' for k, v in list(Exporter.values.items()))
        self.send_response(200)
        self.send_header('Content-Type', 'text/plain; version=0.0.4')
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


def seconds(text):
    whole, _, rest = text.rstrip('Z').partition('.')
    return time.mktime(time.strptime(whole + ' UTC', '%Y-%m-%dT%H:%M:%S %Z')) - time.timezone + float('0.' + (rest or '0'))


def alerts(daemon):
    shown = json.loads(daemon.call('GET', '/api/v1/alerts').body)['data']['alerts']
    return {json.dumps(a['labels'], sort_keys=True): a for a in shown}


class Watch:
    """What was seen of each alert; what may not change does not."""

    def __init__(self, checks):
        self.checks, self.active_at, self.fired = checks, {}, set()

    def look(self, daemon, when, high):
        now, seen = time.time(), alerts(daemon)
        for key, a in seen.items():
            known = self.active_at.setdefault(key, a['activeAt'])
            self.checks.equal(a['activeAt'], known, f'{when}: {key} active since')
            age = now - seen_at(a)
            if '"Long"' in key:
                self.checks.equal(a['state'], 'pending', f'{when}: {key} after {age:.1f} s')
            elif age < FOR_S - 0.5:
                self.checks.equal(a['state'], 'pending', f'{when}: {key} after {age:.1f} s')
            if a['state'] == 'firing':
                self.fired.add(key)
            self.checks.check(key not in self.fired or a['state'] == 'firing', f'{when}: {key} fell back to {a["state"]}')
        for key in self.fired:
            inst = json.loads(key)['inst']
            self.checks.check(inst not in high or key in seen, f'{when}: {key} is gone')
        return seen


def seen_at(alert):
    return seconds(alert['activeAt'])


def run(checks, rng, cycles):
    exporter = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Exporter)
    threading.Thread(target=exporter.serve_forever, daemon=True).start()
    daemon = Daemon()
    (daemon.root / 'rules.yml').write_text(RULES)
    daemon.config = daemon.root / 'tocsin.yml'
    daemon.config.write_text(f'''
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
host: {{enabled: false}}
gpu: {{enabled: false}}
discovery: {{enabled: false}}
rules: {{builtin: false}}
scrape_configs: [{{job_name: e2e, static_configs: [{{targets: ['127.0.0.1:{exporter.server_port}']}}]}}]
''')
    watch = Watch(checks)
    with daemon:
        for cycle in range(cycles):
            Exporter.values[f'i{cycle}'] = 0.75  # one more alert each time, so that some are young at each death
            end = time.monotonic() + rng.uniform(0.3, 3)
            while time.monotonic() < end:
                watch.look(daemon, f'cycle {cycle}', Exporter.values)
                time.sleep(0.1)
            if rng.random() < 0.7:
                daemon.kill()
            else:
                checks.equal(daemon.stop(), 0, 'exit of a clean stop')
            time.sleep(rng.choice([0, 0, rng.uniform(0, 2)]))
            daemon.start()
            watch.look(daemon, f'cycle {cycle}, restarted', Exporter.values)
        time.sleep(FOR_S + 2.5)
        seen = watch.look(daemon, 'all old enough', Exporter.values)
        checks.equal(sum(a['state'] == 'firing' for a in seen.values()), cycles, 'firing alerts')
        checks.equal(len(seen), 2 * cycles, 'alerts')
        # The conditions end; the firing ones are kept, over a death, for as long as they should.
        Exporter.values.update({k: 0.25 for k in Exporter.values})
        low = time.monotonic()
        time.sleep(3)
        checks.equal(len(watch.look(daemon, 'kept', {})), cycles, 'alerts that are kept')
        daemon.kill()
        daemon.start()
        checks.equal(len(watch.look(daemon, 'kept, restarted', {})), cycles, 'alerts that are kept over a death')
        time.sleep(max(0, low + KEEP_S + 3.5 - time.monotonic()))
        checks.equal(len(alerts(daemon)), 0, 'alerts at the end')
    exporter.shutdown()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--cycles', type=int, default=8)
    parser.add_argument('--seed', type=int, default=int(time.time()))
    args = parser.parse_args()
    print(f'seed {args.seed}, {args.cycles} cycles')
    checks = Checks()
    run(checks, random.Random(args.seed), args.cycles)
    checks.finish()


if __name__ == '__main__':
    main()
