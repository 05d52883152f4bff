"""Random queries over random series against Debian's Prometheus, no difference allowed.

usage: promql_diff.py PEER [--stored | --daemon] [--queries N] [--seed S] [--seconds LIMIT] [--only NUMBER]

PEER is promql_peer, or the daemon's program with --daemon.
"""
import argparse
import random
import sys
import time

from prometheus_peer import Daemon, Peer, Prometheus, Query, difference, need_prometheus
from promql_random import Generator, Node, begin_at, series

PER_DATA_SET = 2000


class Session:
    """Both programs with one set of series."""

    def __init__(self, o, seed):
        self.data = series(seed)
        self.prometheus = Prometheus()
        self.prometheus.fill(self.data)
        self.peer = Daemon(o.peer, self.data) if o.daemon else Peer(o.peer, self.data, o.stored)

    def close(self):
        self.peer.close()
        self.prometheus.close()

    def compare(self, node, times):
        """What differs, or None, and both results."""
        query = Query(str(node), *times)
        want, got = self.prometheus.query(query), self.peer.query(query)
        ordered = node.order and not times[2] and want.status == 'success' and not has_ties(want)
        what = difference(want, got, node.absolute(), ordered, not node.ranks)
        if what == 'status' and times[2] and self.is_labels_rule(query.expr, got, node, times):
            what = None
        return what, want, got

    def is_labels_rule(self, expr, got, node, times):
        """label_replace and label_join refuse series that become equal: in Prometheus 3 wherever the series have values,
        in Prometheus 2 only where both have one at the same step. Then each step alone gives the same in both."""
        if 'label_' not in expr or 'same labelset' not in got.error:
            return False
        return not any(self.compare(node, (t, t, 0))[0] for t in range(times[0], times[1] + 1, times[2]))


def has_ties(result):
    values = [points[0][1] for _, points in result.rows]
    return len(set(values)) < len(values) or any(v != v for v in values)


def smaller(node):
    """Queries with one piece taken away."""
    for child in node.children:
        if child.kind in ('vector', 'scalar'):
            yield child
    for i, child in enumerate(node.children):
        for less in smaller(child):
            if less.kind == child.kind:
                children = list(node.children)
                children[i] = less
                yield Node(node.kind, node.parts, children, same=node.same, smooth=node.smooth, magnitude=node.magnitude,
                           ranks=node.ranks, order=node.order)


def shrink(session, node, times):
    """The smallest query found that still differs, by at most 300 trials."""
    trials = 300
    if times[2]:
        for t in range(times[0], times[1] + 1, times[2]):
            trials -= 1
            if trials > 200 and session.compare(node, (t, t, 0))[0]:
                times = (t, t, 0)
                break
    is_better = True
    while is_better and trials > 0:
        is_better = False
        for less in smaller(node):
            trials -= 1
            if trials <= 0:
                break
            if session.compare(less, times)[0]:
                node, is_better = less, True
                break
    return node, times


def report(session, number, node, times):
    small, small_times = shrink(session, node, times)
    what, want, got = session.compare(small, small_times)
    print(f'FAILED query {number}: {Query(str(node), *times)}\n  smallest: {Query(str(small), *small_times)}\n'
          f'  differs in {what}\n  prometheus: {want}\n  tocsin:     {got}', flush=True)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('peer')
    p.add_argument('--stored', action='store_true', help='series in a metricdb, partly in blocks')
    p.add_argument('--daemon', action='store_true', help='ask the daemon over HTTP')
    p.add_argument('--base', type=int, help='time of the first sample in ms')
    p.add_argument('--queries', type=int, default=500)
    p.add_argument('--seed', type=int, default=random.SystemRandom().randrange(10 ** 9))
    p.add_argument('--seconds', type=float, default=1e9)
    p.add_argument('--only', type=int, help='the number of one query')
    p.add_argument('--most', type=int, default=20, help='stop after so many failures')
    o = p.parse_args()
    need_prometheus()
    if o.daemon and not o.base:  # recent: the daemon keeps samples for days
        o.base = (int(time.time()) - 3 * 3600) // 3600 * 3600000
    if o.base:
        begin_at(o.base)
    print(f'seed {o.seed}: repeat with --seed {o.seed} --queries {o.queries}' + ' --stored' * o.stored + ' --daemon' * o.daemon +
          f' --base {o.base}' * bool(o.base), flush=True)
    passed = failed = errors = 0
    began, session = time.monotonic(), None
    for number in range(o.queries):
        if time.monotonic() - began > o.seconds or failed >= o.most:
            break
        if number % PER_DATA_SET == 0:
            if session:
                session.close()
            session = Session(o, o.seed + number)
        node, times = Generator(random.Random(o.seed * 1000003 + number)).query()
        if o.only is not None and number != o.only:
            continue
        what, want, _ = session.compare(node, times)
        errors += want.status != 'success'
        if what:
            failed += 1
            report(session, number, node, times)
        else:
            passed += 1
    if session:
        session.close()
    print(f'{errors} of {passed + failed} queries are errors on both sides; {time.monotonic() - began:.0f} s')
    print(f'{passed} passed, {failed} failed')
    sys.exit(1 if failed or not passed else 0)


main()
