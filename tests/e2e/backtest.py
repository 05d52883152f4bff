#!/usr/bin/env python3
"""Two weeks of history in a daemon's store: back-tests of two rule files over the stopped daemon's directory against
incidents that are known, and a threshold from a budget."""
import json
import pathlib
import random
import subprocess
import tempfile
import time

from tocsin_test import BINARY, Checks, Daemon, wait_for

DAY = 86400
DAYS = 14
CONFIG = '''
rule_files: [live.yml]
storage: {retention: 60d}
host: {enabled: false}
gpu: {enabled: false}
discovery: {enabled: false}
rules: {builtin: false, threshold_check: 1s}
'''
RULES = '''
groups:
- name: queue
  interval: 1m
  rules:
  - record: queue:double
    expr: queue * 2
  - alert: QueueLong
    expr: queue > 80
    for: 5m
    labels: {severity: page}
    annotations: {summary: '{{ $value }} wait at {{ $labels.instance }}'}
  - alert: QueueVeryLong
    expr: queue:double > 190
'''
START = int(time.time()) // DAY * DAY - (DAYS + 1) * DAY
# Start and end in minutes since START, level; the last one is no incident.
STRETCHES = [(2 * 1440 + 600, 2 * 1440 + 630, 100), (7 * 1440 + 60, 7 * 1440 + 90, 90), (11 * 1440 + 720, 11 * 1440 + 760, 100),
             (9 * 1440 + 1400, 9 * 1440 + 1412, 85)]


def history():
    rng = random.Random(3)
    for minute in range(DAYS * 1440):
        value = 10 + rng.expovariate(0.5)
        for start, end, level in STRETCHES:
            if start <= minute < end:
                value = level
        yield START + minute * 60, value


def write(d, c):
    lines = [f'queue{{instance="a"}} {value:.2f} {t * 1000}' for t, value in history()]
    for i in range(0, len(lines), 5000):
        answer = d.call('POST', '/api/v1/import/prometheus', ('\n'.join(lines[i:i + 5000]) + '\n').encode(), token=d.token,
                        headers={'Content-Type': 'text/plain'})
        c.check(answer.status in (200, 204), f'import: {answer.status} {answer.body[:200]}')


def tocsin(*arguments):
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=120)


def backtest(c, data, *arguments):
    done = tocsin('backtest', '--data', data, '--zone', 'UTC', '--from', START, '--to', START + DAYS * DAY, *arguments,
                  '--output', 'json')
    c.check(done.returncode == 0, f'backtest {arguments}: {done.returncode} {done.stderr}')
    return json.loads(done.stdout) if done.returncode == 0 else {}


def check_backtest(c, data, root):
    (root / 'old.yml').write_text(RULES)
    (root / 'new.yml').write_text(RULES.replace('queue > 80', 'queue > 88'))
    known = ''.join(f'{START + a * 60},{START + b * 60},incident {a}\n' for a, b, _ in STRETCHES[:3])
    (root / 'known.csv').write_text('start,end,name\n' + known)
    r = backtest(c, data, '--rules', root / 'old.yml', '--compare', root / 'new.yml', '--labels', root / 'known.csv')
    before, after = r['before'], r['after']
    rules = {x['rule']: x for x in before['rules']}
    c.equal(rules['QueueLong']['alerts'], 4, 'QueueLong fires at each stretch')
    c.equal(rules['QueueVeryLong']['alerts'], 2, 'the recorded series is computed anew')
    c.equal((before['true_alerts'], before['false_alerts']), (5, 1), 'true and false alerts')
    c.equal((before['known_found'], before['known_missed']), (3, 0), 'known incidents')
    c.equal(before['night_pages'], 2, 'pages between 22:00 and 07:00')
    c.check(-400 < before['lead_median_s'] < 0, f'told minutes after the start: {before["lead_median_s"]}')
    c.equal((r['difference']['gained'], r['difference']['lost']), (0, 1), 'alerts gained and lost')
    c.equal((after['true_alerts'], after['false_alerts']), (5, 0), 'the higher threshold')
    # Of the old rules: what the new ones do not do.
    c.equal(r['false_causes'], [], 'nothing false is left to explain')
    old = backtest(c, data, '--rules', root / 'old.yml', '--labels', root / 'known.csv')['false_causes']
    c.equal([(x['rule'], x['false_alerts'], x['threshold'], x['is_poor']) for x in old], [('QueueLong', 1, 1, False)], 'causes')
    c.check(before['precision_low'] < before['precision'] < before['precision_high'], 'the interval holds the precision')
    c.equal(len(r['incident_list']), after['incidents'], 'incidents are listed')
    again = backtest(c, data, '--rules', root / 'old.yml', '--threads', 1)
    c.equal(again['rules']['alerts'], before['alerts'], 'one thread, the same')
    table = tocsin('backtest', '--data', data, '--from', '14d', '--rules', root / 'old.yml')
    c.check('QueueLong' in table.stdout and 'pages at night' in table.stdout, f'table: {table.stdout} {table.stderr}')


def check_refusals(c, d, data, root):
    (root / 'bad.csv').write_text('start,end\n1,x\n')
    for arguments, code, text in [
            (['--from', '1d'], 2, '--rules'),
            (['--rules', root / 'none.yml', '--from', '1d'], 2, 'none.yml: not found'),
            (['--rules', root / 'old.yml', '--from', 'soon'], 2, 'soon'),
            (['--rules', root / 'old.yml', '--from', '1d', '--night', '25:00-07:00'], 2, '--night'),
            (['--rules', root / 'old.yml', '--from', '1d', '--labels', root / 'bad.csv'], 2, 'bad.csv:2'),
            (['--rules', root / 'old.yml', '--from', '1d', '--to', '2d'], 2, 'empty')]:
        done = tocsin('backtest', '--data', data, *arguments)
        c.check(done.returncode == code and text in done.stderr, f'{arguments}: {done.returncode} {done.stderr}')
    d.start()
    locked = tocsin('backtest', '--data', data, '--rules', root / 'old.yml', '--from', '1d')
    c.check(locked.returncode == 1 and 'tocsin db backup' in locked.stderr, f'a running daemon: {locked.stderr}')
    copied = tocsin('db', 'backup', root / 'copy', '--data', data, '--server', d.url)
    c.check(copied.returncode == 0, f'backup: {copied.stderr}')
    copy = backtest(c, root / 'copy', '--rules', root / 'old.yml')
    c.equal(copy.get('rules', {}).get('alerts'), 6, 'a back-test on a backup of a running daemon')
    check_api(c, d, root)
    check_reviews(c, d)
    d.stop()


def rfc3339(t):
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(t))


def check_api(c, d, root):
    """The same through a running daemon."""
    body = {'rules': (root / 'old.yml').read_text(), 'compare': (root / 'new.yml').read_text(), 'zone': 'UTC',
            'from': rfc3339(START), 'to': rfc3339(START + DAYS * DAY),
            'known': [{'start': rfc3339(START + a * 60), 'end': rfc3339(START + b * 60), 'labels': {'instance': 'a'}}
                      for a, b, _ in STRETCHES[:3]]}
    answer = d.post('/api/tocsin/v1/backtests', body, timeout=60)
    c.equal(answer.status, 200, f'POST backtests: {answer.body[:300]}')
    r = answer.json
    c.equal((r['before']['true_alerts'], r['before']['false_alerts'], r['difference']['lost']), (5, 1, 1), 'by the API')
    asked = tocsin('backtest', '--server', d.url, '--data', d.data, '--zone', 'UTC', '--rules', root / 'old.yml', '--from', START,
                   '--to', START + DAYS * DAY, '--labels', root / 'known.csv')
    c.check(asked.returncode == 0 and json.loads(asked.stdout)['rules']['true_alerts'] == 5, f'--server: {asked.stderr}')
    c.equal(d.call('POST', '/api/tocsin/v1/backtests', body).status, 401, 'without a token')
    for change, text in [({'rules': 'groups: ['}, 'rules'), ({'rules': None}, 'rules'), ({'from': 'x'}, 'from'), ({'from': None}, 'from'),
                         ({'to': body['from']}, 'empty'), ({'known': [{}]}, 'known'), ({'interval_s': 0}, 'interval_s')]:
        bad = d.post('/api/tocsin/v1/backtests', {**body, **change})
        c.check(bad.status == 400 and text in bad.json['detail'], f'{change}: {bad.status} {bad.body[:200]}')


def check_reviews(c, d):
    """A threshold is proposed with its effect, accepted by somebody, and looked at again."""
    path = '/api/tocsin/v1/threshold-reviews'
    proposal = {'rule': 'QueueLong', 'threshold': 88, 'reason': 'the last one was no incident', 'budget_count': 1, 'budget_period_s': 7 * DAY}
    answer = d.post(path, proposal, timeout=60)
    if not c.equal(answer.status, 200, f'propose: {answer.body[:300]}'):
        return
    r = answer.json
    c.equal((r['state'], r['before'], r['effect_before']['alerts'], r['effect_after']['alerts']), ('proposed', 80, 4, 3), 'the effect')
    decide = f'{path}/{r["id"]}/'
    c.equal(d.call('POST', decide + 'accept', {}).status, 401, 'not without a token')
    accepted = d.post(decide + 'accept', {'comment': 'agreed'})
    c.equal((accepted.status, accepted.json.get('state'), accepted.json.get('decided_by')), (200, 'accepted', 'admin'), 'accept')
    c.equal(d.post(decide + 'reject').status, 409, 'a decision stands')
    c.equal(d.post(f'{path}/T-999999/accept').status, 404, 'an unknown review')
    rules = [x for g in d.get('/api/v1/rules').json['data']['groups'] for x in g['rules'] if x['name'] == 'QueueLong']
    c.check(rules and '88' in rules[0]['query'], f'the number is in force: {rules}')
    change = d.get('/api/tocsin/v1/changes').json['changes'][0]
    c.equal((change['kind'], change['subject'], change['actor']), ('threshold', 'QueueLong', 'admin'), 'the change is recorded')
    looked = wait_for(lambda: d.get(path).json['reviews'][0]['checked_at'], 30)
    c.check(looked and not d.get(path).json['reviews'][0]['is_over_budget'], 'it was looked at again and keeps its budget')
    for bad in ({'rule': 'QueueLong'}, {'threshold': 1}, {**proposal, 'threshold': 'x'}, {**proposal, 'budget_period_s': 1}):
        c.equal(d.post(path, bad).status, 400, f'{bad}')
    c.equal(d.post(path, {**proposal, 'rule': 'None'}).status, 404, 'an unknown rule')


def check_threshold(c, data):
    arguments = ['threshold', 'suggest', 'queue', '--data', data, '--budget', '1/week', '--history', f'{DAYS}d', '--output', 'json']
    first, second = tocsin(*arguments), tocsin(*arguments)
    c.equal((first.returncode, first.stdout), (0, second.stdout), f'the same twice {first.stderr}')
    s = json.loads(first.stdout)
    c.check(s['available'] and s['level']['low'] <= s['level']['threshold'] <= s['level']['high'], f'{s.get("level")}')
    pages, budget = s['held_out']['result']['pages'], s['held_out']['budget']
    c.check(pages <= budget + 3, f'held out: {pages} pages, budget {budget}')
    short = tocsin('threshold', 'suggest', 'queue', '--data', data, '--budget', '1/week', '--history', '20h')
    c.check(short.returncode == 1 and 'not enough data' in short.stdout, f'{short.returncode} {short.stdout} {short.stderr}')
    wrong = tocsin('threshold', 'suggest', 'queue', '--data', data, '--budget', 'often')
    c.check(wrong.returncode == 2 and '1/week' in wrong.stderr, f'{wrong.returncode} {wrong.stderr}')


def main():
    c = Checks()
    root = pathlib.Path(tempfile.mkdtemp(prefix='tocsin-test-'))
    config = root / 'tocsin.yml'
    config.write_text(CONFIG)
    (root / 'live.yml').write_text(RULES)
    d = Daemon(config=config)
    with d:
        write(d, c)
        d.stop()
        check_backtest(c, d.data, root)
        check_threshold(c, d.data)
        check_refusals(c, d, d.data, root)
    c.finish()


if __name__ == '__main__':
    main()
