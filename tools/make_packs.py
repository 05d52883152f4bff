#!/usr/bin/env python3
"""Makes the rule packs of inference servers, and their unit tests, from packs/serving.tmpl and packs/servers.tsv; and reads the
packs that are written by hand. Used by embed_packs.py at build; alone: make_packs.py NAME [--prometheus] prints one, make_packs.py --tests FOLDER [--prometheus]
writes all unit tests beside the rules they test. --prometheus leaves out the keys of rules that only Tocsin knows."""
import pathlib
import re
import sys

PACKS = pathlib.Path(__file__).resolve().parent.parent / 'packs'
# Keys of a rule that Prometheus does not know.
OWN_KEYS = re.compile(r'^ +(recover|confirm):.*\n', re.M)


class Family:
    def __init__(self, name, text):
        parts = [p.strip() for p in text.split('|')]
        if len(parts) != 5:
            sys.exit(f'servers.tsv: {name}: "pack" needs five parts')
        self.name, (self.prefix, self.by, self.model, self.seen, self.title) = name, parts
        self.signals, self.scale = {}, {}

    def add(self, signal, series):
        signal, _, scale = signal.partition('|')
        self.signals[signal] = series
        if scale:
            self.scale[signal] = float(scale)

    def like(self, other, old, new):
        self.scale.update(other.scale)
        self.signals.update({s: e.replace(old, new) for s, e in other.signals.items() if not s.startswith('http')})


def read_families(path):
    families = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line or line.startswith('#'):
            continue
        cells = line.split('\t')
        if len(cells) != 3:
            sys.exit(f'{path}:{number}: expected three columns, found {len(cells)}')
        name, signal, rest = cells
        if signal == 'pack':
            families[name] = Family(name, rest)
        elif signal == 'like':
            other, old, new = [p.strip() for p in rest.split('|')]
            families[name].like(families[other], old, new)
        else:
            families[name].add(signal, rest)
    return families


class Block:
    """One rule of the template with its tests: {(fires, at, every): [(signal, part, labels, values)]}."""
    def __init__(self, text):
        head, *tests = re.split(r'^--- ', text, flags=re.M)
        first, _, self.rule = head.partition('\n')
        head, _, needs = first.partition(':')
        self.name, self.interval = head.split(' every ')
        self.needs = [n for n in needs.split() if not n.startswith('-')]
        self.lacks = [n[1:] for n in needs.split() if n.startswith('-')]
        self.alert = re.search(r'alert: \{Name\}(\w+)', self.rule).group(1)
        self.tests = [self.read_test(t) for t in tests]
        if [t[0] for t in self.tests] != ['fires', 'silent']:
            sys.exit(f'serving.tmpl: {self.name}: needs one test that fires and one that is silent')

    @staticmethod
    def read_test(text):
        first, *lines = [l for l in text.splitlines() if l.strip()]
        word, at, every = first.split()
        series = []
        for line in lines:
            words = line.split()
            split = next(i for i in range(1, len(words)) if '=' not in words[i])
            series.append((words[0], dict(w.split('=') for w in words[1:split]), ' '.join(words[split:])))
        return word, at, every, series

    def fits(self, family):
        return all(n in family.signals for n in self.needs) and not any(n in family.signals for n in self.lacks)


def with_suffix(series, suffix):
    name, brace, rest = series.partition('{')
    return name + suffix + brace + rest


def with_matcher(series, matcher):
    return series[:-1] + ',' + matcher + '}' if series.endswith('}') else series + '{' + matcher + '}'


def bound_matcher(bound):
    """Clients write whole bounds with and without a decimal."""
    return f'le="{bound}"' if '.' in bound else f'le=~"{bound}|{bound}.0"'


def selector(family, key):
    signal, _, part = key.partition('.')
    series = family.signals[signal]
    if part == 'slo':
        return with_matcher(with_suffix(series, '_bucket'), bound_matcher(family.signals['slo_bound']))
    return with_suffix(series, '_' + part) if part else series


def filled(family, text):
    def fill(m):
        key = m.group(1)
        if key.startswith('scale:'):
            scale = family.scale.get(key[6:])
            return f' * {scale:g}' if scale else ''
        if key.startswith('label:'):
            return '{{ $labels.' + key[6:] + ' }}'
        if key.startswith('value'):
            return '{{ $' + key + ' }}'
        fixed = {'Name': family.prefix, 'by': family.by, 'model': '{{ $labels.' + family.model + ' }}',
                 'legend': ' '.join('{{%s}}' % l.strip() for l in family.by.split(',') if l.strip() != 'job')}
        return fixed.get(key) or selector(family, key)
    # Braces of YAML flow mappings have a space or a colon after the first word.
    return re.sub(r'\{(\w[\w.]*|scale:\w+|label:\w+|value(?: \| \w+)?)\}', fill, text)


def example(op, value):
    """A label value that such a matcher accepts; None: no label."""
    if op == '=':
        return value
    if op == '=~':
        return value.split('|')[0].replace('.*', '').replace('.', '0')
    return 'x' if op == '!=' and not value else None


def test_series(family, key, labels, values):
    signal, _, part = key.partition('.')
    series = selector(family, signal if part == 'slo' else key).split(' or ')[0]
    if part == 'slo':
        series, labels = with_suffix(series, '_bucket'), dict(labels, le=family.signals['slo_bound'])
    name, _, inside = series.partition('{')
    all_labels = {l.strip(): l.strip() for l in family.by.split(',')}
    for label, op, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', inside):
        if example(op, value) is not None:
            all_labels[label] = example(op, value)
    labels = dict(labels)
    if signal in family.scale and labels.get('le', '+Inf') != '+Inf':
        labels['le'] = f"{float(labels['le']) / family.scale[signal]:g}"
    all_labels.update(labels)
    text = ','.join(f'{k}="{v}"' for k, v in all_labels.items())
    return f"  - {{series: '{name}{{{text}}}', values: '{values}'}}"


def test_of(family, block, test):
    word, at, every, series = test
    lines = [f'- name: {family.prefix}{block.alert} {"fires" if word == "fires" else "stays silent"}', f'  interval: {every}',
             '  input_series:']
    lines += [test_series(family, *s) for s in series]
    samples = '[{value: 1}]' if word == 'fires' else '[]'
    lines += ['  promql_expr_test:',
              f"  - expr: count(ALERTS{{alertname=\"{family.prefix}{block.alert}\",alertstate=\"firing\"}})", f'    eval_time: {at}',
              f'    exp_samples: {samples}']
    return '\n'.join(lines)


class Pack:
    """tests: [(file name, its rules, its tests)]: days of slow groups need not evaluate the fast ones."""
    def __init__(self, name, title, seen, yaml, tests, dashboard):
        self.name, self.title, self.seen, self.yaml, self.tests, self.dashboard = name, title, seen, yaml, tests, dashboard

    def write_tests(self, folder, is_prometheus):
        """Files for `promtool test rules` or `tocsin test rules`."""
        for name, rules, tests in self.tests:
            (folder / name).write_text(OWN_KEYS.sub('', rules) if is_prometheus else rules)
            (folder / name.replace('.yml', '_test.yml')).write_text(tests)

    def prometheus(self):
        return OWN_KEYS.sub('', self.yaml)


HEAD = 'groups:\n'


# What the title of a family is in the other language of the UI.
CHINESE = (('inference server', '推理服务'), ('inference extension', '推理扩展'), ('Operations of models, from spans', '模型操作（来自 span）'),
           (' inside ', ' 运行于 '), (' metrics', ' 指标'), (' proxy', ' 代理'), (' server', ' 服务'), (' frontend', ' 前端'))


def serving_dashboard(family):
    """Charts of packs/dashboards/serving.tmpl whose signals the family has."""
    chinese = family.title
    for english, text in CHINESE:
        chinese = chinese.replace(english, text)
    quoted = [t.replace("'", "''") for t in (family.title, chinese)]
    charts = []
    for block in re.split(r'^=== ', (PACKS / 'dashboards' / 'serving.tmpl').read_text(), flags=re.M)[1:]:
        needs, _, chart = block.partition('\n')
        if all(n in family.signals for n in needs.split()):
            charts.append(filled(family, chart).strip('\n'))
    if not charts:
        sys.exit(f'dashboards/serving.tmpl: {family.name} has no chart')
    return f"title: {{en: '{quoted[0]}', zh: '{quoted[1]}'}}\ncharts:\n" + '\n'.join(charts) + '\n'


def serving_pack(family, blocks):
    blocks = [b for b in blocks if b.fits(family)]
    yaml, tests = f'# {family.title}. Made from packs/serving.tmpl and packs/servers.tsv.\n' + HEAD, []
    for interval in dict.fromkeys(b.interval for b in blocks):
        group, own = f'{family.name}_{interval}', [b for b in blocks if b.interval == interval]
        rules = f'- name: {group}\n  interval: {interval}\n  rules:\n' + '\n'.join(filled(family, b.rule).strip('\n') for b in own) + '\n'
        tests.append((f'{group}.yml', HEAD + rules, f'rule_files: [{group}.yml]\nevaluation_interval: {interval}\ntests:\n' +
                      '\n'.join(test_of(family, b, t) for b in own for t in b.tests) + '\n'))
        yaml += rules
    left = re.search(r'\{(?:Name|by|model|scale:\w+)\}', yaml)
    if left:
        sys.exit(f'serving.tmpl: {family.name}: {left.group()} was not filled in')
    return Pack(family.name, family.title, family.seen, yaml, tests, serving_dashboard(family))


def serving_packs():
    families = read_families(PACKS / 'servers.tsv')
    blocks = [Block(b) for b in re.split(r'^=== ', (PACKS / 'serving.tmpl').read_text(), flags=re.M)[1:]]
    unused = {s for f in families.values() for s in f.signals} - {n for b in blocks for n in b.needs}
    if unused - {'slo_bound'}:
        sys.exit(f'servers.tsv: no rule uses {", ".join(sorted(unused))}')
    return [serving_pack(f, blocks) for f in families.values()]


def written_pack(path):
    """A pack written by hand: its head says "# pack: TITLE" and, when metrics switch it on, "# seen: PREFIX, …"."""
    yaml = path.read_text()
    title = re.search(r'^# pack: (.*)$', yaml, re.M)
    seen = re.search(r'^# seen: (.*)$', yaml, re.M)
    if not title:
        sys.exit(f'{path}: no line "# pack: TITLE"')
    tests = (path.parent / 'tests' / f'{path.stem}_test.yml').read_text()
    for alert in re.findall(r'^ +- alert: (\w+)$', yaml, re.M):
        for word in ('fires', 'stays silent'):
            if f'- name: {alert} {word}\n' not in tests:
                sys.exit(f'{path}: {alert} has no test "{alert} {word}"')
    dashboard = (path.parent / 'dashboards' / path.name).read_text()
    return Pack(path.stem, title.group(1), seen.group(1) if seen else '', yaml, [(f'{path.stem}.yml', yaml, tests)], dashboard)


def all_packs():
    return sorted([written_pack(p) for p in sorted(PACKS.glob('*.yml'))] + serving_packs(), key=lambda p: p.name)


def main():
    words = [w for w in sys.argv[1:] if w != '--prometheus']
    is_prometheus, packs = '--prometheus' in sys.argv, all_packs()
    if words[:1] == ['--tests'] and len(words) == 2:
        for pack in packs:
            pack.write_tests(pathlib.Path(words[1]), is_prometheus)
    elif words and words[0] in [p.name for p in packs]:
        pack = next(p for p in packs if p.name == words[0])
        print(pack.prometheus() if is_prometheus else pack.yaml, end='')
    else:
        sys.exit(__doc__ + '\npacks: ' + ', '.join(p.name for p in packs))


if __name__ == '__main__':
    main()
