"""PromQL test files: the upstream selection where it is present (1,551 evals, none may fail) and our own."""
import re

import conformance_test as t

checks = t.Checks()


def run_files(files, count):
    for file in files:
        code, output = t.run('test', 'promql', file, '--features', 'all', timeout=300)
        result = t.counts(output)
        failures = re.findall(r'^FAILED .*(?:\n    .*)*', output, re.M)
        for text in failures:
            print(text)
        if not checks.check(result is not None and code == (1 if result[1] else 0), f'{file}: {output[-300:]}'):
            continue
        checks.passed += result[0]
        checks.failed += result[1]
        count[0] += sum(result)


own = [0]
run_files(sorted((t.HERE / 'promql').glob('*.test')), own)
checks.check(own[0] >= 75, f'our own files hold {own[0]} evals')
folder = t.shared('promql')
if folder:
    upstream = [0]
    run_files(sorted(folder.glob('*.test')), upstream)
    checks.check(upstream[0] == 1551, f'the upstream selection has 1551 evals, {upstream[0]} ran')
checks.finish()
