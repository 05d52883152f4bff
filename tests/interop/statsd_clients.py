"""The clients `statsd` and `datadog` from PyPI send over UDP and TCP; what a query returns is what they sent."""
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'e2e'))
os.environ.setdefault('TOCSIN_BINARY', os.path.abspath(sys.argv[1]))
from tocsin_test import Checks, Daemon, wait_for  # noqa: E402

PIP = ['statsd', 'datadog']
CONFIG = '''host: {enabled: false}
gpu: {enabled: false}
discovery: {enabled: false}
auth: {loopback: open}
statsd: {listen_udp: "127.0.0.1:0", listen_tcp: "127.0.0.1:0", flush_interval: 200ms, ttl: 3s}
'''
STATSD = '''
import sys, statsd
for make, port, p in ((statsd.StatsClient, sys.argv[1], 'udp'), (statsd.TCPStatsClient, sys.argv[2], 'tcp')):
    c = make('127.0.0.1', int(port), prefix=p)
    for i in range(100):
        c.incr('requests.total')
        c.timing('latency', 100 + i)
    c.decr('requests.total', 10)
    c.gauge('temperature', 40); c.gauge('temperature', -1.5, delta=True)
    for u in 'abcab':
        c.set('users', u)
    with c.pipeline() as pipe:
        pipe.incr('piped', 2); pipe.incr('piped', 3)
'''
DATADOG = '''
import sys
from datadog.dogstatsd import DogStatsd
c = DogStatsd(host='127.0.0.1', port=int(sys.argv[1]), constant_tags=['env:prod'], disable_telemetry=True)
for i in range(50):
    c.increment('dog.jobs', tags=['queue:a'])
    c.histogram('dog.size', 2 ** (i % 10))
    c.distribution('dog.dist', i + 1)
c.gauge('dog.level', 3.25, tags=['room:x y', 'flag'])
c.set('dog.users', 'u1'); c.set('dog.users', 'u2')
c.event('title', 'text')
c.service_check('up', 0)
c.flush()
'''


def ports(daemon):
    text = daemon.log.read_text()
    return [re.search(rf'StatsD over {kind} on 127.0.0.1:(\d+)', text)[1] for kind in ('UDP', 'TCP')]


def one(daemon, expression):
    found = daemon.query(expression)
    return found[0][1] if len(found) == 1 else found


def expect(checks, daemon, expression, wanted):
    got = wait_for(lambda: one(daemon, expression) == wanted, 10)
    checks.check(got, f'{expression}: got {one(daemon, expression)}, wanted {wanted}')


def metric(daemon, name):
    text = daemon.get('/metrics', token=daemon.token).body.decode()
    found = re.search(rf'^{re.escape(name)} (\S+)$', text, re.M)
    return float(found[1]) if found else None


def by_hand(checks, daemon, udp, tcp):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b'hand.multi:1:2:3|c|#a:b\nbroken\nhand.rate:1|c|@0.1', ('127.0.0.1', int(udp)))
    expect(checks, daemon, 'hand_multi{a="b"}', 6)
    expect(checks, daemon, 'hand_rate', 10)
    checks.equal(metric(daemon, 'tocsin_statsd_refused_total{reason="malformed"}'), 1, 'a broken line is counted')
    with socket.create_connection(('127.0.0.1', int(tcp))) as c:
        c.sendall(b'stream.a:1|')
        time.sleep(0.1)
        c.sendall(b'c\nstream.a:2|c\n' + b'x' * 20000 + b'\nstream.last:4|g')
    expect(checks, daemon, 'stream_a', 3)
    expect(checks, daemon, 'stream_last', 4)
    checks.equal(metric(daemon, 'tocsin_statsd_refused_total{reason="too_long"}'), 1, 'an endless line is counted')
    checks.check(wait_for(lambda: daemon.query('hand_rate') == [], 10), 'a series that is idle for its ttl ends')


def clients(checks, daemon, folder, udp, tcp):
    for program in (STATSD, DATADOG):
        done = subprocess.run([f'{folder}/venv/bin/python', '-c', program, udp, tcp], capture_output=True, text=True, timeout=60)
        checks.check(done.returncode == 0, f'client: {done.stderr[-500:]}')
    # the series end after their ttl: a range over it sees them
    for p in ('udp', 'tcp'):
        expect(checks, daemon, f'last_over_time({p}_requests_total[1m])', 90)
        expect(checks, daemon, f'last_over_time({p}_temperature[1m])', 38.5)
        expect(checks, daemon, f'max_over_time({p}_users[1m])', 3)
        expect(checks, daemon, f'last_over_time({p}_piped[1m])', 5)
        expect(checks, daemon, f'last_over_time({p}_latency_count[1m])', 100)
        expect(checks, daemon, f'round(last_over_time({p}_latency_sum[1m]), 0.001)', 14.95)
        expect(checks, daemon, f'histogram_count(last_over_time({p}_latency[1m]))', 100)
        median = one(daemon, f'histogram_quantile(0.5, last_over_time({p}_latency[1m]))')
        checks.check(isinstance(median, float) and 0.135 < median < 0.165, f'{p}: median of the timer, {median}')
    expect(checks, daemon, 'last_over_time(dog_jobs{queue="a",env="prod"}[1m])', 50)
    expect(checks, daemon, 'last_over_time(dog_level{room="x_y",flag="true",env="prod"}[1m]) or last_over_time(dog_level{room="x y",flag="true"}[1m])', 3.25)
    expect(checks, daemon, 'max_over_time(dog_users[1m])', 2)
    expect(checks, daemon, 'histogram_sum(last_over_time(dog_dist[1m]))', sum(range(1, 51)))
    expect(checks, daemon, 'histogram_count(last_over_time(dog_size[1m]))', 50)
    checks.equal(metric(daemon, 'tocsin_statsd_refused_total{reason="event_or_service_check"}'), 2, 'events and service checks are counted')


def install(folder):
    made = subprocess.run([sys.executable, '-m', 'venv', f'{folder}/venv'], capture_output=True, text=True)
    if made.returncode:
        return 'venv: ' + made.stdout.strip()[-300:]
    done = subprocess.run([f'{folder}/venv/bin/pip', 'install', '-q', '--retries', '1', *PIP], capture_output=True, text=True, timeout=150)
    return None if done.returncode == 0 else 'pip: ' + done.stderr.strip()[-300:]


def main():
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        with open(f'{folder}/t.yml', 'w') as f:
            f.write(CONFIG)
        why = install(folder)
        with Daemon(config=f'{folder}/t.yml') as daemon:
            udp, tcp = ports(daemon)
            by_hand(checks, daemon, udp, tcp)
            if not why:
                clients(checks, daemon, folder, udp, tcp)
            checks.equal(daemon.stop(), 0, 'the daemon stops')
    if why and not checks.failed:
        print('skipped: the clients could not be installed: ' + why)
        sys.exit(77)
    checks.finish()


main()
