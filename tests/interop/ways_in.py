"""Clients of other systems push to a daemon, and what a query returns is what they sent: influxdb-client (v2 API),
influxdb (v1 API) and prometheus_client from PyPI, lines as Telegraf writes them, JSON lines and CSV that go out and in again,
OpenMetrics that the real promtool makes blocks of."""
import gzip
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'e2e'))
os.environ.setdefault('TOCSIN_BINARY', os.path.abspath(sys.argv[1]))
from tocsin_test import Checks, Daemon  # noqa: E402

PIP = ['influxdb-client', 'influxdb', 'prometheus_client', 'setuptools<80', 'six']
CONFIG = 'host: {enabled: false}\ngpu: {enabled: false}\ndiscovery: {enabled: false}\nauth: {loopback: open}\ninflux: {database_label: db}\n'

V2 = '''
import sys
from influxdb_client import InfluxDBClient, Point, WritePrecision
from influxdb_client.client.write_api import SYNCHRONOUS
from influxdb_client.rest import ApiException
url, token, now = sys.argv[1], sys.argv[2], int(sys.argv[3])
with InfluxDBClient(url=url, token=token, org='o', enable_gzip=True) as c:
    assert c.ping()
    assert c.health().status == 'pass'
    w = c.write_api(write_options=SYNCHRONOUS)
    points = [Point('v2 metric').tag('host name', 'a, b=c').field('load', i + 0.5).field('n', i).field('up', True)
              .field('text', 'x "y" \\\\ z').time(now + i, WritePrecision.MS) for i in range(500)]
    w.write('bucket1', record=points, write_precision=WritePrecision.MS)
    try:
        w.write('bucket1', record='ok v=1\\nbroken', write_precision=WritePrecision.S)
        raise SystemExit('no error for a broken line')
    except ApiException as e:
        assert e.status == 400 and 'line 2' in e.body, e
'''
V1 = '''
import sys
from urllib.parse import urlparse
from influxdb import InfluxDBClient
u, now = urlparse(sys.argv[1]), int(sys.argv[3])
c = InfluxDBClient(u.hostname, u.port, username='any', password=sys.argv[2], database='telegraf')
assert c.ping() == '1.8.10'
c.create_database('telegraf')
c.write_points([{'measurement': 'v1', 'tags': {'core': str(i)}, 'time': now // 1000, 'fields': {'value': i * 2.0, 'n': i}} for i in range(50)],
               time_precision='s')
'''
PUSH = '''
import sys, urllib.request
import prometheus_client as p
url = sys.argv[1]
r = p.CollectorRegistry()
c = p.Counter('pushed_jobs', 'Jobs.', ['kind'], registry=r)
c.labels('a').inc(3); c.labels('b"\\n\\\\').inc(5)
h = p.Histogram('pushed_wait_seconds', 'Wait.', buckets=(1, 2), registry=r)
for v in (0.5, 1.5, 3): h.observe(v)
p.Gauge('pushed_inf', 'Infinity.', registry=r).set(float('inf'))
q = urllib.request.Request(url + '/api/v1/import/prometheus?extra_label=instance=batch7', data=p.generate_latest(r), method='POST')
assert urllib.request.urlopen(q).status == 204
'''
TELEGRAF = '''cpu,cpu=cpu-total,host=box usage_idle=98.25,usage_user=1.5 {t}000000000
disk,device=nvme0n1p2,fstype=ext4,host=box,mode=rw,path=/ free=412345678848i,total=502392610816i,used_percent=17.92 {t}000000000
system,host=box load1=0.42,n_cpus=16i,uptime_format="12 days,  3:04" {t}000000000
nvidia_smi,arch=Hopper,host=box,name=NVIDIA\\ H100\\ 80GB\\ HBM3,pstate=P0 temperature_gpu=41i,power_draw=118.7,driver_version="550.54" {t}000000000
'''


def one(daemon, expression):
    found = daemon.query(expression)
    return found[0][1] if len(found) == 1 else found


def export(daemon, path, match, **parameters):
    query = urllib.parse.urlencode({'match[]': match, **parameters})
    answer = daemon.get(f'/api/v1/export{path}?{query}')
    if answer.status != 200:
        raise RuntimeError(answer.body)
    return answer.body.decode()


def install(folder):
    made = subprocess.run([sys.executable, '-m', 'venv', f'{folder}/venv'], capture_output=True, text=True)
    if made.returncode:
        return 'venv: ' + made.stdout.strip()[-300:]
    done = subprocess.run([f'{folder}/venv/bin/pip', 'install', '-q', '--retries', '1', *PIP], capture_output=True, text=True, timeout=150)
    return None if done.returncode == 0 else 'pip: ' + done.stderr.strip()[-300:]


def run_client(checks, daemon, folder, name, program, now):
    done = subprocess.run([f'{folder}/venv/bin/python', '-c', program, daemon.url, daemon.token, str(now)], capture_output=True, text=True,
                          timeout=60)
    return checks.check(done.returncode == 0, f'{name}: {done.stderr[-600:]}')


def clients(checks, daemon, folder):
    now = int(time.time() * 1000) // 1000 * 1000 - 2000
    if run_client(checks, daemon, folder, 'influxdb-client', V2, now):
        lines = [json.loads(x) for x in export(daemon, '', '{__name__=~"v2_metric_.*"}').splitlines()]
        got = {x['metric']['__name__']: x for x in lines}
        checks.equal(sorted(got), ['v2_metric_load', 'v2_metric_n', 'v2_metric_up'], 'influxdb-client: series')
        checks.equal(got['v2_metric_load']['values'], [i + 0.5 for i in range(500)], 'influxdb-client: floats')
        checks.equal(got['v2_metric_n']['values'], list(range(500)), 'influxdb-client: integers')
        checks.equal(got['v2_metric_n']['timestamps'], [now + i for i in range(500)], 'influxdb-client: times')
        checks.equal(got['v2_metric_up']['metric'], {'__name__': 'v2_metric_up', 'host_name': 'a, b=c', 'db': 'bucket1'},
                     'influxdb-client: labels')
        checks.equal(one(daemon, 'ok_v'), 1, 'influxdb-client: the good line of a broken write')
    if run_client(checks, daemon, folder, 'influxdb', V1, now):
        checks.equal(one(daemon, 'sum(v1_value{db="telegraf"})'), sum(i * 2 for i in range(50)), 'influxdb: floats')
        checks.equal(one(daemon, 'v1_n{core="7"}'), 7, 'influxdb: integers')
    if run_client(checks, daemon, folder, 'prometheus_client', PUSH, now):
        checks.equal(one(daemon, 'pushed_jobs_total{kind="a",instance="batch7"}'), 3, 'prometheus_client: counter')
        checks.equal([m['kind'] for m, v in daemon.query('pushed_jobs_total == 5')], ['b"\n\\'], 'prometheus_client: an escaped label')
        checks.equal(one(daemon, 'pushed_wait_seconds_bucket{le="2.0"}'), 2, 'prometheus_client: histogram')
        checks.equal(one(daemon, 'pushed_inf'), math.inf, 'prometheus_client: infinity')
        kind = daemon.get('/api/v1/metadata?metric=pushed_jobs').json['data'] or daemon.get('/api/v1/metadata?metric=pushed_jobs_total').json['data']
        checks.equal([x['type'] for v in kind.values() for x in v], ['counter'], 'prometheus_client: type')


def post(daemon, path, body, **headers):
    return daemon.call('POST', path, body, headers={'Content-Type': 'text/plain', **headers})


def telegraf(checks, daemon):
    now = int(time.time())
    body = gzip.compress(TELEGRAF.replace('{t}', str(now)).encode())
    checks.equal(post(daemon, '/api/v2/write?bucket=b&org=o&precision=ns', body, **{'Content-Encoding': 'gzip'}).status, 204, 'Telegraf, gzip')
    checks.equal(one(daemon, 'cpu_usage_idle{cpu="cpu-total",host="box",db="b"}'), 98.25, 'Telegraf: cpu')
    checks.equal(one(daemon, 'disk_free{path="/"}'), 412345678848, 'Telegraf: disk')
    checks.equal(one(daemon, 'nvidia_smi_power_draw{name="NVIDIA H100 80GB HBM3"}'), 118.7, 'Telegraf: GPU')
    text = daemon.get('/metrics', token=daemon.token).body.decode()
    checks.check('\ntocsin_import_skipped_strings_total 2\n' in text, 'fields of text are counted')
    checks.equal(daemon.get('/ping').status, 204, '/ping')
    checks.equal(post(daemon, '/query?q=SHOW+DATABASES', b'').status, 400, 'InfluxQL')
    checks.equal(post(daemon, '/write', gzip.compress(b' ' * (33 << 20)), **{'Content-Encoding': 'gzip'}).status, 413, 'a bomb')
    form = daemon.call('POST', '/write', b'formtype v=1', headers={'Content-Type': 'application/x-www-form-urlencoded'})
    checks.equal((form.status, one(daemon, 'formtype_v')), (204, 1), 'the content type that curl -d sends')


def round_trip(checks, daemon):
    """JSON lines and CSV out of one series set and into another: equal."""
    rng, now = random.Random(4), int(time.time() * 1000)
    special = [math.nan, math.inf, -math.inf, None, 0.0, -0.0, 5e-324, 1.7976931348623157e308, 0.1 + 0.2]
    lines, start = [], now - 3_000_000
    for k in range(20):
        values = [rng.choice(special) if rng.random() < 0.1 else rng.uniform(-1e6, 1e6) for _ in range(1000)]
        texts = ['NaN' if v is not None and math.isnan(v) else ('-' * (v < 0) + 'Infinity') if v is not None and math.isinf(v) else v for v in values]
        lines.append({'metric': {'__name__': 'trip', 'k': str(k), 'ütf': 'a"\\\n,'}, 'values': texts, 'timestamps': [start + i * 1000 for i in range(1000)]})
    body = '\n'.join(json.dumps(x) for x in lines).encode()
    checks.equal(post(daemon, '/api/v1/import', body).status, 204, 'JSON lines in')
    out = sorted((json.loads(x) for x in export(daemon, '', 'trip').splitlines()), key=lambda x: int(x['metric']['k']))
    checks.equal(out, lines, 'JSON lines out are what came in')
    csv = export(daemon, '/csv', '{__name__="trip"}', format='k,__timestamp__:unix_ms,__value__,ütf')
    checks.equal(post(daemon, '/api/v1/import/csv?format=' + urllib.parse.quote('1:label:k,2:time:unix_ms,3:metric:csvtrip,4:label:ütf'),
                      csv.encode()).status, 204, 'CSV in')
    again = sorted((json.loads(x) for x in export(daemon, '', 'csvtrip').splitlines()), key=lambda x: int(x['metric']['k']))
    for x in lines:
        kept = [(v, t) for v, t in zip(x['values'], x['timestamps']) if v is not None]
        x.update(metric={**x['metric'], '__name__': 'csvtrip'}, values=[v for v, _ in kept], timestamps=[t for _, t in kept])
    checks.equal(again, lines, 'CSV out and in again')
    ranged = export(daemon, '', 'trip{k="3"}', start=(start + 5000) / 1000, end=(start + 9000) / 1000)
    checks.equal(json.loads(ranged)['timestamps'], [start + i * 1000 for i in range(5, 10)], 'start and end')
    both = daemon.get('/api/v1/export?' + urllib.parse.urlencode([('match[]', 'trip{k="1"}'), ('match[]', 'trip{k=~"1|2"}')])).body.decode()
    checks.equal(len(both.splitlines()), 2, 'a series of two selectors comes once')
    checks.equal(daemon.get('/api/v1/export').status, 400, 'export without match[]')
    checks.equal(daemon.get('/api/v1/export/csv?match[]=trip').status, 400, 'CSV without columns')


def commands(checks, daemon, folder):
    """`tocsin db export` and `db import`: what one wrote the other reads."""
    out = f'{folder}/trip.jsonl'
    code, said, told = daemon.command('db', 'export', out, '--match', 'trip')
    checks.equal((code, open(out).read()), (0, export(daemon, '', 'trip')), f'db export: {told}')
    with open(out) as f:
        renamed = f.read().replace('"trip"', '"cmdtrip"')
    with open(out, 'w') as f:
        f.write('bad\n' + renamed * 12 + 'worse\n')
    code, said, told = daemon.command('db', 'import', out)
    checks.equal((code, said.strip()), (6, f'{out}: 242 lines sent, 2 refused'), 'db import: result')
    checks.check(f'{out}:1: ' in told and f'{out}:242: ' in told, f'db import: line numbers in {told}')
    checks.equal(one(daemon, 'sum(count_over_time(cmdtrip[1d]))'), one(daemon, 'sum(count_over_time(trip[1d]))'), 'db import: samples')
    code, csv, _ = daemon.command('db', 'export', '--match', 'trip{k="1"}', '--format', 'csv', '--columns', 'k,__value__,__timestamp__:unix_ms')
    with open(f'{folder}/x.csv', 'w') as f:
        f.write(csv)
    code, said, told = daemon.command('db', 'import', f'{folder}/x.csv', '--columns', '1:label:k,2:metric:x,3:time:unix_ms')
    checks.equal(code, 0, f'db import of CSV: {told}')
    checks.equal(one(daemon, 'count_over_time(x{k="1"}[1d])'), len(csv.splitlines()), 'db import of CSV: samples')
    checks.equal(daemon.command('db', 'import', f'{folder}/t.yml')[0], 2, 'an ending that is not known')
    checks.equal(daemon.command('db', 'export')[0], 2, 'export of nothing')


def promtool(checks, daemon, folder):
    """The real promtool reads our OpenMetrics: its dump has the same samples."""
    if not shutil.which('promtool'):
        print('not tried: promtool is not installed')
        return
    text = export(daemon, '/openmetrics', '{__name__=~"cpu_.*|disk_.*|csvtrip",k!="1"}').replace('"ütf"', 'utf')
    with open(f'{folder}/out.om', 'w') as f:
        f.write(text)
    made = subprocess.run(['promtool', 'tsdb', 'create-blocks-from', 'openmetrics', f'{folder}/out.om', f'{folder}/blocks'], capture_output=True, text=True)
    if not checks.check(made.returncode == 0, f'promtool: {made.stdout[-300:]}{made.stderr[-300:]}'):
        return
    os.mkdir(f'{folder}/blocks/wal')  # promtool opens nothing without it
    dump = subprocess.run(['promtool', 'tsdb', 'dump', f'{folder}/blocks'], capture_output=True, text=True).stdout
    got = sorted(x.rsplit(' ', 2)[1:] for x in dump.splitlines() if x)
    wanted = sorted([f'{float(x.rsplit(" ", 2)[1]):.17g}', str(round(float(x.rsplit(' ', 1)[1]) * 1000))] for x in text.splitlines() if x[0] != '#')
    same = sorted([f'{float(v):.17g}', t] for v, t in got)
    checks.check(len(wanted) > 10000 and same == wanted, f'promtool: {len(same)} samples of {len(wanted)}')


def main():
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        with open(f'{folder}/t.yml', 'w') as f:
            f.write(CONFIG)
        why = install(folder)
        with Daemon(config=f'{folder}/t.yml') as daemon:
            telegraf(checks, daemon)
            round_trip(checks, daemon)
            commands(checks, daemon, folder)
            promtool(checks, daemon, folder)
            if why:
                print('skipped: the clients: ' + why)
            else:
                clients(checks, daemon, folder)
    if why and not checks.failed:
        print(f'{checks.passed} passed; the clients could not be installed')
        sys.exit(77)
    checks.finish()


main()
