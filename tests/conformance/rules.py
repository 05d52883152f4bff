"""Rule files, configuration files and unit tests of rules: the verdicts of promtool and of upstream's rule reader."""
import csv
import re
import shutil
import subprocess
import tempfile
import xml.etree.ElementTree

import conformance_test as t

checks = t.Checks()

# Rows that this build does not agree with, and why. One that begins to agree fails until it is taken off the list.
GAPS = {
    'prometheus-aws-sd-empty-region.good.yml': 'ec2_sd_configs is refused as not supported',
    'url_in_scrape_targetgroup_with_relabel_config.good.yml': 'targets are validated before relabelling',
    'url_in_alert_targetgroup_with_relabel_config.good.yml': 'no key alerting',
    'url_in_alert_targetgroup_with_relabel_config.bad.yml': 'no key alerting',
    '--syntax-only config_with_service_discovery_files.yml': 'no key alerting',
    'config_with_service_discovery_files.yml': 'no key alerting',
    'prometheus-config.rules.good.yml': 'its content is a rule file, which check config refuses',
    'url_in_scrape_targetgroup_with_relabel_config.bad.yml': 'the text of the message differs',
}


def rows(path):
    with open(path) as f:
        return [r + [''] * 4 for r in csv.reader(f, delimiter='\t', quoting=csv.QUOTE_NONE) if r and not r[0].startswith('#')]


def verdict(name, code, wanted, output, text):
    agrees = code == wanted and text in output
    if name in GAPS:
        checks.check(not agrees, f'{name} agrees now: take it off the list of gaps')
    else:
        checks.check(agrees, f'{name}: exit code {code}, wanted {wanted} with "{text}":\n{output[-800:]}')


def config_arguments(text):
    """The words of a row as arguments; None for a row that says more than a command line."""
    lookback = re.search(r'lookback (\d+m)', text)
    words = re.sub(r', (any )?lookback[^:]*', '', text).replace(':', ' ').split()
    return (['--query.lookback-delta', lookback[1]] if lookback else []) + words


def test_rules_row(folder, text, wanted):
    if 'disabled' in text:
        return  # @ and negative offsets are always on, as in promtool itself
    arguments = re.sub(r'\(.*\)', '', text).split()
    code, output = t.run('test', 'rules', *arguments, cwd=folder)
    verdict(f'test rules {text}', code, wanted, output, '')


def check_rules_row(folder, text, wanted):
    features = re.search(r'--enable-feature=(\S+)', text)
    arguments = re.sub(r'\(.*\)|--enable-feature=\S+', '', text).split()
    options, file = arguments[:-1], arguments[-1]
    if features:
        options += ['--features', features[1]]
    code, output = t.run('check', 'rules', *options, file, cwd=folder)
    verdict(f'check rules {text}', code, wanted, output, '')
    if 'stdin' in text:
        code, output = t.run('check', 'rules', *options, cwd=folder, stdin=(folder / file).read_bytes())
        verdict(f'check rules {text} on standard input', code, wanted, output, '')
    if 'exactly one duplicate' in text:
        checks.check(output.count('duplicate rule: ') == 1, f'{text}: {output}')


def promtool(folder):
    for command, text, wanted, message, *_ in rows(folder / 'expected.tsv'):
        wanted = int(wanted)
        if command == 'test rules':
            test_rules_row(folder, text, wanted)
        elif command == 'check rules':
            check_rules_row(folder, text, wanted)
        elif command == 'check config':
            if 'does not exist' in text:
                text = 'no-such-file.yml'
            code, output = t.run('check', 'config', *config_arguments(text), cwd=folder)
            verdict(text, code, wanted, output, message)
    junit(folder)


def junit(folder):
    files = ['at-modifier-test.yml', 'negative-offset-test.yml', 'no-test-group-interval.yml', 'start-time-test.yml', 'failing.yml']
    with tempfile.NamedTemporaryFile(suffix='.xml') as out:
        code, _ = t.run('test', 'rules', '--junit', out.name, *files, cwd=folder)
        suites = xml.etree.ElementTree.parse(out.name).getroot().findall('testsuite')
    checks.check(code == 1 and [s.get('name') for s in suites] == files, 'JUnit has one suite per file')
    checks.check(all(s.findall('testcase') for s in suites), 'each suite of JUnit has a case')
    checks.check([s.get('failures') for s in suites] == ['0', '0', '0', '0', '2'], 'JUnit counts the failures')


def rulefmt(folder):
    for file, scheme, wanted, message, *_ in rows(folder / 'expected.tsv'):
        if scheme == 'legacy':
            continue  # the scheme of names is a matter of the configuration; tests/unit/rules covers it
        code, output = t.run('check', 'rules', file, cwd=folder)
        verdict(f'rulefmt {file}', code, 0 if wanted == 'accept' else 1, output, message)


def fixtures(folder):
    for file in sorted(folder.glob('*.yaml')):
        code, output = t.run('check', 'rules', file.name, cwd=folder)
        invalid = file.name == 'invalid_rules.yaml'
        verdict(f'fixture {file.name}', code, 1 if invalid else 0, output, 'unexpected_field' if invalid else '')


def own():
    """Our own test files, also under the real promtool where it is installed."""
    program = shutil.which('promtool')
    if not program:
        print('promtool is not installed: our files did not run under it')
    for file in sorted((t.HERE / 'rules').glob('*_test.yml')):
        wanted = 1 if 'fails' in file.name else 0
        code, output = t.run('test', 'rules', file.name, cwd=file.parent)
        verdict(f'own {file.name}', code, wanted, output, '')
        if program and '3x' not in file.name:
            p = subprocess.run([program, 'test', 'rules', file.name], cwd=file.parent, capture_output=True, text=True)
            checks.check(p.returncode == wanted, f'promtool {file.name}: {p.returncode}\n{p.stdout[-500:]}{p.stderr[-500:]}')


own()
for name, test in ('promtool', promtool), ('rulefmt', rulefmt), ('rules-fixtures', fixtures):
    if folder := t.shared(name):
        test(folder)
checks.finish()
