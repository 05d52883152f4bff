#!/usr/bin/env python3
"""An incident from its alert to its review, by API and command line; a false alarm changes a threshold."""
import json
import tempfile
import time

from tocsin_test import Checks, Daemon, wait_for

RULES = '''
groups:
  - name: test
    interval: 1s
    rules:
      - alert: QueueTooLong
        expr: train_queue_length > 5
        labels: {severity: warning}
        annotations:
          summary: "queue of {{ $labels.run }} is {{ $value }}"
          runbook_url: /docs/runbooks/threshold.md
'''
T = '/api/tocsin/v1'


def write_config(directory):
    (directory / 'rules.yml').write_text(RULES)
    config = directory / 'tocsin.yml'
    config.write_text('rule_files: [rules.yml]\nrules: {builtin: false}\nhost: {enabled: false}\n'
                      'discovery: {enabled: false}\nincident: {resolve_hold: 2s}\n'
                      'global: {evaluation_interval: 1s}\n')
    return config


def feed(daemon, values, every=0.2):
    for i, value in enumerate(values):
        daemon.report('r1', t=time.time(), step=i, queue_length=value)
        time.sleep(every)


def refusals(c, d, incident):
    path = f'{T}/incidents/{incident}/acknowledge'
    c.equal(d.call('POST', path, {}).status, 401, 'a change without a token')
    c.equal(d.call('POST', path, {}, token='x' * 40).status, 401, 'a change with a wrong token')
    viewer = d.post(f'{T}/tokens', {'name': 'eve', 'role': 'viewer'}).json['token']
    c.equal(d.call('POST', path, {}, token=viewer).status, 403, 'a change by a viewer')
    session = d.call('POST', f'{T}/session', {'token': d.token})
    cookie = session.headers['Set-Cookie'].split(';')[0]
    c.check('HttpOnly' in session.headers['Set-Cookie'] and 'SameSite=Strict' in session.headers['Set-Cookie'],
            'the session cookie is HttpOnly and SameSite=Strict')
    c.equal(d.call('POST', path, {}, headers={'Cookie': cookie}).status, 403, 'a session without its CSRF token')
    c.equal(d.call('POST', path, {}, headers={'Cookie': cookie, 'X-Tocsin-CSRF': session.json['csrf'],
                                              'Origin': 'http://evil.example'}).status, 403, 'a foreign origin')
    c.equal(d.get(f'{T}/status', headers={'Host': 'evil.example'}).status, 403, 'a foreign host name')
    c.check(d.get(f'{T}/incidents/{incident}').json['acknowledged_at'] is None, 'refused calls changed nothing')


def handle(c, d, incident):
    path = f'{T}/incidents/{incident}'
    c.equal(d.command('incident', 'ack', incident, '--comment', 'looking')[0], 0, 'acknowledge by command line')
    c.equal(d.post(f'{path}/assign', {'assignee': 'ada'}).json['assignee'], 'ada', 'assign')
    c.equal(d.post(f'{path}/comment', {'text': 'a <b>note</b>'}).status, 200, 'comment')
    c.equal(d.post(f'{path}/mitigate').json['state'], 'mitigating', 'mitigate')
    shown = d.get(path).json
    c.check(shown['acknowledged_at'] is not None, 'acknowledged_at is set')
    kinds = [e['type'] for e in shown['timeline']]
    for wanted in ('detected', 'triggered', 'acknowledged', 'assigned', 'comment', 'mitigating'):
        c.check(wanted in kinds, f'the timeline has {wanted}')
    c.equal([e['actor'] for e in shown['timeline'] if e['type'] == 'assigned'], ['admin'], 'the actor is the token\'s name')


def false_alarm(c, d, incident):
    path = f'{T}/incidents/{incident}'
    c.equal(d.post(f'{path}/verdict', {'verdict': 'maybe'}).status, 400, 'an unknown verdict')
    c.equal(d.command('incident', 'verdict', incident, 'false', '--comment', 'known load test')[0], 0, 'verdict false')
    code, out, err = d.command('rules', 'report', '--output', 'json')
    judged = [r for r in json.loads(out) if r['false']] if code == 0 else []
    c.check(len(judged) == 1 and judged[0]['false'] == 1 and not judged[0]['is_poor'], f'rules report: {code} {out} {err}')
    c.check('too few judged' in d.command('rules', 'report')[1], 'rules report as a table')
    answer = d.get(f'{path}/proposal')
    if not c.equal(answer.status, 200, f'the proposal {answer.body!r}'):
        return None
    proposal = answer.json
    if not c.check(proposal['available'], f"a threshold is proposed ({proposal['reason']})"):
        return None
    c.equal((proposal['rule'], proposal['current_threshold']), ('QueueTooLong', 5), 'the proposal\'s rule')
    c.check(proposal['proposed_threshold'] > 5, 'the proposal is higher')
    effect = proposal['effect']
    c.check(effect['proposed']['alerts'] < effect['current']['alerts'], 'its effect: fewer alerts on stored history')
    code, out, _ = d.command('incident', 'apply', incident, '--threshold', str(proposal['proposed_threshold']))
    c.equal(code, 0, 'apply by command line')
    c.equal(json.loads(out)['actor'], 'admin', 'the change has an actor')
    rule = d.get('/api/v1/rules').json['data']['groups'][0]['rules'][0]
    c.check('> 5' not in rule['query'].replace('> 5.', '> five.'), f"the new threshold is in force: {rule['query']}")
    change = d.get(f'{T}/changes').json['changes'][0]
    c.equal((change['kind'], change['subject'], change['incident_id']), ('threshold', 'QueueTooLong', incident),
            'the change is recorded')
    return rule['query']


def review(c, d, incident):
    code, out, _ = d.command('incident', 'summary', incident)
    c.equal(code, 0, 'summary by command line')
    for part in (incident, 'QueueTooLong', 'ada', 'known load test', 'threshold'):
        c.check(part in out, f'the summary names {part}')
    c.equal(d.command('incident', 'review', incident)[0], 0, 'review')
    c.equal(d.get(f'{T}/incidents/{incident}').json['state'], 'reviewed', 'state after the review')
    code, out, _ = d.command('incident', 'list', '--all', '--output', 'json')
    c.equal([i['id'] for i in json.loads(out)], [incident], 'the list of all incidents')


def main():
    c = Checks()
    import pathlib
    with tempfile.TemporaryDirectory() as directory:
        with Daemon(config=write_config(pathlib.Path(directory))) as d:
            feed(d, [1, 2, 1, 2, 1] * 20)
            feed(d, [7, 7, 7, 7, 7, 7, 7, 7, 7, 7])
            found = wait_for(lambda: d.incidents('open'), 10)
            if not c.check(found and len(found) == 1, f'one incident is open: {found}'):
                c.finish()
            incident = found[0]['id']
            c.equal(found[0]['kind'], 'threshold', 'its kind')
            c.equal(found[0]['evidence'][0]['threshold'], 5, 'its evidence holds the threshold')
            refusals(c, d, incident)
            handle(c, d, incident)
            feed(d, [1, 2, 1, 2] * 5)
            c.check(wait_for(lambda: d.get(f'{T}/incidents/{incident}').json['resolved_at'], 20),
                    'recovery is verified and closes it')
            query = false_alarm(c, d, incident)
            review(c, d, incident)
            d.kill()
            d.start()
            rule = d.get('/api/v1/rules').json['data']['groups'][0]['rules'][0]
            c.equal(rule['query'], query, 'the threshold survives kill -9')
            c.equal(d.get(f'{T}/incidents/{incident}').json['state'], 'reviewed', 'the incident survives kill -9')
    c.finish()


main()
