#!/usr/bin/env python3
"""Every built-in rule pack, without Tocsin's own keys, passes `promtool check rules`, and its unit tests pass `promtool test rules`;
the same tests pass in ours. The lists of XIDs are the catalogue's. usage: packs.py TOCSIN"""
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
failed = passed = 0


def check(is_good, text):
    global failed, passed
    passed, failed = passed + bool(is_good), failed + (not is_good)
    if not is_good:
        print('FAILED:', text)


def promtool(what, path):
    r = subprocess.run(['promtool', what, 'rules', path.name], cwd=path.parent, capture_output=True, text=True)
    return path.name, what, r.returncode, (r.stdout + r.stderr)[-2000:]


def check_xid_lists():
    """The rules about XIDs name exactly the codes that the catalogue gives to hardware or operator as critical."""
    rows = [line.split('\t') for line in (ROOT / 'packs/xid.tsv').read_text().splitlines() if line and line[0] != '#']
    wanted = {int(code) for code, _, _, severity, owner in rows if severity == 'critical' and owner in ('hardware', 'operator')}
    text = (ROOT / 'packs/gpu.yml').read_text()
    lists = [found.split('|') for found in re.findall(r'xid!?[=~]~?"([0-9|]+)"', text)]
    lists += [re.findall(r'== (\d+)', line) for line in text.splitlines() if 'xid_last:max ==' in line]
    check(len(lists) >= 5, f'{len(lists)} lists of XIDs in packs/gpu.yml')
    for codes in lists:
        check({int(code) for code in codes} == wanted, f'packs/gpu.yml against packs/xid.tsv: {sorted(codes)}')


def main():
    check_xid_lists()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        subprocess.run([sys.executable, ROOT / 'tools/make_packs.py', '--tests', folder, '--prometheus'], check=True)
        tests = sorted(folder.glob('*_test.yml'))
        rules = sorted(set(folder.glob('*.yml')) - set(tests))
        check(len(rules) == len(tests) and len(rules) > 20, f'{len(rules)} rule files, {len(tests)} test files')
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            jobs = [pool.submit(promtool, 'check', p) for p in rules] + [pool.submit(promtool, 'test', p) for p in tests]
            for job in jobs:
                name, what, code, text = job.result()
                check(code == 0, f'promtool {what} rules {name}: {text}')
    ours = subprocess.run([sys.argv[1], 'pack', 'test'], capture_output=True, text=True)
    check(ours.returncode == 0, 'tocsin pack test: ' + ours.stdout[-2000:] + ours.stderr[-500:])
    print(ours.stdout.splitlines()[-1], '(tocsin pack test)')
    print(f'{passed} passed, {failed} failed')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
