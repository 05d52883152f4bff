#!/usr/bin/env python3
"""A start without a configuration file: first sample, memory, and no packet that leaves the machine."""
import argparse
import pathlib
import re
import shutil
import time

from tocsin_test import Checks, Daemon, wait_for

RSS_LIMIT_BYTES = 60 << 20
FIRST_SAMPLE_LIMIT_S = 3.0


def rss_bytes(pid):
    status = pathlib.Path(f'/proc/{pid}/status').read_text()
    return int(re.search(r'VmRSS:\s+(\d+) kB', status)[1]) * 1024


def first_sample(c):
    with Daemon() as d:
        pass
    d = Daemon()
    began = time.monotonic()
    with d:
        c.check(wait_for(lambda: d.query('node_load1'), 10, 0.02), 'a host sample is there')
        took = time.monotonic() - began
        c.check(took <= FIRST_SAMPLE_LIMIT_S, f'the first host sample took {took:.2f} s, limit {FIRST_SAMPLE_LIMIT_S} s')
        print(f'first host sample queryable after {took:.2f} s')
        c.equal((d.data / 'token').stat().st_mode & 0o777, 0o600, 'mode of the token file')
        c.equal(d.stop(), 0, 'exit code of a clean stop')


def memory(c, seconds):
    with Daemon() as d:
        time.sleep(seconds)
        rss = rss_bytes(d.process.pid)
        c.check(rss <= RSS_LIMIT_BYTES, f'resident memory after {seconds} s is {rss >> 20} MiB')
        print(f'resident memory after {seconds} s: {rss / (1 << 20):.1f} MiB')


def outside_addresses(trace):
    """Internet addresses beyond loopback that any system call named."""
    found = set()
    for line in trace.splitlines():
        for address in re.findall(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"', line):
            text = address[0] or address[1]
            if not text.startswith('127.') and text not in ('::1', '0.0.0.0', '::'):
                found.add(text)
    return found


def packets(c, seconds):
    if not shutil.which('strace'):
        print('strace is not installed: packets were not watched')
        return
    trace = pathlib.Path('/tmp') / f'tocsin-strace-{time.time_ns()}'
    d = Daemon(wrapper=['strace', '-f', '-qq', '-e', 'trace=connect,sendto,sendmsg,sendmmsg', '-o', str(trace)])
    with d:
        d.query('node_load1')
        time.sleep(seconds)
    text = trace.read_text(errors='replace')
    trace.unlink()
    c.equal(sorted(outside_addresses(text)), [], 'addresses beyond loopback')
    c.check('AF_INET' in text or 'connect(' in text or text, 'strace saw the daemon')


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seconds', type=float, default=12, help='how long memory is watched')
    options = parser.parse_args()
    c = Checks()
    first_sample(c)
    memory(c, options.seconds)
    packets(c, min(options.seconds, 12))
    c.finish()


main()
