#!/usr/bin/env python3
"""A made-up NCCL RAS service beside a daemon: its counts become series, and one that hangs stops nothing else."""
import json
import pathlib
import socket
import tempfile
import threading
import time

from tocsin_test import Checks, Daemon, wait_for

REPORT = {'communicators': [{'hash': '0xab', 'secondary_hash': '0x1', 'size': 2, 'missing_ranks_count': 0, 'ranks': [
    {'rank': r, 'host': 'node', 'pid': 10 + r, 'collective_counts': {'AllReduce': 100 - r}} for r in range(2)]}]}


class Service:
    def __init__(self, hangs):
        self.hangs, self.socket = hangs, socket.create_server(('127.0.0.1', 0))
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def address(self):
        return '127.0.0.1:%d' % self.socket.getsockname()[1]

    def serve(self):
        while True:
            peer, _ = self.socket.accept()
            threading.Thread(target=self.answer, args=(peer,), daemon=True).start()

    def answer(self, peer):
        with peer, peer.makefile('rw') as f:
            for line in f:
                if self.hangs:
                    time.sleep(3600)
                command = line.strip().lower()
                if command == 'verbose status':
                    f.write(json.dumps(REPORT))
                    return
                f.write('SERVER PROTOCOL 2\n' if command.startswith('client protocol') else 'OK\n')
                f.flush()


def main():
    checks = Checks()
    good, bad = Service(False), Service(True)
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / 'tocsin.yml'
        config.write_text(f'nccl_ras:\n  addresses: ["{good.address}", "{bad.address}"]\n  interval: 5s\n  timeout: 1s\n')
        with Daemon(config=config) as daemon:
            got = wait_for(lambda: daemon.query('nccl_ras_collectives_total'), 30)
            counts = sorted((labels['rank'], labels['host'], labels['pid'], v) for labels, v in got or [])
            checks.equal(counts, [('0', 'node', '10', 100.0), ('1', 'node', '11', 99.0)], 'counts of the ranks')
            up = wait_for(lambda: len(daemon.query('nccl_ras_up')) == 2 and daemon.query('nccl_ras_up'), 30)
            checks.equal({labels['address']: v for labels, v in up or []}, {good.address: 1.0, bad.address: 0.0}, 'who answers')
            checks.check('no whole answer in time' in daemon.log.read_text(), 'the log says why')
            checks.equal(daemon.stop(), 0, 'a daemon whose service hangs stops')
        config.write_text('nccl_ras:\n  addresses: ["localhost:28028x"]\n')
        try:
            with Daemon(config=config):
                checks.check(False, 'a bad address is refused')
        except RuntimeError as e:
            checks.check('nccl_ras.addresses' in str(e), f'a bad address is named: {e}')
    checks.finish()


if __name__ == '__main__':
    main()
