"""Scores after kill -9 and restart equal those of a daemon that ran on, to the bit, from the first slot that is judged
again; models are trained from stored history at once. Both daemons get the same samples, those of the next minutes
included, so that no slot has to wait for one."""
import argparse
import json
import math
import pathlib
import random
import tempfile
import time
import urllib.parse

from tocsin_test import Checks, Daemon, wait_for

HEAD = '''
host: {enabled: false}
gpu: {enabled: false}
discovery: {enabled: false}
rules: {builtin: false}
'''
DETECTORS = '''
detectors:
- {name: holt, expr: load, method: holt_winters, interval: 1s, season: 30s, window: 10m, beta: 0.01}
- {name: change, expr: load, method: change_point, interval: 1s, window: 10m}
- {name: loss, expr: load, method: loss_curve, interval: 1s, window: 10m}
- {name: pace, expr: load, method: pace_curve, interval: 1s, window: 10m}
- {name: peers, expr: load, method: peers, interval: 1s, window: 10m}
- {name: ensemble, expr: load, method: ensemble, interval: 1s, window: 10m, budget: 1/day}
- {name: flat, expr: load, method: flat_line, interval: 1s, window: 10m}
- {name: missing, expr: 'last_over_time(load[2s])', method: missing, interval: 1s, window: 10m}
- {name: robust, expr: load, interval: 1s, window: 5m}
'''
NAMES = {'ensemble', 'holt', 'change', 'loss', 'pace', 'peers', 'flat', 'missing', 'robust'}
PAST_S, FUTURE_S = 900, 150


def samples(now_s, rng):
    """Prometheus text with times: six members with a season, noise, a shift and a straggler."""
    lines = []
    for member in range(6):
        for s in range(-PAST_S, FUTURE_S):
            value = 10 + 3 * math.sin(2 * math.pi * s / 30) + rng.gauss(0, 1) + (4 if s > 8 else 0) + (9 if member == 3 and s > 3 else 0)
            if not (member == 4 and s % 90 > 70):
                lines.append(f'load{{member="{member}"}} {value!r} {(now_s + s) * 1000}')
    return '\n'.join(lines) + '\n'


def outputs(d):
    """{(metric, labels): {time: text of the value}} of everything that detectors wrote in the last five minutes."""
    query = urllib.parse.urlencode({'query': '{__name__=~"tocsin_anomaly.*|tocsin_expected.*",detector!="every_series"}[5m]'})
    result = d.call('GET', f'/api/v1/query?{query}').json['data']['result']
    return {json.dumps(r['metric'], sort_keys=True): {t: v for t, v in r['values']} for r in result}


def judged(d):
    detectors = d.call('GET', '/api/tocsin/v1/detectors', token=d.token).json['detectors']
    return {x['name']: x['series'] for x in detectors if x['name'] in NAMES}


def compare(checks, a, b, from_s):
    different, compared, methods = [], 0, set()
    for key, values in a.items():
        labels = json.loads(key)
        if labels['detector'] == 'robust' and labels['__name__'] == 'tocsin_anomaly_rate':
            continue  # the rate of robust_z begins anew
        later = {t: v for t, v in values.items() if t > from_s}
        other = {t: v for t, v in b.get(key, {}).items() if t > from_s}
        for t in later.keys() & other.keys():
            compared += 1
            methods.add(labels['detector'])
            if later[t] != other[t]:
                different.append((key, t, later[t], other[t]))
        if abs(len(later) - len(other)) > 2:
            different.append((key, 'values', len(later), len(other)))
    checks.equal(different[:5], [], 'scores that differ')
    checks.check(compared > 500, f'{compared} values were compared')
    checks.equal(methods, NAMES, 'methods compared')


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument('--seed', type=int, default=1)
    o = arguments.parse_args()
    checks = Checks()
    folder = tempfile.TemporaryDirectory()
    config = pathlib.Path(folder.name) / 'tocsin.yml'
    config.write_text(HEAD)
    text = samples(int(time.time()), random.Random(o.seed)).encode()
    with Daemon(config=config) as a, Daemon(config=config) as b:
        for d in (a, b):
            answer = d.call('POST', '/api/v1/import/prometheus', text, token=d.token, headers={'Content-Type': 'text/plain'})
            checks.check(answer.status in (200, 204), f'import: {answer.status} {answer.body[:200]}')
        config.write_text(HEAD + DETECTORS)
        for d in (a, b):
            d.call('POST', '/-/reload', token=d.token)
        checks.check(wait_for(lambda: all(len(judged(d)) == len(NAMES) and min(judged(d).values()) >= 5 for d in (a, b)), 30),
                     f'history trains all at once: {judged(a)}')
        time.sleep(6)
        b.kill()
        time.sleep(4)
        restarted = time.time()
        b.start()
        checks.check(wait_for(lambda: min(judged(b).values()) >= 5, 30), f'all go on: {judged(b)}')
        time.sleep(8)
        compare(checks, outputs(a), outputs(b), restarted + 1)
        text = b.call('GET', '/metrics').body.decode()
        state = [line for line in text.splitlines() if line.startswith('tocsin_detectors_state_bytes ')]
        checks.check(state and 1000 < float(state[0].split()[1]) < 1e6, f'memory is told: {state}')
    checks.finish()


if __name__ == '__main__':
    main()
