"""Tocsin forwards to Debian's Prometheus (remote write receiver) and to VictoriaMetrics, scraping an exporter and being pushed to;
the receivers go away and Tocsin dies by kill -9 in between: each receiver must then answer the same samples."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import prometheus_peer as peer
from prometheus_peer import check, failures, wait_for_http
from twin_servers import free_port

TOCSIN = os.path.abspath(sys.argv[1])
QUIET = 'host: {enabled: false}\ngpu: {enabled: false}\ndiscovery: {enabled: false}\nrules: {builtin: false}\n'


def run(command, ready, log):
    with open(log, 'ab') as out:
        p = subprocess.Popen(command, stdout=out, stderr=out)
    wait_for_http(ready)
    return p


def tocsin(folder, port):
    return run([TOCSIN, 'run', '--config', f'{folder}/t.yml', '--data', f'{folder}/tocsin', '--listen', f'127.0.0.1:{port}'],
               f'http://127.0.0.1:{port}/-/ready', f'{folder}/tocsin.log')


def prometheus(folder, port):
    return run(['prometheus', f'--config.file={folder}/p.yml', f'--storage.tsdb.path={folder}/prometheus',
                '--web.enable-remote-write-receiver', '--enable-feature=exemplar-storage', f'--web.listen-address=127.0.0.1:{port}'],
               f'http://127.0.0.1:{port}/-/ready', f'{folder}/prometheus.log')


def victoria(folder, port):
    return run(['victoria-metrics', f'-storageDataPath={folder}/victoria', f'-httpListenAddr=127.0.0.1:{port}', '-retentionPeriod=1y'],
               f'http://127.0.0.1:{port}/health', f'{folder}/victoria.log')


def stop(p, how=signal.SIGKILL):
    p.send_signal(how)
    p.wait()


def get(url, form=None):
    data = urllib.parse.urlencode(form).encode() if form else None
    return urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=20).read()


def matrix(port, selector, at):
    """Samples of the last hour by label set, without the label that only the receivers have."""
    answer = json.loads(get(f'http://127.0.0.1:{port}/api/v1/query', {'query': selector + '[1h]', 'time': f'{at:.3f}'}))
    return {tuple(sorted((k, v) for k, v in r['metric'].items() if k != 'origin')): sorted(tuple(v) for v in r['values'])
            for r in answer['data']['result']}


def exported(port, selector, at):
    """VictoriaMetrics evaluates rollups only: samples come from its export."""
    text = get(f'http://127.0.0.1:{port}/api/v1/export', {'match[]': selector, 'start': f'{at - 3600:.3f}', 'end': f'{at:.3f}',
                                                          'reduce_mem_usage': '1'})
    found = {}
    for line in text.decode().splitlines():
        row = json.loads(line)
        key = tuple(sorted((k, v) for k, v in row['metric'].items() if k != 'origin'))
        found.setdefault(key, []).extend((t / 1000, v) for t, v in zip(row['timestamps'], row['values']))
    return {k: sorted(v) for k, v in found.items()}


def numbers(m):
    """Texts, so that NaN equals NaN."""
    return {k: [(t, repr(float(v))) for t, v in rows] for k, rows in m.items()}


def rounded(m):
    """VictoriaMetrics keeps decimal numbers and no NaN, and a sample that came twice, as after kill -9, twice."""
    kept = {k: sorted({(t, f'{float(v):.10g}') for t, v in rows if v is not None and float(v) == float(v)})
            for k, rows in m.items()}
    return {k: rows for k, rows in kept.items() if rows}


def compare(ours, theirs, selector, what, seconds=60, form=numbers):
    """theirs(at): what the receiver has. Everything up to a moment, exactly."""
    at = time.time()
    want = form(matrix(ours, selector, at))
    end = time.monotonic() + seconds
    while True:
        have = form(theirs(at))
        wrong = sum(want.get(k) != have.get(k) for k in want.keys() | have.keys())
        if not wrong or time.monotonic() > end:
            break
        time.sleep(0.5)
    samples = sum(len(v) for v in want.values())
    check(want and not wrong, f'{what}: {len(want)} series, {samples} samples, {wrong} series differ')


def push(port, n, start=int(time.time() * 1000)):
    """A hundred samples of each of 20 series, times of their own."""
    series = [({'__name__': 'pushed', 'i': str(i)}, [(start + 100 * n + k, float(n * 1000 + k)) for k in range(100)])
              for i in range(20)]
    request = urllib.request.Request(f'http://127.0.0.1:{port}/api/v1/write', data=peer.snappy(peer.write_request(series)), headers={
        'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy'})
    return urllib.request.urlopen(request, timeout=20).status


def own_metric(port, name, remote):
    for line in get(f'http://127.0.0.1:{port}/metrics').decode().splitlines():
        if line.startswith(f'{name}{{') and f'"{remote}"' in line:
            return float(line.rsplit(' ', 1)[1])
    return -1.0


def configure(folder, ours, prom, vm, victoria_there):
    with open(f'{folder}/p.yml', 'w') as f:
        f.write('global: {scrape_interval: 1h}\nstorage: {tsdb: {out_of_order_time_window: 1h}}\n')
    text = QUIET + f'''
global: {{external_labels: {{origin: tocsin}}, scrape_interval: 1s}}
scrape_configs:
- job_name: prom
  static_configs: [{{targets: ["127.0.0.1:{prom}"]}}]
remote_write:
- name: prometheus
  url: http://127.0.0.1:{prom}/api/v1/write
  protobuf_message: io.prometheus.write.v2.Request
  queue_config: {{batch_send_deadline: 500ms, max_backoff: 1s}}
  metadata_config: {{send_interval: 1s}}
'''
    if victoria_there:
        text += f'''- name: victoria
  url: http://127.0.0.1:{vm}/api/v1/write
  queue_config: {{batch_send_deadline: 500ms, max_backoff: 1s, min_shards: 4}}
'''
    with open(f'{folder}/t.yml', 'w') as f:
        f.write(text)


def story(folder, ours, prom, vm, processes, has_victoria):
    """Pushes, an outage of the receivers, kill -9 of the sender within it."""
    def in_prometheus(selector):
        return lambda at: matrix(prom, selector[:-1] + ',origin="tocsin"}', at)

    def in_victoria(selector):
        return lambda at: exported(vm, selector[:-1] + ',origin="tocsin"}', at)

    def compare_all(when):
        for selector in ('{__name__="pushed"}', '{job="prom",__name__!~"ALERTS.*"}'):
            compare(ours, in_prometheus(selector), selector, f'Prometheus {when}: {selector}')
            if has_victoria:
                compare(ours, in_victoria(selector), selector, f'VictoriaMetrics {when}: {selector}', form=rounded)

    for n in range(5):
        check(push(ours, n) == 204, 'push')
    time.sleep(3)
    compare_all('while all is well')
    check(own_metric(ours, 'tocsin_remote_write_out_older_message', 'prometheus') == 1,
          'this Prometheus does not know 2.0: 1.0 is sent')
    stop(processes['prometheus'])
    if has_victoria:
        stop(processes['victoria'], signal.SIGTERM)
    for n in range(5, 10):
        check(push(ours, n) == 204, 'push while the receivers are away')
    stop(processes['tocsin'])
    processes['tocsin'] = tocsin(folder, ours)
    for n in range(10, 15):
        check(push(ours, n) == 204, 'push after kill -9')
    processes['prometheus'] = prometheus(folder, prom)
    if has_victoria:
        processes['victoria'] = victoria(folder, vm)
    compare_all('after the outage and kill -9')
    for name in ('prometheus', 'victoria') if has_victoria else ('prometheus',):
        failed = own_metric(ours, 'prometheus_remote_storage_samples_failed_total', name)
        check(failed == 0, f'nothing was refused by {name}: {failed}')


def main():
    if not shutil.which('prometheus'):
        print('skipped: prometheus not installed')
        return 77
    has_victoria = shutil.which('victoria-metrics') is not None
    with tempfile.TemporaryDirectory() as folder:
        ours, prom, vm = free_port(), free_port(), free_port()
        configure(folder, ours, prom, vm, has_victoria)
        processes = {'prometheus': prometheus(folder, prom)}
        try:
            if has_victoria:
                processes['victoria'] = victoria(folder, vm)
            processes['tocsin'] = tocsin(folder, ours)
            story(folder, ours, prom, vm, processes, has_victoria)
        finally:
            for p in processes.values():
                p.kill()
                p.wait()
    return 1 if failures else 0


sys.exit(main())
