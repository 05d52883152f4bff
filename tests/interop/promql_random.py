"""Random series and random well-typed queries that every PromQL engine must answer alike.

What Prometheus 3 means differently from Prometheus 2, and how the generator keeps it from mattering:

* Ranges and lookback are open on the left: samples lie off the whole and the half seconds, queries are evaluated at half
  seconds, ranges and offsets are whole seconds, so no sample lies on a boundary. Ranges of subqueries end in 300 ms and
  steps are whole seconds, so no step lies on one either.
* A counter that may have begun at zero not long before its first sample is extrapolated otherwise: counters start far
  above what they gain between two samples, fall by a third at most, and rates are taken of counters only.
* Sums are compensated: values are multiples of 1/8, so that most sums are exact; where a result is not exact (rates,
  averages, transcendental functions) it is compared within 1e-9, and no operator that jumps (comparison, rounding,
  ranking, count of changes) is put on top of it.
* atan2 keeps the metric name in Prometheus 2: its vector has none. stddev and stdvar of one NaN or infinity, and of
  numbers whose squares overflow, differ: they get small numbers only. timestamp(x offset O @ T) forgets the offset there: such a selector has one of the two.
  predict_linear(x[d] @ T) moves the window in a range query there: its selector has no @.
* label_replace and label_join refuse series that become equal wherever their values are: promql_diff.py decides that.
* The logarithm of a subnormal number is wrong in Go on amd64: there is none among the special values.
  sinh and cosh overflow a little early in Go, at 709.8 instead of 710.5: they get at most 700.
* holt_winters has another name, histogram_fraction and native histograms are not in Prometheus 2: they are not generated.
"""
import math
import random

from prometheus_peer import STALE

STEP_MS = 15000
SAMPLES = 200
BASE_MS = 1700000000000  # of the first sample


def begin_at(ms):
    global BASE_MS
    BASE_MS = ms


# ---------------------------------------------------------------------------------------------------------------- data

def sample_times(r, start=0, end=SAMPLES):
    """About every 15 s, never on a whole or half second."""
    times = []
    for i in range(start, end):
        t = BASE_MS + i * STEP_MS + r.randrange(1000)
        times.append(t + 7 if t % 500 == 0 else t)
    return times


def gauge(r, times):
    v, out = r.randrange(-2000, 2000) / 8, []
    for t in times:
        v = max(-512, min(512, v + r.choice((0, 0, r.randrange(-400, 400) / 8))))
        out.append((t, v))
    return out


def counter(r, times):
    v, out, rate = r.randrange(2000, 3000), [], r.choice((0, 3, 20))
    for t in times:
        v += r.choice((0, r.randrange(rate + 1)))
        if r.random() < 0.01 and v > 600:
            v = v * 2 // 3
        out.append((t, float(v)))
    return out


def special(r, times):
    values = (math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -3.5, 1e300, 1e-300)
    return [(t, r.choice(values)) for t in times]


def with_gaps(r, samples):
    """Holes, some begun by a staleness marker."""
    out, i = [], 0
    while i < len(samples):
        if r.random() < 0.02:
            if r.random() < 0.5:
                out.append((samples[i][0], STALE))
            i += r.randrange(2, 40)
        else:
            out.append(samples[i])
            i += 1
    return out


def histogram(r, times, labels):
    """Classic buckets that only grow."""
    bounds = ('0.1', '0.5', '1', '2.5', '10', '+Inf')
    counts, series = [0.0] * len(bounds), {b: [] for b in bounds}
    counts = [1000.0 * (i + 1) for i in range(len(bounds))]
    for t in times:
        for _ in range(r.randrange(12)):
            first = r.randrange(len(bounds))
            for i in range(first, len(bounds)):
                counts[i] += 1
        for b, c in zip(bounds, counts):
            series[b].append((t, c))
    return [({'__name__': 'h_bucket', 'le': b, **labels}, s) for b, s in series.items()]


def series(seed):
    r, out = random.Random(seed), []
    for name, make in ('g', gauge), ('k', gauge), ('c_total', counter), ('d_total', counter):
        for a in 'xyz':
            for b in '123':
                if r.random() < 0.85:
                    times = sample_times(r, *(() if r.random() < 0.7 else sorted(r.sample(range(SAMPLES), 2))))
                    samples = with_gaps(r, make(r, times))
                    if samples:
                        out.append(({'__name__': name, 'a': a, 'b': b, 'job': 'j' + r.choice('12')}, samples))
    for a in 'xy':
        out.append(({'__name__': 'one', 'a': a, 'owner': 'o' + a}, [(t, 1.0) for t in sample_times(r)]))
        out.append(({'__name__': 'special', 'a': a}, special(r, sample_times(r))))
        out += histogram(r, sample_times(r), {'a': a})
    return out


# ------------------------------------------------------------------------------------------------------------- queries

class Node:
    """A piece of a query: texts with the children between them. `bits` is (fraction, magnitude) in bits while results
    are exact numbers of that size; `same` while results must be equal bit for bit; `smooth` while they have no zero
    that is only nearly one; `magnitude` bounds the numbers it was computed from."""

    def __init__(self, kind, parts, children=(), bits=None, same=False, smooth=True, magnitude=0, ranks=False, order=False, is_moved_twice=False,
                 is_finite=True):
        self.kind, self.parts, self.children = kind, parts, list(children)
        self.bits, self.same, self.smooth = bits, same or bits is not None, smooth or same or bits is not None
        self.magnitude = max([magnitude, bits[1] if bits else 0] + [c.magnitude for c in self.children])
        self.finite = is_finite and bits is not None and all(c.finite for c in self.children)
        self.ranks = ranks or any(c.ranks for c in self.children)
        self.order, self.is_moved_twice = order, is_moved_twice

    def __str__(self):
        out = []
        for i, part in enumerate(self.parts):
            out.append(part)
            if i < len(self.children):
                out.append(str(self.children[i]))
        return ''.join(out)

    def absolute(self):
        """Absolute error that rounding may leave at the root."""
        return 0.0 if self.same else 1e-12 * 2.0 ** min(self.magnitude, 60)


def exact(fraction, magnitude):
    return (fraction, magnitude) if fraction + magnitude <= 52 else None


class Generator:
    def __init__(self, r):
        self.r = r

    def seconds(self, low, high):
        return self.r.choice((1, 5, 7, 15, 30, 60, 61, 90, 180, 300, 600, 1200)) if self.r.random() < 0.7 else self.r.randrange(low, high)

    def duration(self, low=1, high=1500):
        s = self.seconds(low, high)
        if s >= 60 and self.r.random() < 0.4:
            return f'{s // 60}m' + (f'{s % 60}s' if s % 60 else '')
        return f'{s}s'

    def modifiers(self, has_at=True):
        r, out = self.r, []
        if r.random() < 0.2:
            out.append(f' offset {"-" if r.random() < 0.2 else ""}{self.duration()}')
        if has_at and r.random() < 0.12:
            at = r.choice(('start()', 'end()', f'{(BASE_MS + r.randrange(-600, 3600) * 1000 + 500) / 1000:.3f}'))
            out.append(f' @ {at}')
        r.shuffle(out)
        return ''.join(out)

    def matchers(self, names):
        r, out = self.r, []
        for name, values in names.items():
            if r.random() < 0.3:
                op = r.choice(('=', '=', '!=', '=~', '!~'))
                value = r.choice(values) if op in ('=', '!=') else r.choice(('|'.join(values[:2]), '.*', values[0] + '.?', f'[{"".join(v[0] for v in values)}]+'))
                out.append(f'{name}{op}"{value}"')
        return '{' + r.choice((',', ', ')).join(out) + '}' if out else ''

    def selector(self, names=('g', 'k', 'c_total', 'd_total', 'one')):
        name = self.r.choice(names)
        labels = {'a': 'xyz', 'b': '123', 'job': ('j1', 'j2')} if name not in ('one', 'special') else {'a': 'xy'}
        if len(names) > 3 and self.r.random() < 0.05:
            matcher = self.r.choice(('{__name__=~"g|one"', '{__name__=~"[gk]",a="x"', '{job="j1",__name__!="c_total"'))
            return matcher + '}', (3, 12)
        return name + self.matchers({k: list(v) for k, v in labels.items()}), (3, 12)

    def vector_selector(self, depth=0):
        text, bits = self.selector()
        modifiers = self.modifiers()
        return Node('vector', [text + modifiers], bits=bits, is_moved_twice='@' in modifiers and 'offset' in modifiers)

    def range_selector(self, names=('g', 'k', 'c_total', 'd_total', 'one'), has_at=True):
        text, bits = self.selector(names)
        return Node('matrix', [f'{text}[{self.duration(1, 1800)}]{self.modifiers(has_at)}'], bits=bits)

    def subquery(self, depth):
        inner = self.vector(depth - 1, same=True)
        step = self.r.choice(('', '7s', '15s', '30s', '1m', '2m'))
        minutes = self.r.randrange(1, 12)
        text = ['', f'[{minutes}m300ms:{step}]{self.modifiers()}']
        if inner.kind == 'vector' and self.r.random() < 0.5:
            text = ['(', ')' + text[1]]
        return Node('matrix', text, [inner], bits=inner.bits, same=inner.same)

    def matrix(self, depth, names=('g', 'k', 'c_total', 'd_total', 'one')):
        return self.subquery(depth) if depth > 1 and self.r.random() < 0.2 else self.range_selector(names)

    # Scalars

    def number(self):
        return Node('scalar', [self.r.choice(('0', '1', '2', '-1', '0.5', '3', '10', '-2.25', '100'))], bits=(2, 7))

    def scalar(self, depth):
        r = self.r.random()
        if depth <= 0 or r < 0.6:
            return self.number()
        if r < 0.7:
            return Node('scalar', ['time()'], bits=(1, 31))
        if r < 0.85:
            v = self.vector(depth - 1)
            return Node('scalar', ['scalar(', ')'], [v], bits=v.bits, same=v.same, smooth=v.smooth, is_finite=False)
        a, b = self.scalar(depth - 1), self.scalar(depth - 1)
        return self.arithmetic(self.r.choice('+-*'), a, b, '', 'scalar')

    # Vectors

    def vector(self, depth, same=False):
        """same: its values must be equal bit for bit."""
        for _ in range(20):
            node = self.any_vector(depth)
            if not same or node.same:
                return node
        return self.vector_selector()

    def any_vector(self, depth):
        if depth <= 0:
            return self.vector_selector()
        choices = ((self.vector_selector, 1), (self.over_time, 4), (self.rates, 3), (self.aggregate, 5), (self.elementwise, 2),
                   (self.transcendental, 1), (self.dates, 1), (self.binary, 5), (self.with_scalar, 3), (self.comparison, 2),
                   (self.sets, 2), (self.labels, 1), (self.absent, 0.5), (self.special, 0.7), (self.from_scalar, 0.5),
                   (self.quantiles, 1.5), (self.trend, 1), (self.negate, 0.5), (self.ranked, 1))
        make = self.r.choices([c[0] for c in choices], [c[1] for c in choices])[0]
        return make(depth)

    def over_time(self, depth):
        f = self.r.choice(('sum', 'avg', 'min', 'max', 'count', 'last', 'present', 'stddev', 'stdvar', 'quantile', 'changes', 'resets'))
        m = self.matrix(depth)
        if f in ('stddev', 'stdvar') and not m.finite:
            f = 'count'
        if f in ('changes', 'resets'):
            return Node('vector', [f + '(', ')'], [m], bits=(0, 12))
        if f == 'quantile':
            return Node('vector', [f'quantile_over_time({self.r.choice(("0", "0.3", "0.5", "0.99", "1", "-1", "2"))}, ', ')'], [m], magnitude=12)
        bits = {'count': (0, 12), 'present': (0, 1)}.get(f)
        if f in ('min', 'max', 'last'):
            bits = m.bits
        if f == 'sum' and m.bits:
            bits = exact(m.bits[0], m.bits[1] + 9)
        magnitude = 24 if f in ('stddev', 'stdvar') else 0
        return Node('vector', [f + '_over_time(', ')'], [m], bits=bits, same=f in ('min', 'max', 'last') and m.same,
                    smooth=f not in ('stddev', 'stdvar', 'avg'), magnitude=magnitude)

    def rates(self, depth):
        f = self.r.choice(('rate', 'increase', 'irate', 'delta', 'idelta'))
        m = self.range_selector(('c_total', 'd_total') if f not in ('delta', 'idelta') else ('g', 'k', 'one'))
        return Node('vector', [f + '(', ')'], [m], smooth=False, magnitude=14)

    def grouping(self):
        r = self.r.random()
        if r < 0.35:
            return ''
        labels = ', '.join(self.r.sample(['a', 'b', 'job', 'owner', 'nothing'], self.r.randrange(0, 4)))
        return f' {"by" if r < 0.75 else "without"} ({labels})'

    def aggregate(self, depth):
        f = self.r.choice(('sum', 'sum', 'avg', 'min', 'max', 'count', 'group', 'stddev', 'stdvar', 'quantile', 'count_values'))
        v = self.vector(depth - 1, same=f == 'count_values')
        by = self.grouping()
        parameter = {'quantile': self.r.choice(('0', '0.25', '0.5', '0.9', '1', '-0.1', '1.5')) + ', ', 'count_values': '"v", '}.get(f, '')
        if (f == 'count_values' and v.magnitude > 16) or (f in ('stddev', 'stdvar') and not v.finite):
            f, parameter = 'count', ''
        bits = {'count': (0, 8), 'group': (0, 1), 'count_values': (0, 8)}.get(f)
        if f in ('min', 'max'):
            bits = v.bits
        if f == 'sum' and v.bits:
            bits = exact(v.bits[0], v.bits[1] + 7)
        magnitude = v.magnitude * 2 if f in ('stddev', 'stdvar') else 0
        text = [f'{f}{by} ({parameter}', ')'] if self.r.random() < 0.5 else [f'{f}({parameter}', f'){by}']
        return Node('vector', text, [v], bits=bits, same=f in ('min', 'max') and v.same,
                    smooth=f in ('min', 'max') and v.smooth, magnitude=magnitude)

    def topk(self, depth):
        """topk and bottomk choose among equals as they like: such a result's labels are not compared."""
        v = self.vector(depth - 1, same=True)
        f, k = self.r.choice(('topk', 'bottomk')), self.r.choice(('1', '2', '5', '0', '-1'))
        return Node('vector', [f'{f}{self.grouping()} ({k}, ', ')'], [v], bits=v.bits, same=v.same, ranks=True)

    def ranked(self, depth):
        inner, outer = self.topk(depth), self.r.choice(('min', 'max', 'count', 'sum'))
        bits = {'count': (0, 8), 'sum': exact(inner.bits[0], inner.bits[1] + 7) if inner.bits else None}.get(outer, inner.bits)
        node = Node('vector', [outer + '(', ')'], [inner], bits=bits, same=outer in ('min', 'max') and inner.same, smooth=False)
        node.ranks = False
        return node

    def elementwise(self, depth):
        f = self.r.choice(('abs', 'ceil', 'floor', 'round', 'sgn', 'sqrt', 'clamp', 'clamp_min', 'clamp_max', 'round5', 'timestamp'))
        v = self.vector(depth - 1, same=f in ('ceil', 'floor', 'round', 'sgn', 'round5'))
        if f == 'timestamp':
            return Node('vector', ['timestamp(' + '-' * v.is_moved_twice, ')'], [v], bits=(10, 32))
        arguments = {'clamp': f', {self.number()}, {self.number()}', 'clamp_min': f', {self.number()}',
                     'clamp_max': f', {self.number()}', 'round5': ', ' + self.r.choice(('5', '0.5', '4'))}.get(f, '')
        bits = {'sgn': (0, 1), 'sqrt': None, 'round5': None}.get(f, v.bits)
        if bits and f in ('clamp', 'clamp_min', 'clamp_max'):
            bits = exact(max(bits[0], 2), max(bits[1], 7))
        return Node('vector', [f.rstrip('5') + '(', arguments + ')'], [v], bits=bits, same=v.same, smooth=v.smooth and f != 'sqrt')

    def transcendental(self, depth):
        f = self.r.choice(('exp', 'ln', 'log2', 'log10', 'sin', 'cos', 'tan', 'asin', 'acos', 'atan', 'sinh', 'cosh', 'tanh', 'asinh', 'acosh', 'atanh', 'deg', 'rad'))
        v = self.vector(depth - 1, same=True)
        if f in ('sinh', 'cosh'):
            return Node('vector', [f + '(clamp(', ', -700, 700))'], [v], smooth=False, magnitude=30)
        return Node('vector', [f + '(', ')'], [v], smooth=False, magnitude=30)

    def dates(self, depth):
        f = self.r.choice(('minute', 'hour', 'day_of_week', 'day_of_month', 'day_of_year', 'days_in_month', 'month', 'year'))
        if self.r.random() < 0.4:
            return Node('vector', [f + '()'], bits=(0, 11))
        v = self.vector_selector()
        v = Node('vector', ['timestamp(' + '-' * v.is_moved_twice, ')'], [v], bits=(10, 32))
        return Node('vector', [f + '(', ')'], [v], bits=(0, 11))

    def arithmetic(self, op, a, b, matching, kind='vector'):
        bits = None
        if a.bits and b.bits and op in '+-':
            bits = exact(max(a.bits[0], b.bits[0]), max(a.bits[1], b.bits[1]) + 1)
        if a.bits and b.bits and op == '*':
            bits = exact(a.bits[0] + b.bits[0], a.bits[1] + b.bits[1])
        same = a.same and b.same and op in '+-*/%'
        magnitude = a.magnitude + b.magnitude if op in '*/' else 0
        return Node(kind, ['(', f' {op} {matching}', ')'], [a, b], bits=bits, same=same, smooth=op == '*' and a.smooth and b.smooth, magnitude=magnitude)

    def matching(self):
        r = self.r.random()
        if r < 0.3:
            return ''
        if r < 0.55:
            return f'on ({", ".join(self.r.sample(["a", "b", "job"], self.r.randrange(1, 4)))}) '
        if r < 0.7:
            return f'ignoring ({", ".join(self.r.sample(["b", "job", "owner"], self.r.randrange(0, 3)))}) '
        include = self.r.choice(('', 'owner', 'job', 'nothing'))
        return f'on (a) {self.r.choice(("group_left", "group_right"))} ({include}) '

    def binary(self, depth):
        op = self.r.choice('++--**/%')
        if self.r.random() < 0.4:
            a = self.vector(depth - 1, same=op in '/%')
            b = Node('vector', ['one'], bits=(0, 1))
            return self.arithmetic(op, a, b, f'on (a) group_left ({self.r.choice(("", "owner"))}) ')
        a, b = self.vector(depth - 1, same=op in '/%'), self.vector(depth - 1, same=op in '/%')
        return self.arithmetic(op, a, b, self.matching())

    def with_scalar(self, depth):
        op = self.r.choice(('+', '-', '*', '/', '%', '^', 'atan2'))
        exact_needed = op in ('/', '%', '^', 'atan2')
        v, s = self.vector(depth - 1, same=exact_needed), self.scalar(0 if exact_needed else 1)
        a, b = (v, s) if self.r.random() < 0.6 else (s, v)
        if op == 'atan2':
            a, b = (Node('vector', ['(', ' + 0)'], [x]) if x is v else x for x in (a, b))
        if op in ('^', 'atan2'):
            return Node('vector', ['(', f' {op} ', ')'], [a, b], smooth=False, magnitude=30)
        return self.arithmetic(op, a, b, '')

    def comparison(self, depth):
        op, boolean = self.r.choice(('==', '!=', '>', '<', '>=', '<=')), self.r.choice(('', 'bool '))
        a = self.vector(depth - 1, same=True)
        if self.r.random() < 0.6:
            b = self.number()
            a, b = (a, b) if self.r.random() < 0.7 else (b, a)
            matching = ''
        else:
            b, matching = self.vector(depth - 1, same=True), self.matching()
        bits = (0, 1) if boolean else exact(max(a.bits[0], b.bits[0]), max(a.bits[1], b.bits[1])) if a.bits and b.bits else None
        return Node('vector', ['(', f' {op} {boolean}{matching}', ')'], [a, b], bits=bits, same=a.same and b.same)

    def sets(self, depth):
        op = self.r.choice(('and', 'or', 'unless'))
        a, b = self.vector(depth - 1), self.vector(depth - 1)
        matching = self.r.choice(('', 'on (a) ', 'ignoring (b) ', 'on () ', 'on (a, b) '))
        bits = exact(max(a.bits[0], b.bits[0]), max(a.bits[1], b.bits[1])) if a.bits and b.bits else None
        return Node('vector', ['(', f' {op} {matching}', ')'], [a, b], bits=bits, same=a.same and b.same, smooth=a.smooth and b.smooth)

    def labels(self, depth):
        v = self.vector(depth - 1)
        if self.r.random() < 0.6:
            destination, replacement, source, regex = (self.r.choice(c) for c in (
                ('c', 'a', 'b', 'job'), ('$1', 'p-$1-q', '', '${1}${2}', 'k'), ('a', 'b', 'job', 'nothing', '__name__'), ('(.*)', '(x|y)', '(.)(.*)', 'j(.+)', '')))
            tail = f', "{destination}", "{replacement}", "{source}", "{regex}")'
            return Node('vector', ['label_replace(', tail], [v], bits=v.bits, same=v.same, smooth=v.smooth)
        tail = f', "{self.r.choice(("c", "a"))}", "{self.r.choice(("-", ""))}", "a", "{self.r.choice(("b", "job", "nothing"))}")'
        return Node('vector', ['label_join(', tail], [v], bits=v.bits, same=v.same, smooth=v.smooth)

    def absent(self, depth):
        if self.r.random() < 0.5:
            return Node('vector', ['absent(', ')'], [self.vector(depth - 1)], bits=(0, 1))
        return Node('vector', ['absent_over_time(', ')'], [self.matrix(depth)], bits=(0, 1))

    def special(self, depth):
        """NaN, infinities and the ends of the range of doubles, in functions that do not add."""
        f = self.r.choice(('{}', 'abs({})', 'min_over_time({}[{}])', 'max_over_time({}[{}])', 'last_over_time({}[{}])', 'changes({}[{}])', 'resets({}[{}])',
                           'count_over_time({}[{}])', 'max({})', 'min({})', '{} > 0', '0 >= bool {}', 'sort({})', '-{}', 'sgn({})', 'round({})', 'clamp_max({}, 2)',
                           'quantile_over_time(0.5, {}[{}])', 'max(topk(1, {}))', 'count_values("v", {})', 'idelta({}[{}])', 'sqrt({})', '{} == {}', '{} % 2', '1 / {}'))
        text = 'special' + self.r.choice(('', '{a="x"}', '{a!="x"}'))
        text = f.replace('{}', text, 1).replace('{}', text if '==' in f else self.duration(1, 600))
        return Node('vector', [f'({text})'], same=True, is_finite=False)

    def from_scalar(self, depth):
        s = self.scalar(depth - 1)
        return Node('vector', ['vector(', ')'], [s], bits=s.bits, same=s.same, smooth=s.smooth)

    def quantiles(self, depth):
        q = self.r.choice(('0', '0.1', '0.5', '0.9', '0.99', '1', '-1', '2'))
        inner = self.r.choice((f'rate(h_bucket[{self.r.randrange(1, 10)}m])', f'sum by (le) (rate(h_bucket[{self.r.randrange(1, 10)}m]))',
                               f'h_bucket{self.r.choice(("", "{a=%sx%s}" % (chr(34), chr(34))))}', f'increase(h_bucket[{self.r.randrange(20, 600)}s])'))
        return Node('vector', [f'histogram_quantile({q}, {inner})'], smooth=False, magnitude=10)

    def trend(self, depth):
        if self.r.random() < 0.5:
            return Node('vector', ['deriv(', ')'], [self.range_selector(('g', 'k', 'c_total'))], smooth=False, magnitude=24)
        return Node('vector', ['predict_linear(', f', {self.r.choice(("0", "60", "3600", "-30"))})'], [self.range_selector(('g', 'k', 'c_total'), has_at=False)], smooth=False, magnitude=30)

    def negate(self, depth):
        v = self.vector(depth - 1)
        return Node('vector', [self.r.choice(('-', '+', '-')), ''], [v], bits=v.bits, same=v.same, smooth=v.smooth)

    def query(self):
        """A whole query with the times to ask for."""
        r = self.r
        node = self.vector(r.choice((1, 2, 2, 3, 3, 4))) if r.random() < 0.96 else self.scalar(3)
        if r.random() < 0.03:
            node = self.topk(3)
        elif r.random() < 0.04 and node.same:
            node = Node('vector', [r.choice(('sort(', 'sort_desc(')), ')'], [node], same=True, order=True, ranks=node.ranks)
        start = BASE_MS + r.randrange(-60, STEP_MS * SAMPLES // 1000 + 400) * 1000 + 500
        if r.random() < 0.5:
            return node, (start, start, 0)
        step = r.choice((1, 7, 15, 30, 60, 240)) * 1000
        return node, (start, start + step * r.randrange(0, 40), step)
