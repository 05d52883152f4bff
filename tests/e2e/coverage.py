#!/usr/bin/env python3
"""Coverage of a run: the API and `tocsin doctor coverage` say which failure modes are watched and what the others lack."""
import json
import subprocess
import time

from tocsin_test import BINARY, Checks, Daemon, wait_for

PATH = '/api/tocsin/v1/runs/{}/coverage'


def send(d, run, **fields):
    line = json.dumps({'t': time.time(), **fields}).encode()
    return d.call('POST', f'/api/tocsin/v1/ingest/run?run={run}', body=line, token=d.token).status


def command(d, *arguments):
    return subprocess.run([BINARY, 'doctor', 'coverage', *arguments, '--server', d.url, '--data', str(d.data)],
                          capture_output=True, text=True, timeout=60)


def main():
    c = Checks()
    with Daemon() as d:
        none = d.call('GET', PATH.format('nobody'), token=d.token)
        c.equal((none.status, none.json['title'] if none.json else None), (404, none.json and none.json['title']), 'an unknown run')
        c.equal(send(d, 'a%20b', step=1, loss=2.5, grad_norm=1), 204, 'a report')
        wait_for(lambda: d.call('GET', PATH.format('a%20b'), token=d.token).status == 200, timeout=20)
        answer = d.call('GET', PATH.format('a%20b'), token=d.token).json
        coverage = answer['coverage']
        blind = {b['kind']: b['missing'] for b in coverage['blind']}
        c.equal(answer['run'], 'a b', 'the run')
        c.equal(coverage['modes'], len(coverage['watched']) + len(blind), 'every mode is watched or blind')
        c.check({'divergence', 'hang', 'exploding_gradient'} <= set(coverage['watched']), f'watched: {coverage["watched"]}')
        c.equal(blind.get('vanishing_gradient'), 'train_layer_grad_norm', 'what is missing')
        c.equal(send(d, 'a%20b', step=2, loss=2.4, layers={'l': {'grad_norm': 1}}), 204, 'a report with layers')
        wait_for(lambda: 'vanishing_gradient' in d.call('GET', PATH.format('a%20b'), token=d.token).json['coverage']['watched'],
                 timeout=20)
        shown = command(d, 'a b')
        c.equal(shown.returncode, 0, shown.stderr)
        c.check('vanishing_gradient' in shown.stdout and 'train_update_ratio' in shown.stdout, shown.stdout)
        c.equal(json.loads(command(d, 'a b', '-o', 'json').stdout)['modes'], coverage['modes'], 'JSON of the command')
        c.equal(command(d, 'nobody').returncode, 1, 'the command and an unknown run')
        c.equal(command(d).returncode, 2, 'the command without a run')
    c.finish()


if __name__ == '__main__':
    main()
