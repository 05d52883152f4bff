"""The routes by which people decide about detectors, thresholds and verdicts, against a live daemon: each answer, good or
bad, fits docs/openapi.yaml, and each approval, rejection, application and roll back leaves an audit entry with who and what."""
import json
import pathlib
import random
import shutil
import sys
import tempfile
import time
import urllib.parse

import yaml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'e2e'))
from conformance_test import HERE, Checks  # noqa: E402
from json_schema import Schemas  # noqa: E402
from decision_test import T, audit_rows, write_config  # noqa: E402
from tocsin_test import Daemon, wait_for  # noqa: E402

DAY, DAYS = 86400, 10
RULES = '''
groups:
  - name: test
    interval: 1s
    rules:
      - alert: QueueLong
        expr: queue > 80
      - alert: SignalHigh
        expr: train_signal > 500
        labels: {team: ml}
'''


def write_history(daemon):
    """Ten days of minutes with bursts."""
    rng, now = random.Random(4), int(time.time()) // 60 * 60
    times = [(now - DAYS * DAY + i * 60) * 1000 for i in range(DAYS * 1440 - 10)]
    values = [20 + rng.gauss(0, 5) + (40 + rng.expovariate(0.1) if rng.random() < 0.002 else 0) for _ in times]
    line = json.dumps({'metric': {'__name__': 'queue'}, 'values': values, 'timestamps': times}).encode()
    return daemon.call('POST', '/api/v1/import', line, token=daemon.token).status


class Contract:
    def __init__(self, checks, daemon):
        self.checks, self.daemon = checks, daemon
        self.document = yaml.safe_load((HERE.parents[1] / 'docs/openapi.yaml').read_text())
        self.schemas = Schemas(self.document)

    def ask(self, method, path, status, body=None, params=None, token=True, of=None):
        """One request whose answer must have the status and the form that the description of `of` promises."""
        text = '?' + urllib.parse.urlencode(params) if params else ''
        answer = self.daemon.call(method.upper(), T + path + text, body, token=self.daemon.token if token else None, timeout=60)
        what = f'{method} {path} {json.dumps(body)[:120] if body else ""} {params or ""}'
        if not self.checks.check(answer.status == status, f'{what}: {answer.status}, wanted {status}: {answer.body[:200]}'):
            return None
        item = self.document['paths'].get(T + (of or path))
        if not self.checks.check(item and method in item, f'{what}: not described'):
            return None
        response = item[method]['responses'].get(str(status))
        if not self.checks.check(response, f'{what}: {status} is not described'):
            return None
        content = self.schemas.resolve(response).get('content', {})
        for kind, form in content.items():
            sent = (answer.headers.get('Content-Type') or '').split(';')[0]
            self.checks.check(sent == kind, f'{what}: {sent}, wanted {kind}')
            errors = self.schemas.errors(answer.json, form['schema'])
            self.checks.check(not errors, f'{what}: {errors[:3]}')
        return answer.json


def detectors(a, daemon):
    for i in range(60):
        daemon.report('r1', t=time.time() - 60 + i, step=i, signal=100 + i % 3)
    listed = a.ask('get', '/detectors', 200)
    a.checks.check(any(d['name'] == 'strange' and d['features'][0]['expr'] == 'train_signal' for d in listed['detectors']), 'features are listed')
    path, of = '/detectors/strange/explanation', '/detectors/{name}/explanation'

    def judged():
        daemon.report('r1', t=time.time(), step=1000, signal=100 + int(time.time()) % 3)
        found = daemon.query('tocsin_anomaly{detector="strange"}')
        return found if found else None
    series = wait_for(judged, 60)
    if not a.checks.check(series, 'the detector judges'):
        return
    labels = {k: v for k, v in series[0][0].items() if k not in ('__name__', 'detector')}

    def strange():
        daemon.report('r1', t=time.time(), step=2000, signal=400)
        return any(v for _, v in daemon.query('tocsin_anomaly{detector="strange"}'))
    a.checks.check(wait_for(strange, 30), 'the jump is an anomaly')
    why = a.ask('get', path, 200, params={'labels': json.dumps(labels)}, of=of)
    cause = why['causes'][0] if why and why['causes'] else {}
    a.checks.check(cause.get('respect') == 'value' and cause.get('seen') == 400 and cause['usual_upper'] < 200, f'why: {why}')
    empty = a.ask('get', path, 200, params={'labels': '{"run":"none"}'}, of=of)
    a.checks.check(empty and not empty['enough_data'] and not empty['causes'], f'nothing is made up: {empty}')
    a.ask('get', path, 400, params={'labels': '['}, of=of)
    a.ask('get', path, 400, params={'time': 'soon'}, of=of)
    a.ask('get', '/detectors/none/explanation', 404, of=of)
    a.ask('get', '/anomalies', 200)


def thresholds(a):
    path = '/threshold-suggestions'
    s = a.ask('post', path, 200, {'expr': 'queue', 'budget_count': 1, 'budget_period_s': DAY, 'history_s': DAYS * DAY, 'interval_s': 60})
    a.checks.check(s and s['available'] and s['level']['low'] <= s['level']['threshold'] <= s['level']['high'], f'{s}')
    a.checks.check(s and 'held_out' in s and s['held_out']['result']['pages'] <= 3 * s['held_out']['budget'] + 3, f'held out: {s}')
    by_rule = a.ask('post', path, 200, {'rule': 'QueueLong', 'static': True, 'budget_period_s': DAY, 'history_s': DAYS * DAY, 'interval_s': 60})
    a.checks.check(by_rule and by_rule['expr'].startswith('(queue) > '), f'{by_rule}')
    little = a.ask('post', path, 200, {'expr': 'nothing_here'})
    a.checks.check(little and not little['available'] and 'not enough data' in little['reason'], f'{little}')
    for bad in ({}, {'expr': 'queue', 'rule': 'x'}, {'expr': 'sum('}, {'expr': '1 + 1'}, {'expr': 'queue', 'budget_count': 0},
                {'expr': 'queue', 'direction': 'sideways'}, {'expr': 'queue', 'static': 'yes'}, {'expr': 'queue', 'history_s': 1}):
        a.ask('post', path, 400, bad)
    a.ask('post', path, 404, {'rule': 'Nobody'})
    a.ask('post', path, 401, {'expr': 'queue'}, token=False)

    a.ask('post', '/backtests', 200, {'rules': RULES, 'from': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() - DAY))})
    a.ask('post', '/backtests', 400, {'rules': 'x'})
    kept = []
    for threshold in (90, 95):
        r = a.ask('post', '/threshold-reviews', 200, {'rule': 'QueueLong', 'threshold': threshold, 'history_s': DAY})
        kept.append(r['id'])
    decide = '/threshold-reviews/{id}/'
    a.ask('post', f'/threshold-reviews/{kept[0]}/accept', 200, {'comment': 'yes'}, of=decide + 'accept')
    a.ask('post', f'/threshold-reviews/{kept[1]}/reject', 200, {}, of=decide + 'reject')
    a.ask('post', f'/threshold-reviews/{kept[1]}/accept', 409, {}, of=decide + 'accept')
    a.ask('post', '/threshold-reviews/T-999999/accept', 404, {}, of=decide + 'accept')
    a.ask('post', '/threshold-reviews', 400, {'rule': 'QueueLong'})
    a.ask('get', '/threshold-reviews', 200)
    return kept


def verdicts(a, daemon):
    """Everything about learning that needs no fifty verdicts; tests/e2e/learning.py has the rest."""
    daemon.report('r1', t=time.time(), step=3000, signal=900)
    found = wait_for(lambda: [i for i in daemon.incidents() if 'SignalHigh' in str(i)], 30)
    if not a.checks.check(found, 'an incident'):
        return None
    incident = found[0]['id']
    a.ask('get', f'/incidents/{incident}', 200, of='/incidents/{id}')
    a.ask('post', f'/incidents/{incident}/verdict', 200, {'verdict': 'false'}, of='/incidents/{id}/verdict')
    a.ask('post', f'/incidents/{incident}/verdict', 400, {'verdict': 'maybe'}, of='/incidents/{id}/verdict')
    a.ask('get', '/learn', 200)
    a.ask('get', '/learn/report', 200)
    a.ask('get', '/learn/alerts', 200, params={'limit': 5})
    a.ask('get', '/learn/alerts', 400, params={'limit': 0})
    scope = '/learn/scopes/{scope}/'
    a.ask('get', '/learn/scopes/nobody/preview', 404, of=scope + 'preview')
    a.ask('post', '/learn/scopes/nobody/apply', 404, {}, of=scope + 'apply')
    a.ask('post', '/learn/scopes/nobody/rollback', 404, {}, of=scope + 'rollback')
    a.ask('post', '/learn/scopes/nobody/apply', 400, {'mode': 'x'}, of=scope + 'apply')
    return incident


def audit(checks, daemon, kept, incident):
    """Who and what, also of what was refused."""
    rows = {(route, object_, outcome): actor for actor, route, object_, outcome in audit_rows(daemon)}

    def entry(route, object_, outcome):
        actor = rows.get((f'POST {T}{route}', T + object_, str(outcome)))
        checks.check(actor and 'admin' in actor, f'{route} {object_} {outcome} is in the audit log with its actor: {actor}')
    entry('/threshold-reviews/{}/accept', f'/threshold-reviews/{kept[0]}/accept', 200)
    entry('/threshold-reviews/{}/reject', f'/threshold-reviews/{kept[1]}/reject', 200)
    entry('/threshold-reviews/{}/accept', f'/threshold-reviews/{kept[1]}/accept', 409)
    entry('/threshold-reviews', '/threshold-reviews', 200)
    entry('/incidents/{}/verdict', f'/incidents/{incident}/verdict', 200)
    entry('/learn/scopes/{}/apply', '/learn/scopes/nobody/apply', 404)
    entry('/learn/scopes/{}/rollback', '/learn/scopes/nobody/rollback', 404)


def main():
    checks = Checks()
    root = pathlib.Path(tempfile.mkdtemp(prefix='tocsin-test-'))
    config = write_config(root, RULES)
    try:
        with Daemon(config=config) as daemon:
            checks.check(write_history(daemon) in (200, 204), 'history is written')
            a = Contract(checks, daemon)
            kept = thresholds(a)
            detectors(a, daemon)
            incident = verdicts(a, daemon)
            audit(checks, daemon, kept, incident)
    finally:
        shutil.rmtree(root)
    checks.finish()


if __name__ == '__main__':
    main()
