"""/federate: another Prometheus, the Debian one, scrapes it and has the samples with their times, names and labels."""
import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

from tocsin_test import Checks, Daemon

OURS = '''
host: {enabled: false}
gpu: {enabled: false}
discovery: {enabled: false}
rules: {builtin: false}
global: {external_labels: {site: north, job: never}}
'''
THEIRS = '''
scrape_configs:
  - job_name: federate
    scrape_interval: 300ms
    scrape_timeout: 300ms
    honor_labels: true
    metrics_path: /federate
    params: {'match[]': ['tocsin_head_series', '{__name__=~"process_.*"}']}
    static_configs: [{targets: ['127.0.0.1:%d']}]
'''


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def wait_for(fn, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            found = fn()
        except OSError:
            found = None
        if found:
            return found
        time.sleep(0.1)
    return None


def text(checks, d):
    series = wait_for(lambda: d.call('GET', '/api/v1/query?query=tocsin_head_series').json['data']['result'])
    checks.check(series, 'the daemon has its own metrics')
    body = d.call('GET', '/federate?match[]=tocsin_head_series').body.decode()
    lines = body.splitlines()
    checks.equal(lines[0], '# TYPE tocsin_head_series untyped', 'first line')
    checks.check(len(lines) == 2 and 'site="north"' in lines[1], f'external labels are added where absent: {lines[1:]}')
    checks.check('job="tocsin"' in lines[1] and 'never' not in lines[1], 'and never replace')
    checks.equal(d.call('GET', '/federate').body, b'', 'nothing asked, nothing told')
    checks.equal(d.call('GET', '/federate?match[]=(').status, 400, 'a bad selector')


def peer(checks, d, folder):
    if not shutil.which('prometheus'):
        print('prometheus is not installed: nothing was scraped by it')
        return
    config = pathlib.Path(folder) / 'prometheus.yml'
    config.write_text(THEIRS % d.port)
    port = free_port()
    process = subprocess.Popen(
        ['prometheus', f'--config.file={config}', f'--storage.tsdb.path={folder}/data', f'--web.listen-address=127.0.0.1:{port}',
         '--log.level=error'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        def ask(query):
            url = f'http://127.0.0.1:{port}/api/v1/query?' + urllib.parse.urlencode({'query': query})
            return json.load(urllib.request.urlopen(url, timeout=5))['data']['result']

        found = wait_for(lambda: ask('tocsin_head_series'))
        checks.check(found, 'Prometheus has the series')
        checks.equal((found[0]['metric'].get('job'), found[0]['metric'].get('site')), ('tocsin', 'north'), 'labels at Prometheus')
        checks.check(len(ask('{__name__=~"process_.*"}')) >= 3, 'the second selector')
        checks.equal(ask('up{job="federate"}')[0]['value'][1], '1', 'up')
    finally:
        process.kill()
        process.wait()


def main():
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / 'tocsin.yml'
        config.write_text(OURS)
        with Daemon(config=config) as d:
            text(checks, d)
            peer(checks, d, folder)
    checks.finish()


if __name__ == '__main__':
    main()
