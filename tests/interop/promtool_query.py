"""promtool's queries (Debian's 2.42) against Tocsin print what they print against a live Prometheus with the same samples."""
import shutil
import subprocess
import sys

from twin_servers import Checks, Twins

PROMTOOL = shutil.which('promtool')


def run(server, *arguments):
    done = subprocess.run([PROMTOOL, 'query', *arguments], capture_output=True, text=True, timeout=20,
                          env={'PATH': '/usr/bin:/bin', 'TZ': 'UTC'})
    return done.returncode, done.stdout, done.stderr.replace(server.url, 'SERVER')


def sorted_lines(answer):
    rc, out, err = answer
    return rc, sorted(out.splitlines()), err


def main():
    if not PROMTOOL:
        print('promtool is not installed: nothing was compared')
        sys.exit(77)
    checks = Checks()
    with Twins() as twins:
        at, start = str(twins.end_s - 0.7), str(twins.start_s + 7.3)

        def both(what, *make, sort=True):
            theirs, ours = [run(s, *[a.replace('URL', s.url) for a in make]) for s in (twins.prometheus, twins.tocsin)]
            if sort:
                theirs, ours = sorted_lines(theirs), sorted_lines(ours)
            checks.equal(theirs, ours, what)

        for expr in ('1+1', 'twin_temperature', 'twin_odd', 'rate(twin_requests_total[4s])', '"text"', 'nothing',
                     'twin_temperature{sensor="s1"}[4s]', 'histogram_quantile(0.5, rate(twin_seconds_bucket[5s]))'):
            both(f'instant {expr}', 'instant', f'--time={at}', 'URL', expr)
        for expr in ('1+1', 'nothing', 'twin_temperature{sensor="s1"}'):
            both(f'instant json {expr}', '-o', 'json', 'instant', f'--time={at}', 'URL', expr, sort=False)
        for expr in ('1', 'twin_temperature', 'sum by (code) (rate(twin_requests_total[4s]))', 'nothing'):
            for step in ('1s', '2s'):
                both(f'range {step} {expr}', 'range', f'--start={start}', f'--end={at}', f'--step={step}', 'URL', expr)
        both('series', 'series', '--match=twin_temperature', '--match=twin_odd{what="nan"}', f'--start={start}', f'--end={at}', 'URL')
        for name in ('code', 'sensor', 'none'):
            both(f'labels {name}', 'labels', f'--start={start}', f'--end={at}', 'URL', name)
        theirs, ours = [run(s, 'instant', s.url, 'sum(')[2].split('parse error')[0] for s in (twins.prometheus, twins.tocsin)]
        checks.equal(theirs, ours, 'place of a syntax error')
    checks.finish()


if __name__ == '__main__':
    main()
