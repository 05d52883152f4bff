#!/usr/bin/env python3
"""Learning from verdicts: alerts of a detector, verdicts, preview, apply; a false alarm of the same kind is withheld and
listed, a threshold still pages, a roll back lets it page again."""
import datetime
import json
import random
import tempfile
import threading
import time

from decision_test import T, audit_rows, write_config
from tocsin_test import Checks, Daemon, wait_for

RUNS, BLIP, BREAK = 56, 25, 3000
RULES = '''
groups:
  - name: test
    interval: 1s
    rules:
      - alert: Strange
        expr: tocsin_anomaly_score{detector="strange"} > 8
        labels: {severity: warning, team: ml}
      - alert: TooHigh
        expr: train_signal > 100000
        labels: {severity: critical, team: ml}
'''


class Feeder:
    """Every run reports noise around 100 each second, and what is put on top of it. What is put there lasts so many
    rounds, not seconds: on a busy machine a round takes longer, and all that happens must be sampled as often as on an
    idle one."""

    def __init__(self, daemon):
        self.daemon, self.extra, self.step, self.stopping = daemon, {}, 0, False
        self.broken = {}  # run: when a break of it began and ended
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def value(self, run):
        first, end, size = self.extra.get(run, (0, 0, 0))
        return 100 + random.gauss(0, 1) + (size if first <= self.step < end else 0)

    def run(self):
        random.seed(1)
        while not self.stopping:
            begun = time.time()
            for run in range(RUNS):
                self.daemon.report(f'r{run:02}', t=time.time(), step=self.step, signal=self.value(run))
            self.step += 1
            time.sleep(max(0.05, 1 - (time.time() - begun)))

    def shake(self, runs, size, rounds):
        first, begun = self.step + 1, time.time()
        self.extra.update({r: (first, first + rounds, size + random.uniform(0, size / 5)) for r in runs})
        wait_for(lambda: self.step >= first + rounds, 60)
        if size >= BREAK:
            self.broken.update({r: (begun, time.time()) for r in runs})

    def is_break(self, run, started_at):
        """Was the run broken when it was found strange, or had just been?"""
        begun, end = self.broken.get(run, (0, 0))
        return begun <= started_at < end + 5

    def stop(self):
        self.stopping = True
        self.thread.join()


def of_run(incident):
    return incident['subject'].get('run') if isinstance(incident.get('subject'), dict) else None


def started_at(incident):
    return datetime.datetime.fromisoformat(incident['started_at'].replace('Z', '+00:00')).timestamp()


def scope(d):
    return next((s for s in d.get(f'{T}/learn').json['scopes'] if s['scope'] == 'ml'), None)


def teach(c, d, feeder):
    """Even runs get a blip that nobody wants to hear of, odd ones a lasting break: half of both first, then the others. A
    preview tries itself on what came later, so verdicts of both kinds must be early and late."""
    time.sleep(28)
    for half in (0, 1):
        feeder.shake([r for r in range(RUNS) if r % 4 == 2 * half], BLIP, 3)
        feeder.shake([r for r in range(RUNS) if r % 4 == 2 * half + 1], BREAK, 6)
    found = wait_for(lambda: len(d.incidents()) >= RUNS and d.incidents(), 20) or d.incidents()
    c.check(len(found) >= RUNS, f'an incident for each run: {len(found)} of {RUNS}')
    code, out, err = d.command('learn', 'preview', 'ml')
    c.check(code == 1 and 'not enough verdicts yet (0 of 50)' in err, f'no verdicts yet: {code} {err}')
    for i in found:
        is_true = feeder.is_break(int(of_run(i)[1:]), started_at(i))
        d.post(f"{T}/incidents/{i['id']}/verdict", {'verdict': 'true' if is_true else 'false'})
    s = scope(d)
    c.check(s['true'] + s['false'] >= 50 and s['true'] > 5 and s['false'] > 5, f'verdicts became labels: {s}')


def learn(c, d):
    code, out, err = d.command('learn', 'preview', 'ml', '--keep', '0.9', '--output', 'json')
    if not c.equal(code, 0, f'preview {err}'):
        return
    p = json.loads(out)
    c.check(p['effect']['withheld'] > 10 and p['effect']['precision_after'] > p['effect']['precision_before'] + 0.2,
            f"the preview foretells fewer false alarms: {p['effect']}")
    c.check(p['effect']['recall'] >= 0.9, 'and that true ones still page')
    told = p['forecast']
    c.check(all(told[k]['low'] <= told[k]['value'] <= told[k]['high'] for k in ('withheld', 'lift', 'recall', 'precision')),
            f'each number with its interval: {told}')
    c.equal((told['verdict'], told['moments']), ('shown', 3), 'an effect is shown, tried at three earlier moments')
    code, out, err = d.command('learn', 'preview', 'ml', '--keep', '0.9')
    c.check(code == 0 and 'true alerts that still page, %' in out, f'the preview as text: {out} {err}')
    c.check(any('one person' in n for n in p['notes']), f"it says that one person gave all verdicts: {p['notes']}")
    c.equal(scope(d)['mode'], 'off', 'a preview changes nothing')
    viewer = d.post(f'{T}/tokens', {'name': 'eve', 'role': 'viewer'}).json['token']
    c.equal(d.call('POST', f'{T}/learn/scopes/ml/apply', {}, token=viewer).status, 403, 'apply by a viewer')
    c.equal(d.post(f'{T}/learn/scopes/nobody/apply').status, 404, 'apply to an unknown scope')
    c.equal(d.command('learn', 'apply', 'ml', '--keep', '0.9')[0], 0, 'apply')
    s = scope(d)
    c.equal((s['mode'], s['version']), ('enforce', 1), 'version 1 is in force')


def seen(d, run, rule):
    return [i for i in d.incidents() if of_run(i) == run and i['rule'] == rule]


def pages(d, run, rule):
    """Incidents of a run that hold an alert of the rule, named by it or not."""
    return [i for i in d.incidents() if of_run(i) == run and
            rule in [i['rule']] + [k['rule'] for k in i.get('cascades', [])]]


def withhold(c, d, feeder):
    wait_for(lambda: not d.query('ALERTS{alertname="Strange",alertstate="firing"}'), 60)
    time.sleep(5)
    before = {r: len(seen(d, r, 'Strange')) for r in ('r00', 'r02', 'r01', 'r04')}
    feeder.shake([0, 2], BLIP, 3)
    withheld = wait_for(lambda: d.get(f'{T}/learn/alerts?withheld=true').json['alerts'], 15) or []
    c.check({'r00', 'r02'} & {r for a in withheld for r in ('r00', 'r02') if r in a['labels']},
            f'blips are withheld and listed: {withheld}')
    feeder.shake([1], BREAK, 5)
    c.check(wait_for(lambda: len(seen(d, 'r01', 'Strange')) > before['r01'] or
                     d.query('ALERTS{alertname="Strange",run="r01",alertstate="firing"}'), 15), 'a break still pages')
    feeder.shake([4], 200000, 4)
    c.check(wait_for(lambda: pages(d, 'r04', 'TooHigh'), 15), 'a threshold pages whatever was learnt')
    for run in ('r00', 'r02'):
        if any(run in a['labels'] for a in withheld):
            c.equal(len(seen(d, run, 'Strange')), before[run], f'no incident of the withheld alert of {run}')
    metrics = d.get('/metrics').body.decode()
    counted = [float(line.split()[-1]) for line in metrics.splitlines() if line.startswith('tocsin_learn_withheld_total')]
    c.check(counted and counted[0] >= 1, f'withheld alerts are counted: {counted}')
    code, out, _ = d.command('learn', 'withheld')
    c.check(code == 0 and 'Strange' in out, 'and listed by the command line')
    report = {r['rule']: r for r in d.get(f'{T}/learn/report').json['rules']}
    c.check(report['Strange']['false'] >= 20 and report['Strange']['withheld'] >= 1 and
            sum(report['Strange']['causes'].values()) >= 20, f"false alarms rule by rule: {report['Strange']}")
    c.equal(d.command('learn', 'report')[0], 0, 'the report by command line')
    answer = d.post(f"{T}/learn/alerts/{withheld[0]['id']}/verdict", {'verdict': 'false'})
    c.equal(answer.status, 200, 'a verdict on a withheld alert')
    return withheld


def restart_and_roll_back(c, d, feeder):
    count = len(d.get(f'{T}/learn/alerts?limit=5000').json['alerts'])
    feeder.stop()
    d.kill()
    d.start()
    c.equal(scope(d)['mode'], 'enforce', 'the model survives kill -9')
    c.check(len(d.get(f'{T}/learn/alerts?limit=5000').json['alerts']) >= count, 'so do the remembered alerts')
    c.equal(d.command('learn', 'rollback', 'ml')[0], 0, 'roll back')
    c.equal(scope(d)['mode'], 'off', 'nothing is in force')
    feeder = Feeder(d)
    time.sleep(26)
    before = len(seen(d, 'r06', 'Strange'))
    feeder.shake([6], BLIP, 3)
    c.check(wait_for(lambda: len(seen(d, 'r06', 'Strange')) > before, 15), 'after the roll back a blip pages again')
    feeder.stop()


def audit(c, d):
    """Application and roll back are in the audit log: who and what."""
    d.stop()
    rows = audit_rows(d)
    for what in ('apply', 'rollback'):
        found = [r for r in rows if r[2] == f'{T}/learn/scopes/ml/{what}' and r[3] == '200']
        c.check(found and all('admin' in r[0] and r[1] == f'POST {T}/learn/scopes/{{}}/{what}' for r in found), f'{what}: {found}')
    refused = [r for r in rows if r[2] == f'{T}/learn/scopes/ml/apply' and r[3] == '403']
    c.check(refused and 'eve' in refused[0][0], f'a refused application, too: {refused}')


def main():
    c = Checks()
    with tempfile.TemporaryDirectory() as directory:
        with Daemon(config=write_config(directory, RULES, ', reopen_window: 1s')) as d:
            feeder = Feeder(d)
            teach(c, d, feeder)
            learn(c, d)
            withhold(c, d, feeder)
            restart_and_roll_back(c, d, feeder)
            audit(c, d)
    c.finish()


main()
