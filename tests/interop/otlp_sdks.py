"""The official OpenTelemetry SDKs (JavaScript from npm, Python from PyPI, installed into a folder that is thrown away)
push to a daemon: what a query returns is what they recorded. Then hand-made messages: answers as OTLP/HTTP has them."""
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'e2e'))
os.environ.setdefault('TOCSIN_BINARY', os.path.abspath(sys.argv[1]))
from tocsin_test import Checks, Daemon, skip  # noqa: E402

NPM = ['@opentelemetry/api@1', '@opentelemetry/sdk-metrics@2', '@opentelemetry/resources@2', '@opentelemetry/exporter-metrics-otlp-http',
       '@opentelemetry/exporter-metrics-otlp-proto']
PIP = ['opentelemetry-sdk', 'opentelemetry-exporter-otlp-proto-http']
BOUNDS = ['0.1', '0.5', '1', '5', '+Inf']
PATHS = ['/v1/metrics', '/api/v1/otlp/v1/metrics']


def install_js(folder):
    if not shutil.which('npm'):
        return 'npm is not installed'
    with open(f'{folder}/package.json', 'w') as f:
        f.write('{}')
    done = subprocess.run(['npm', 'install', '--no-audit', '--no-fund', '--no-save', '--fetch-retries=1', '--loglevel=error', *NPM], cwd=folder,
                          capture_output=True, text=True, timeout=150)
    return None if done.returncode == 0 else 'npm: ' + done.stderr.strip()[-300:]


def install_python(folder):
    made = subprocess.run([sys.executable, '-m', 'venv', f'{folder}/venv'], capture_output=True, text=True)
    if made.returncode:
        return 'venv: ' + made.stdout.strip()[-300:]
    done = subprocess.run([f'{folder}/venv/bin/pip', 'install', '-q', '--retries', '1', *PIP], capture_output=True, text=True, timeout=150)
    return None if done.returncode == 0 else 'pip: ' + done.stderr.strip()[-300:]


def instant(daemon, expression):
    form = urllib.parse.urlencode({'query': expression}).encode()
    answer = daemon.call('POST', '/api/v1/query', form, headers={'Content-Type': 'application/x-www-form-urlencoded'}).json
    return answer['data']['result']


def one(daemon, expression):
    found = daemon.query(expression)
    return found[0][1] if len(found) == 1 else found


def compare_classic(checks, daemon, who, selector, values):
    checks.equal(one(daemon, f'wait_seconds_count{selector}'), len(values), f'{who}: histogram, count')
    checks.check(abs(one(daemon, f'wait_seconds_sum{selector}') - sum(values)) < 1e-9, f'{who}: histogram, sum')
    for bound in BOUNDS:
        wanted = sum(v <= float(bound) for v in values)
        checks.equal(one(daemon, f'wait_seconds_bucket{{le="{bound}",{selector[1:]}'), wanted, f'{who}: histogram, le={bound}')


def compare_native(checks, daemon, who, selector, values):
    found = instant(daemon, f'fine_bytes{selector}')
    if not checks.check(len(found) == 1 and 'histogram' in found[0], f'{who}: one native histogram, not {found}'):
        return
    h = found[0]['histogram'][1]
    checks.equal(int(h['count']), len(values), f'{who}: exponential histogram, count')
    checks.check(abs(float(h['sum']) - sum(values)) < 1e-6, f'{who}: exponential histogram, sum {h["sum"]}')
    for rule, lower, upper, count in h['buckets']:
        low, high = float(lower), float(upper)
        # a bucket around zero is closed at both ends; a value at an edge may fall to either side by rounding
        inside = sum((low < v <= high) or (rule == 3 and low <= v <= high) for v in values)
        near = sum(abs(v - e) <= 1e-9 * abs(e) for v in values for e in (low, high) if e)
        checks.check(abs(inside - int(count)) <= near, f'{who}: bucket ({lower}, {upper}] has {count}, wanted {inside}')
    checks.equal(sum(int(b[3]) for b in h['buckets']), len(values), f'{who}: exponential histogram, buckets')


def compare(checks, daemon, who, seen):
    selector = f'{{job="interop/{who}",instance="1"}}'
    for code, n in seen['requests'].items():
        checks.equal(one(daemon, f'requests_total{{http_code="{code}",{selector[1:]}'), n, f'{who}: counter {code}')
    checks.equal(one(daemon, f'queue_length{selector}'), seen['queue'], f'{who}: up-down counter')
    checks.equal(one(daemon, f'temperature_celsius{{room="a",{selector[1:]}'), seen['temperature'], f'{who}: gauge')
    checks.equal(one(daemon, f'work_done_total{selector}'), seen['total'], f'{who}: observed counter')
    compare_classic(checks, daemon, who, selector, seen['wait'])
    compare_native(checks, daemon, who, selector, seen['fine'])
    info = daemon.query(f'target_info{selector}')
    checks.check(len(info) == 1 and info[0][0].get('host_name') == 'h', f'{who}: target_info {info}')


def compare_exemplars(checks, daemon, who, selector, traces):
    """Each round one span recorded 9 seconds; a store keeps them by time."""
    form = urllib.parse.urlencode({'query': f'wait_seconds_bucket{{le="+Inf",{selector[1:]}', 'start': time.time() - 600, 'end': time.time() + 60})
    found = daemon.call('POST', '/api/v1/query_exemplars', form.encode(), headers={'Content-Type': 'application/x-www-form-urlencoded'}).json['data']
    have = [(e['labels'].get('trace_id'), float(e['value'])) for series in found for e in series['exemplars']]
    wanted = [(trace, 9.0) for trace in traces]
    checks.check(have and set(have) <= set(wanted) and have[-1] == wanted[-1], f'{who}: exemplars {have}, wanted of {wanted}')


def run_sender(checks, daemon, who, command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if not checks.check(done.returncode == 0, f'{who}: {done.stderr[-500:]}'):
        return
    said = json.loads(done.stdout.strip().splitlines()[-1])
    checks.equal(said['failures'], [], f'{who}: exports that failed')
    compare(checks, daemon, who, said['seen'])
    if 'traces' in said['seen']:
        compare_exemplars(checks, daemon, who, f'{{job="interop/{who}"}}', said['seen']['traces'])


def senders(checks, daemon, folder, js, python):
    n = 0
    for encoding in ('proto', 'json'):
        for temporality in ('cumulative', 'delta'):
            for compression in ('gzip', 'none'):
                url = daemon.url + PATHS[n % 2]
                n += 1
                arguments = [url, encoding, temporality, compression]
                suffix = f'{encoding}-{temporality}-{compression}'
                if js:
                    run_sender(checks, daemon, 'js-' + suffix, ['node', f'{HERE}/otlp_send.mjs', folder, *arguments])
                if python and encoding == 'proto':
                    run_sender(checks, daemon, 'py-' + suffix, [f'{folder}/venv/bin/python', f'{HERE}/otlp_send.py', *arguments])


def zstd(body):
    """A frame with one block that is not compressed (RFC 8878)."""
    return b'\x28\xb5\x2f\xfd\x60' + (len(body) - 256).to_bytes(2, 'little') + (1 | len(body) << 3).to_bytes(3, 'little') + body


def message(name, *values):
    now = int(time.time() * 1000) * 1000000
    points = [{'timeUnixNano': str(now), 'asDouble': v, 'attributes': [{'key': 'i', 'value': {'intValue': i}}]} for i, v in enumerate(values)]
    return json.dumps({'resourceMetrics': [{'scopeMetrics': [{'metrics': [{'name': name, 'gauge': {'dataPoints': points}}]}]}]},
                      indent=8).encode()


def answers(checks, daemon):
    def post(body, kind='application/json', path=PATHS[0], **headers):
        return daemon.call('POST', path, body, headers={'Content-Type': kind, **{k.replace('_', '-'): v for k, v in headers.items()}})
    good = message('plain', 1, 2)
    for body, coding in ((good, None), (gzip.compress(good), 'gzip'), (zstd(good), 'zstd')):
        answer = post(body, **({'Content_Encoding': coding} if coding else {}))
        checks.check(answer.status == 200 and answer.json == {}, f'{coding}: {answer.status} {answer.body[:200]}')
    checks.equal([v for _, v in daemon.query('sort(plain)')], [1, 2], 'what was posted')
    checks.equal(post(good, 'application/json; charset=utf-8').status, 200, 'a parameter of the content type')
    checks.equal(post(b'', 'application/x-protobuf').status, 200, 'an empty message is one')
    checks.equal(post(b'', 'application/x-protobuf').body, b'', 'the empty answer of protobuf')
    answer = post(b'{"resourceMetrics": 1}')
    checks.check(answer.status == 400 and answer.json['code'] == 3 and answer.json['message'], f'broken JSON: {answer.status} {answer.body}')
    answer = post(b'\x0a\x7f', 'application/x-protobuf')
    checks.check(answer.status == 400 and answer.body.startswith(b'\x08\x03\x12'), f'broken protobuf: {answer.status} {answer.body}')
    checks.equal(answer.headers['Content-Type'], 'application/x-protobuf', 'type of the answer')
    answer = post(message('...', 1))
    checks.check(answer.status == 200 and answer.json['partialSuccess']['rejectedDataPoints'] == '1'
                 and 'invalid_name' in answer.json['partialSuccess']['errorMessage'], f'partial success: {answer.body}')
    checks.equal(post(good, 'text/plain').status, 415, 'another content type')
    checks.equal(post(good, Content_Encoding='br').status, 415, 'another coding')
    checks.equal(post(gzip.compress(good)[:-9], Content_Encoding='gzip').status, 400, 'a broken coding')
    bomb = gzip.compress(b' ' * (33 << 20))
    checks.equal(post(bomb, Content_Encoding='gzip').status, 413, f'a bomb of {len(bomb) >> 10} KiB')
    long = post(message('plain', 1) + b' ' * (8 << 20))
    checks.check(long.status == 413 and long.json['code'] == 8 and '8 MiB' in long.json['message'], f'a long JSON message: {long.body[:200]}')
    checks.equal(daemon.get(PATHS[0]).status, 405, 'GET')
    text = daemon.get('/metrics', token=daemon.token).body.decode()
    checks.check('tocsin_otlp_refused_points_total{reason="invalid_name"} 1\n' in text, 'what is refused is counted by reason')
    checks.check('tocsin_otlp_failed_requests_total 3\n' in text, 'broken messages are counted')


def permissions(checks, folder):
    conf = f'{folder}/closed.yml'
    with open(conf, 'w') as f:
        f.write('host: {enabled: false}\ngpu: {enabled: false}\ndiscovery: {enabled: false}\nauth: {loopback: token}\n')
    with Daemon(config=conf) as daemon:
        for path in PATHS:
            headers = {'Content-Type': 'application/json'}
            checks.equal(daemon.call('POST', path, message('x', 1), headers=headers).status, 401, f'{path} without a token')
            checks.equal(daemon.call('POST', path, message('x', 1), headers=headers, token='wrong').status, 401, f'{path}, a wrong token')
            checks.equal(daemon.call('POST', path, message('x', 1), headers=headers, token=daemon.token).status, 200, f'{path}, the token')


def main():
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        conf = f'{folder}/t.yml'
        with open(conf, 'w') as f:
            f.write('host: {enabled: false}\ngpu: {enabled: false}\ndiscovery: {enabled: false}\nauth: {loopback: open}\n')
        permissions(checks, folder)
        js, python = install_js(folder), install_python(folder)
        for why in filter(None, (js, python)):
            print('not tried: ' + why, flush=True)
        with Daemon(config=conf) as daemon:
            answers(checks, daemon)
            senders(checks, daemon, folder, js is None, python is None)
    if js and python and not checks.failed:
        skip('neither registry could be reached; hand-made messages passed')
    checks.finish()


main()
