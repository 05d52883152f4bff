"""The anomaly bit of every series in the daemon: rates per instance come by themselves, its numbers are told, the limit
counts, and it can be switched off."""
import pathlib
import tempfile

from tocsin_test import Checks, Daemon, wait_for

CONFIG = '''
host: {interval: 1s}
gpu: {enabled: false}
discovery: {enabled: false}
series_watch: {report_interval: 2s, max_series: %d, enabled: %s}
'''


def daemon(folder, is_enabled):
    config = pathlib.Path(folder) / 'tocsin.yml'
    config.write_text(CONFIG % (2000, 'true' if is_enabled else 'false'))
    return Daemon(config=config)


def own(d, name):
    text = d.call('GET', '/metrics').body.decode()
    values = [line.split()[-1] for line in text.splitlines() if line.startswith(f'tocsin_series_watch_{name} ')]
    return float(values[0]) if values else None


def rates(d):
    answer = d.call('GET', '/api/v1/query?query=tocsin_anomaly_rate%7Bdetector%3D%22every_series%22%7D').json
    return {r['metric'].get('instance', ''): float(r['value'][1]) for r in answer['data']['result']}


def main():
    checks = Checks()
    folder = tempfile.TemporaryDirectory()
    with daemon(folder.name, True) as d:
        checks.check(wait_for(lambda: (own(d, 'samples_total') or 0) > 200, 30), 'samples are judged')
        checks.check(wait_for(lambda: len(rates(d)) >= 2, 20), 'there is a rate for everything and one for this host')
        got = rates(d)
        checks.check(all(0 <= v <= 1 for v in got.values()) and '' in got, f'rates {got}')
        checks.check(own(d, 'instances') >= 1 and own(d, 'sweeps_total') >= 2, 'instances and sweeps')
        checks.check(own(d, 'series') > 50 and own(d, 'series_unwatched') == 0, 'all series are watched')
        # 88 bytes each, in pages of 1024, at most two pages here.
        checks.check(0 < own(d, 'bytes') <= 2 * 1024 * 88, f'bytes {own(d, "bytes")}')
        checks.check(0 < own(d, 'cpu_seconds_total') < 1, f'CPU time {own(d, "cpu_seconds_total")}')
        checks.check(wait_for(lambda: own(d, 'series_excluded') >= 2, 10), 'its own rates are left out')
        anomalies = d.call('GET', '/api/tocsin/v1/anomalies', token=d.token)
        checks.check(anomalies.status == 200 and anomalies.json['is_enabled'] and anomalies.json['count'] >= len(anomalies.json['series']),
                     f'anomalies {anomalies.status} {anomalies.body[:200]}')
        checks.check(all(x['labels'] and x['surprise'] >= 3 for x in anomalies.json['series']), 'what an anomaly says')
    with daemon(folder.name, False) as d:
        checks.check(wait_for(lambda: d.call('GET', '/api/v1/query?query=up').status == 200), 'it runs')
        checks.equal(own(d, 'samples_total'), None, 'numbers when switched off')
        checks.equal(rates(d), {}, 'rates when switched off')
        checks.equal(d.call('GET', '/api/tocsin/v1/anomalies', token=d.token).json, {'is_enabled': False, 'count': 0, 'series': []},
                     'anomalies when switched off')
    checks.finish()


if __name__ == '__main__':
    main()
