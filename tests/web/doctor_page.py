#!/usr/bin/env python3
"""The page of `tocsin doctor --html` in headless Chromium: its script runs, nothing is complained of, nothing is loaded, and text
from files stays text. doctor_page.py TOCSIN [--screenshots DIR]"""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'e2e'))
import doctor_runs as runs  # noqa: E402
from tocsin_test import Checks  # noqa: E402

CHROMIUM = next((p for p in map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome')) if p), None)
EVIL = '<script>document.title="owned"</script><img src=x onerror=alert(1)>"\'&'


def browse(page, profile, *arguments):
    return subprocess.run([CHROMIUM, '--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', f'--user-data-dir={profile}',
                           '--enable-logging=stderr', '--disable-background-networking', '--disable-component-update',
                           '--no-first-run', *arguments, page.as_uri()], capture_output=True, text=True, timeout=120)


def requests(log):
    """URLs of all requests of the net log; an unfinished log has no closing brackets."""
    return set(re.findall(r'"url":"([^"]+)"', log.read_text(errors='replace'))) if log.exists() else set()


def main():
    if not CHROMIUM:
        print('skipped: no Chromium is installed')
        sys.exit(77)
    binary = sys.argv[1]
    shots = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 and sys.argv[2] == '--screenshots' else None
    c = Checks()
    with tempfile.TemporaryDirectory(prefix='tocsin-page-') as name:
        d = pathlib.Path(name)
        runs.write(d / 'runs' / 'bad.jsonl', runs.run(change=runs.divergence))
        runs.write(d / 'runs' / 'evil.jsonl', [{**x, 'run': EVIL} for x in runs.run(300, end=EVIL)])
        (d / 'runs' / 'junk.jsonl').write_text(json.dumps({'step': 1, 'loss': 1}) + '\n{{{' + EVIL + '\n')
        page, log = d / 'report.html', d / 'net.json'
        done = subprocess.run([binary, 'doctor', str(d / 'runs'), '--now', '2023-11-20T00:00:00Z', '--html', str(page)],
                              capture_output=True, text=True, timeout=60)
        c.equal(done.returncode, 1, f'exit code ({done.stderr})')
        text = page.read_text()
        outside = re.findall(r'(?:src|href)="(?!#|data:,)([^"]*)"', re.sub(r'&lt;.*?&gt;', '', text))
        c.equal(outside, [], 'nothing from outside is referred to')
        for language, lang, words in (('en-GB', 'en', 'Evidence'), ('zh-CN', 'zh-CN', '证据')):
            done = browse(page, d / f'profile-{lang}', f'--lang={language}', f'--accept-lang={language}', '--dump-dom',
                          f'--log-net-log={log}')
            dom = done.stdout
            c.check(f'<html lang="{lang}"' in dom, f'{lang}: the script has chosen the language: {dom[:80]!r}')
            c.check(words in dom, f'{lang}: text')
            c.equal([x for x in done.stderr.splitlines() if 'CONSOLE' in x], [], f'{lang}: the console is silent')
            c.check('<title>Tocsin doctor' in dom and 'title>owned' not in dom, f'{lang}: text from files is not run')
            c.equal(dom.count('<svg'), text.count('<svg'), f'{lang}: curves')
            # The browser asks its maker for updates and the time; the page asks for nothing.
            own = re.compile(r'(file|data|chrome[a-z-]*):|https?://[a-z0-9.-]+\.(google|googleapis|gstatic)\.com/')
            loaded = {u for u in requests(log) if not own.match(u)}
            c.equal(loaded, set(), f'{lang}: nothing is loaded')
        c.check(text.count('class="pin critical"') >= 2, 'findings are marked on the curves')
        if shots:
            shots.mkdir(parents=True, exist_ok=True)
            for theme in ('light', 'dark'):
                dark = ['--force-dark-mode', '--blink-settings=preferredColorScheme=0'] if theme == 'dark' else []
                browse(page, d / f'profile-{theme}', *dark, '--window-size=1200,2200', f'--screenshot={shots / f"doctor-{theme}.png"}')
    c.finish()


if __name__ == '__main__':
    main()
