#!/usr/bin/env python3
"""Compares the documents with the code: run books, lock ranks, routes, configuration keys, folders, translations, links.
Prints one line per difference; exit code 1 when there is one. Standard library only."""
import argparse
import pathlib
import re
import sys

# A run book has one of these sets of headings, in this order: the first is that of the pages about rules, the second that
# of the pages about the training and serving doctor.
RUNBOOK_HEADINGS = (
    ('Meaning', 'Impact', 'Diagnosis', 'Mitigation'),
    ('What it means', 'Where to look', 'What to do', 'When the alert ends'),
)
HEADING = re.compile(r'^##\s+(.+?)\s*$', re.M)
LINK = re.compile(r'!?\[[^\]]*\]\(([^)\s]+)(?:\s+"[^"]*")?\)')
# Written by the browser test, so they are not in every checkout.
GENERATED = ('docs/images/',)


class Report:
    def __init__(self, root):
        self.root, self.problems, self.checked = root, [], 0

    def expect(self, is_right, where, text):
        self.checked += 1
        if not is_right:
            self.problems.append(f'{where}: {text}')

    def read(self, path):
        try:
            return (self.root / path).read_text(encoding='utf-8')
        except OSError as e:
            self.problems.append(f'{path}: cannot be read: {e.strerror}')
            return ''


def without_code(text):
    text = re.sub(r'^```.*?^```', '', text, flags=re.M | re.S)
    return re.sub(r'`[^`\n]*`', '', text)


def kinds_in_use(r):
    """Name of the kind → who uses it."""
    kinds = {}
    for pack in sorted((r.root / 'packs').glob('*.yml')):
        for name in re.findall(r'\bkind:\s*([a-z_]+)', pack.read_text(encoding='utf-8')):
            kinds.setdefault(name, f'packs/{pack.name}')
    names = dict(re.findall(r'X\((\w+),\s*"([a-z_]+)",\s*\w+,\s*\w+,\s*(?:true|false)',
                            r.read('src/model/finding.h')))
    r.expect(names, 'src/model/finding.h', 'TOC_KIND_TABLE was not understood')
    for source in sorted((r.root / 'src/diagnose').glob('*.c')):
        for enum in re.findall(r'\bTOC_KIND_([A-Z_]+)\b', source.read_text(encoding='utf-8')):
            if enum in names:
                kinds.setdefault(names[enum], f'src/diagnose/{source.name}')
    for name, user in kinds.items():
        r.expect(name in names.values(), user, f'the kind "{name}" is not in TOC_KIND_TABLE')
    return kinds


def check_runbooks(r):
    for kind, user in sorted(kinds_in_use(r).items()):
        page = f'docs/runbooks/{kind}.md'
        if not (r.root / page).is_file():
            r.expect(False, page, f'is missing; the kind is used by {user}')
            continue
        headings = tuple(HEADING.findall(r.read(page)))
        r.expect(headings in RUNBOOK_HEADINGS, page,
                 f'has the headings {headings}, expected one of {RUNBOOK_HEADINGS}')


def check_locks(r):
    rows = re.findall(r'X\(TOC_LOCK_(\w+),\s*(\d+),', r.read('src/sys/thread.h'))
    listed = dict(re.findall(r'^\|\s*`?(\w+)`?\s*\|\s*(\d+)\s*\|', r.read('docs/LOCKS.md'), re.M))
    r.expect(rows, 'src/sys/thread.h', 'TOC_LOCK_TABLE was not understood')
    for name, rank in rows:
        r.expect(listed.get(name) == rank, 'docs/LOCKS.md',
                 f'{name} has rank {rank} in src/sys/thread.h, here {listed.get(name, "no row")}')
    for name in listed.keys() - {n for n, _ in rows}:
        r.expect(False, 'docs/LOCKS.md', f'{name} is not in TOC_LOCK_TABLE')


def routes(r):
    text = r.read('src/api/route.c')
    base = dict(re.findall(r'^#define (T) "([^"]*)"', text, re.M)).get('T', '')
    for method, prefix, pattern in re.findall(r'\{(GET|POST|PUT|DELETE),\s*(T\s+)?"([^"]+)"', text):
        yield method, (base if prefix else '') + pattern


def openapi_routes(text):
    """(method, path with {} for each parameter) of a YAML description, by indentation."""
    server = re.search(r'^\s*- url:\s*(\S+)', text, re.M)
    base = server.group(1).rstrip('/') if server else ''
    found, path = set(), None
    for line in text.split('\npaths:', 1)[-1].splitlines():
        if re.match(r'^\S', line):
            break
        m = re.match(r'^  (/\S*):\s*$', line)
        if m:
            path = base + re.sub(r'\{[^}]*\}', '{}', m.group(1))
        m = re.match(r'^    (get|post|put|delete):', line)
        if m and path:
            found.add((m.group(1).upper(), path))
    return found


def check_routes(r):
    openapi = openapi_routes(r.read('docs/openapi.yaml'))
    design = re.sub(r'\b(ID|NAME)\b', '{}', r.read('docs/design/api.md'))
    known = set()
    for method, path in routes(r):
        known.add((method, path))
        if path.startswith('/{*}'):
            continue
        rest = path.removeprefix('/api/tocsin/v1/')
        is_named = (method, path) in openapi or bool(
            re.search(rf'`{method} {re.escape(rest)}(?![\w/-])', design))
        r.expect(is_named, 'docs', f'the route {method} {path} is described nowhere')
    r.expect(known, 'src/api/route.c', 'the table of routes was not understood')
    for method, path in sorted(openapi - known):
        r.expect(False, 'docs/openapi.yaml', f'{method} {path} is not a route of src/api/route.c')


def check_configuration(r):
    """Every key of the schema tables is in the reference, in both languages."""
    text = r.read('src/app/config.c') + r.read('src/app/config_query.c') + r.read('src/app/config_otlp.c') + r.read('src/app/config_influx.c') + r.read('src/app/config_statsd.c') + r.read('src/app/config_series_watch.c') + r.read('src/app/config_logs.c')
    tables = dict(re.findall(r'struct toc_schema_key g_(\w+)\[\] = \{(.*?)\n\};', text, re.S))
    tables['logs.files[]'] = tables.pop('log_file', '')
    tables['storage.retention_rules[]'] = ''.join(
        re.findall(r'g_retention_rules\[\] = \{(.*?)\n\};', r.read('src/app/config_storage.c'), re.S))
    tables['detectors[]'] = ''.join(
        re.findall(r'g_keys\[\] = \{(.*?)\n\};', r.read('src/rules/detector_config.c'), re.S))
    intake = re.search(r'define TOC_METRICDB_INTAKE_TABLE\(X\)(.*?)\n\n', r.read('src/metricdb/metricdb.h'), re.S)
    limits = re.findall(r'X\((\w+), \w+, (\d+),', intake[1]) if intake else []
    r.expect(limits, 'src/metricdb/metricdb.h', 'TOC_METRICDB_INTAKE_TABLE was not understood')
    r.expect('top' in tables, 'src/app/config.c', 'the schema tables were not understood')
    for page in ('docs/user/configuration.md', 'docs/user/zh/configuration.md', 'docs/man/tocsin.yml.5.md'):
        reference = r.read(page)
        for section, body in tables.items():
            for key in re.findall(r'\{"(\w+)",\s*TOC_SCHEMA', body):
                name = key if section == 'top' else f'{section}.{key}'
                r.expect(f'`{name}`' in reference, page, f'the key {name} is missing')
        for key, value in limits:
            r.expect(re.search(rf'`storage\.{key}`.*`{value}`', reference), page,
                     f'the key storage.{key} with its default {value} is missing')


def check_translations(r):
    for folder, other in (('docs/user', 'docs/user/zh'), ('docs/user/zh', 'docs/user')):
        for page in sorted((r.root / folder).glob('*.md')):
            r.expect((r.root / other / page.name).is_file(), f'{other}/{page.name}',
                     f'is missing; {folder} has the page')
    for page in (r.root / 'docs/user/zh').glob('*.md'):
        r.expect(re.search('[\u4e00-\u9fff]', page.read_text(encoding='utf-8')),
                 page.relative_to(r.root), 'has no Chinese text')


def check_folders(r):
    architecture = r.read('docs/ARCHITECTURE.md')
    for folder in sorted(p for p in (r.root / 'src').iterdir() if p.is_dir()):
        r.expect(f'`{folder.name}/`' in architecture, 'docs/ARCHITECTURE.md',
                 f'the folder src/{folder.name}/ is not named')


def anchors(text):
    for heading in re.findall(r'^#+\s+(.+?)\s*$', text, re.M):
        yield re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-')


def check_links(r):
    pages = sorted([*r.root.glob('*.md'), *(r.root / 'docs').rglob('*.md'), *(r.root / 'examples').rglob('*.md')])
    for page in pages:
        name = page.relative_to(r.root)
        for target in LINK.findall(without_code(page.read_text(encoding='utf-8'))):
            if re.match(r'[a-z][a-z0-9+.-]*:', target):
                continue
            path, _, anchor = target.partition('#')
            goal = (page.parent / path).resolve() if path else page
            if path.startswith('/'):
                r.expect(False, name, f'the link {target} is absolute; write it relative')
                continue
            if not goal.exists():
                inside = goal.relative_to(r.root).as_posix() if goal.is_relative_to(r.root) else '..'
                r.expect(inside.startswith(GENERATED), name, f'the link {target} leads nowhere')
            elif anchor and goal.suffix == '.md':
                r.expect(anchor in anchors(goal.read_text(encoding='utf-8')), name,
                         f'the link {target}: no such heading')
            else:
                r.expect(True, name, '')


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--root', type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent)
    r = Report(parser.parse_args().root.resolve())
    for check in (check_runbooks, check_locks, check_routes, check_configuration, check_translations,
                  check_folders, check_links):
        check(r)
    for problem in r.problems:
        print(problem)
    print(f'{r.checked} checks, {len(r.problems)} problems')
    return 1 if r.problems else 0


if __name__ == '__main__':
    sys.exit(main())
