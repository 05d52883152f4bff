"""A data directory of Debian's Prometheus goes into tocsin and back: every sample is the same bit by bit, promtool reads
what tocsin wrote, and a Prometheus started on it answers the same. usage: prometheus_tsdb.py TOCSIN"""
import json
import math
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', d) for d in ('e2e', 'conformance')]
import prometheus_peer as peer  # noqa: E402
import remote_write_body as body  # noqa: E402
from tocsin_test import Checks, skip  # noqa: E402
from twin_servers import free_port  # noqa: E402

TOCSIN = os.path.abspath(sys.argv[1])
HOUR_MS = 3600_000
STALE = struct.unpack('<d', struct.pack('<Q', 0x7ff0000000000002))[0]


def run(*arguments, timeout=120):
    p = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=timeout)
    return p.returncode, p.stdout, p.stderr


class Prometheus(peer.Server):
    """A Prometheus on a folder that stays when it is killed."""

    def __init__(self, data, *flags):
        port = free_port()
        super().__init__(f'127.0.0.1:{port}')
        config = data + '.yml'
        with open(config, 'w') as f:
            f.write('global: {scrape_interval: 1h}\nstorage: {tsdb: {out_of_order_time_window: 1d}}\n' if '--late' in flags else 'global: {scrape_interval: 1h}\n')
        self.process = subprocess.Popen(
            [shutil.which('prometheus'), f'--config.file={config}', f'--storage.tsdb.path={data}', f'--web.listen-address={self.address}',
             '--web.enable-remote-write-receiver', '--web.enable-admin-api', '--storage.tsdb.min-block-duration=2h', '--storage.tsdb.retention.time=100y',
             '--log.level=error', *(f for f in flags if f != '--late')], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                if self.request('GET', '/-/ready')[0] == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        raise SystemExit('Prometheus never became ready')

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def make_series(start_ms, hours):
    """(labels, [(ms, value)]): counters, gauges, constants, odd values, gaps, one sample, UTF-8 values."""
    step, end = 30_000, start_ms + hours * HOUR_MS
    times = range(start_ms, end, step)
    series = []
    for i in range(12):
        series.append(({'__name__': 'requests_total', 'instance': f'i{i}', 'job': 'x'}, [(t, float((t - start_ms) // 1000 * (i + 1))) for t in times]))
        series.append(({'__name__': 'load', 'instance': f'i{i}'}, [(t + i * 7 % 5, math.sin(t / 1e6 + i)) for t in times]))
    series.append(({'__name__': 'constant', 'note': 'größe "β" \\ \n'}, [(t, 1.0) for t in times]))
    odd = [math.inf, -math.inf, -0.0, 0.0, 5e-324, 1.7976931348623157e308, STALE, math.nan, 1 / 3]
    series.append(({'__name__': 'odd'}, [(t, odd[k % len(odd)]) for k, t in enumerate(times)]))
    series.append(({'__name__': 'gaps'}, [(t, float(k)) for k, t in enumerate(times) if k % 97 < 40]))
    series.append(({'__name__': 'jumps'}, [(start_ms + k * k * 137 + k, float(k)) for k in range(400) if start_ms + k * k * 137 + k < end]))
    series.append(({'__name__': 'once'}, [(start_ms + HOUR_MS + 17, 42.5)]))
    return series


def dump(directory):
    """What promtool sees: {series: {ms: text of the value}}."""
    code, out, err = run('promtool', 'tsdb', 'dump', directory)
    if code:
        raise SystemExit(f'promtool tsdb dump {directory}: {err}')
    found = {}
    for line in out.splitlines():
        series, value, ms = line.rsplit(' ', 2)
        found.setdefault(series, {})[int(ms)] = value
    return found


def openmetrics_blocks(directory, start_s):
    """Blocks made by promtool from a text."""
    path = directory + '.om'
    with open(path, 'w') as f:
        f.write('# TYPE old gauge\n')
        for k in range(3000):
            f.write(f'old{{k="{k % 3}"}} {k / 7!r} {start_s + k * 10}\n')
        f.write('# EOF\n')
    return run('promtool', 'tsdb', 'create-blocks-from', 'openmetrics', path, directory)[0]


def fill(data, series):
    """Written in order of time so that the head makes blocks on its way; deletions in a block and in the log; killed."""
    prometheus = Prometheus(data)
    prometheus.fill(series, slice_ms=HOUR_MS)
    for name, start, end in (('load', 2.5, 3.25), ('requests_total', 15.5, 15.9)):
        base = series[0][1][0][0]
        form = urllib.parse.urlencode({'match[]': name + '{instance=~"i[12]"}', 'start': (base + start * HOUR_MS) / 1000,
                                       'end': (base + end * HOUR_MS) / 1000})
        prometheus.request('POST', '/api/v1/admin/tsdb/delete_series?' + form)
    time.sleep(1)
    prometheus.kill()


def directory_kinds(data):
    names = os.listdir(data)
    return sum(len(n) == 26 for n in names), len(os.listdir(os.path.join(data, 'wal')))


def round_trip(c, work, source, name):
    """Import, export, compare dumps."""
    ours, back = os.path.join(work, name + '-ours'), os.path.join(work, name + '-back')
    before = {f: os.stat(os.path.join(d, f)).st_mtime_ns for d, _, fs in os.walk(source) for f in fs}
    code, out, err = run(TOCSIN, 'db', 'import-prometheus', source, '--data', ours)
    c.check(code == 0, f'{name}: import: exit {code} {out}{err}')
    after = {f: os.stat(os.path.join(d, f)).st_mtime_ns for d, _, fs in os.walk(source) for f in fs}
    c.check(before == after, f'{name}: the source was not changed')
    code, out, err = run(TOCSIN, 'db', 'verify', '--data', ours)
    c.check(' 0 damaged' in out, f'{name}: verify: {out}{err}')
    code, out, err = run(TOCSIN, 'db', 'export-prometheus', back, '--data', ours)
    c.check(code == 0, f'{name}: export: exit {code} {out}{err}')
    return ours, back


def compare(c, name, want, got):
    c.check(want.keys() == got.keys(), f'{name}: series differ: {list(want.keys() ^ got.keys())[:4]}')
    for series in want.keys() & got.keys():
        c.check(want[series] == got[series], f'{name}: {series}: {len(want[series])} and {len(got[series])} samples')
    print(f'{name}: {len(want)} series, {sum(map(len, want.values()))} samples')


def promtool_accepts(c, name, back):
    for verb in ('list', 'analyze'):
        code, out, err = run('promtool', 'tsdb', verb, back)
        c.check(code == 0, f'{name}: promtool tsdb {verb}: {err[:300]}')


def restarted_peer_answers_the_same(c, source, back, start_ms, end_ms):
    answers = []
    for data in (source, back):
        copy = data + '-copy'
        shutil.copytree(data, copy)
        server = Prometheus(copy)
        answers.append([server.query(peer.Query(q, start_ms, end_ms, 300_000)) for q in (
            'sum(rate(requests_total[5m]))', 'avg_over_time(load[10m])', 'count({__name__=~".+"})', 'odd', 'old')])
        server.kill()
    for one, other in zip(*answers):
        c.check(str(one) == str(other), f'a Prometheus on the exported blocks: {str(one)[:200]} {str(other)[:200]}')


def damaged_directory(c, work, source):
    """Flipped bytes cost what they hit, are told, and never end the import."""
    broken = os.path.join(work, 'broken')
    shutil.copytree(source, broken)
    blocks = sorted(n for n in os.listdir(broken) if len(n) == 26)
    for path in (f'{blocks[0]}/chunks/000001', f'{blocks[-1]}/index'):
        with open(os.path.join(broken, path), 'r+b') as f:
            f.seek(os.path.getsize(f.name) // 2)
            byte = f.read(1)
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte[0] ^ 0x55]))
    code, out, err = run(TOCSIN, 'db', 'import-prometheus', broken, '--data', broken + '-ours')
    c.check(code in (0, 6), f'damage: exit {code} {err}')
    c.check('damaged places' in out or 'left out' in err, f'damage is told: {out} {err}')
    print(f'damaged: {out.strip()} | {err.strip()[:200]}')


def selection(c, work, source, start_ms):
    ours = os.path.join(work, 'part')
    code, out, err = run(TOCSIN, 'db', 'import-prometheus', source, '--data', ours, '--match', 'load{instance="i3"}',
                         '--from', start_ms / 1000, '--to', (start_ms + HOUR_MS) / 1000)
    c.check(code == 0 and out.startswith('121 samples') or out.startswith('120 samples'), f'selection: {code} {out} {err}')
    c.check(run(TOCSIN, 'db', 'import-prometheus', work + '/nothing', '--data', ours)[0] == 1, 'a missing directory fails')
    c.check(run(TOCSIN, 'db', 'import-prometheus', source, '--match', 'rate(x[5m])')[0] == 2, 'an expression is no selector')


def float_histogram(t_ms, count, total, spans, counts):
    out = body.field(2, float(count)) + body.field(3, float(total)) + body.signed(4, 2) + body.field(5, 0.001) + body.field(7, 0.5)
    return out + body.spans(11, spans) + body.field(13, b''.join(struct.pack('<d', v) for v in counts)) + body.field(15, t_ms)


def histogram_messages(start_ms, count):
    """Integers that grow, start again and get new buckets, floats, an end; as many messages of 100 samples as it takes."""
    for first in range(0, count, 100):
        part = [(k, start_ms + k * 15_000) for k in range(first, min(first + 100, count))]
        whole, broken, ended = [], [], []
        for k, t in part:
            n = k % 130 + 1  # a reset every 130 samples
            spans = [(-3, 2), (4, 1)] if k < count / 2 else [(-3, 4), (2, 1)]
            counts = [n, 2 * n, 3 * n] if k < count / 2 else [n, 2 * n, n, n, 3 * n]
            whole.append(body.histogram(t, sum(counts) + 1, 0.1 * k, 3, 2.0 ** -128, 1, spans, counts))
            broken.append(float_histogram(t, 3.5 * n, k / 3, [(0, 2)], [1.25 * n, 1.75 * n]))
            if k < count - 3:
                ended.append(whole[-1])
        if part[-1][0] == count - 1:
            ended.append(body.field(3, STALE) + body.field(1, 0) + body.field(15, part[-1][1]))
        yield b''.join(body.series({'__name__': name, 'job': 'h'}, histograms=h) for name, h in (('broken', broken), ('ended', ended), ('whole', whole)))


def post_histograms(server, messages):
    for message in messages:
        status, text = server.request('POST', '/api/v1/write', peer.snappy(message), {
            'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy', 'X-Prometheus-Remote-Write-Version': '0.1.0'})
        if status // 100 != 2:
            raise SystemExit(f'histograms: {status} {text[:300]}')


def answers(server, times):
    """Every sample, and what is computed from them, as the API prints them."""
    found = {}
    for query in ('{job="h"}[2d]', 'rate(whole[2m])', 'increase(broken[10m])', 'histogram_quantile(0.9, whole)', 'histogram_count(ended)'):
        for t in times[-1:] if query.endswith(']') else times:
            form = urllib.parse.urlencode({'query': query, 'time': t / 1000})
            status, text = server.request('POST', '/api/v1/query', form, {'Content-Type': 'application/x-www-form-urlencoded'})
            found[query, t] = (status, sorted(map(str, json.loads(text)['data']['result'])))
    return found


def native_histograms(c, work):
    """From the log and, by a snapshot, from a block: the same samples and the same answers."""
    source, flag, count = os.path.join(work, 'histograms'), '--enable-feature=native-histograms', 600
    start_ms = int(time.time() * 1000) // (2 * HOUR_MS) * 2 * HOUR_MS - 2 * HOUR_MS
    prometheus = Prometheus(source, flag)
    post_histograms(prometheus, histogram_messages(start_ms, count))
    status, text = prometheus.request('POST', '/api/v1/admin/tsdb/snapshot')
    c.check(status == 200, f'snapshot: {status} {text[:200]}')
    times = [start_ms + k * 15_000 for k in range(0, count, 7)] + [start_ms + count * 15_000]
    want = answers(prometheus, times)
    c.check(sum(len(r) for _, r in want.values()) > 300, 'there is something to compare')
    prometheus.kill()
    snapshot = os.path.join(source, 'snapshots', json.loads(text)['data']['name'])
    for name, directory in (('log', source), ('block', snapshot)):
        _, back = round_trip(c, work, directory, 'histograms-' + name)
        promtool_accepts(c, name, back)
        server = Prometheus(back, flag)
        got = answers(server, times)
        server.kill()
        for key in want:
            c.check(want[key] == got[key], f'native histograms by the {name}: {key}: {str(want[key])[:300]} {str(got[key])[:300]}')
    print(f'native histograms: {3 * count - 2} samples, {len(want)} answers')


def late_samples(c, work):
    """What came out of order waits in a log of its own."""
    source, now_ms = os.path.join(work, 'late'), int(time.time() * 1000) // 1000 * 1000
    name, prometheus = {'__name__': 'late', 'job': 'l'}, Prometheus(source, '--late')
    order = [0] + [-k * 60_000 for k in range(1, 300)] + [1000, -17_000]
    for delta in order:
        prometheus.write([(name, [(now_ms + delta, float(delta))])])
    prometheus.kill()
    c.check(any(os.path.getsize(os.path.join(source, 'wbl', f)) for f in os.listdir(source + '/wbl')), 'there is a log of late samples')
    _, back = round_trip(c, work, source, 'late')
    got = dump(back)
    wanted = {now_ms + delta: float(delta) for delta in order}
    for samples in got.values():
        c.check({t: float(v) for t, v in samples.items()} == wanted, f'late samples: {len(samples)} of {len(wanted)}')
    c.check(len(got) == 1, f'late samples: {len(got)} series')
    print(f'late: {len(wanted)} samples')


def main():
    if not shutil.which('promtool') or not shutil.which('prometheus'):
        skip('no prometheus here')
    c = Checks()
    work = tempfile.mkdtemp(prefix='prometheus-tsdb-')
    try:
        source = os.path.join(work, 'source')
        hours = 16
        start_ms = (int(time.time() * 1000) // (2 * HOUR_MS) * 2 - hours + 1) * HOUR_MS
        series = make_series(start_ms, hours)
        os.mkdir(source)
        c.check(openmetrics_blocks(source, start_ms // 1000 - 40 * 3600) == 0, 'promtool made blocks')
        fill(source, series)
        blocks, segments = directory_kinds(source)
        # Prometheus merges blocks when it finds the time: how many there are differs.
        c.check(blocks > 2 and segments > 0, f'{blocks} blocks, {segments} entries of the log')
        print(f'source: {blocks} blocks, {segments} entries in wal')
        ours, back = round_trip(c, work, source, 'all')
        promtool_accepts(c, 'all', back)
        compare(c, 'all', dump(source), dump(back))
        code, out, _ = run(TOCSIN, 'db', 'import-prometheus', back, '--data', ours)
        c.check(code == 0, f'the same again: {code} {out}')
        run(TOCSIN, 'db', 'export-prometheus', back + '2', '--data', ours)
        compare(c, 'twice', dump(back), dump(back + '2'))
        restarted_peer_answers_the_same(c, source, back, start_ms, start_ms + hours * HOUR_MS - 60_000)
        damaged_directory(c, work, source)
        selection(c, work, source, start_ms)
        native_histograms(c, work)
        late_samples(c, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    c.finish()


if __name__ == '__main__':
    main()
