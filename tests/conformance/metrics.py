"""`tocsin check metrics`: the OpenMetrics project's parser cases where they are present, and our own."""
import json
import sys

from conformance_test import Checks, run, shared

OWN = [
    # arguments, text, exit code, what the output says
    ([], b'# TYPE a counter\n# HELP a x\na_total 1\n# EOF\n', 0, 'ok: 1 samples'),
    ([], b'a 1\n', 1, '--format text'),
    (['--format', 'text'], b'a 1\n', 0, 'a: no help text'),
    (['--format', 'text', '--lint-fatal'], b'a 1\n', 3, 'a: no type'),
    (['--format', 'text', '--lint-fatal', '--lint', 'none'], b'a 1\n', 0, 'ok: 1 samples'),
    (['--format', 'text'], b'a 1\nb{\n', 1, ':2:'),
    (['--format', 'text'], b'# TYPE latency_ms gauge\nlatency_ms 1\n', 0, 'base unit out: "seconds"'),
    (['--format', 'text'], b'# TYPE requests counter\nrequests 1\n', 0, 'should end with "_total"'),
    (['--format', 'text'], b'# TYPE x gauge\nx_total{le="1"} 1\n# TYPE y_total gauge\ny_total 1\n', 0, 'only a counter'),
    (['--format', 'text'], b'# HELP h x\n# TYPE h histogram\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n', 0, 'ok: 3 samples'),
    (['--format', 'text'], b'# TYPE busyPercent gauge\nbusyPercent 1\n', 0, 'snake_case'),
    (['--format', 'xml'], b'', 2, '--format is'),
    (['/nowhere/metrics'], None, 1, 'cannot read it'),
]


def own_cases(checks):
    for arguments, text, code, says in OWN:
        got, output = run('check', 'metrics', *arguments, stdin=text)
        checks.check(got == code and says in output, f'{arguments} {text}: {got} {output}')


def project_cases(checks):
    """Every accept or reject decision of the strict mode."""
    folder = shared('openmetrics-parsers')
    for case in sorted((folder / 'parsers').iterdir()) if folder else []:
        if case.is_dir():
            should_parse = json.loads((case / 'test.json').read_text())['shouldParse']
            code, output = run('check', 'metrics', case / 'metrics')
            checks.check((code == 0) == should_parse and code in (0, 1), f'{case.name}: exit {code}: {output}')


def main():
    checks = Checks()
    own_cases(checks)
    project_cases(checks)
    checks.finish()


if __name__ == '__main__':
    sys.exit(main())
