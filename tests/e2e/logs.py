#!/usr/bin/env python3
"""Logs in a real daemon: 512 rank files of 40 error lines are one incident with the right root and one message; the
kernel's log through a pipe with records; rotation, restart, secrets."""
import fcntl
import json
import os
import pathlib
import random
import sys
import threading
import time
import http.server

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from tocsin_test import Checks, Daemon, wait_for  # noqa: E402

RANKS, LINES = 512, 40


class Receiver(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        self.bodies = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                receiver.bodies.append(json.loads(self.rfile.read(int(self.headers.get('Content-Length', 0)))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(('127.0.0.1', 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def firing(self):
        return [b for b in self.bodies if b.get('status') == 'firing']


class Kmsg:
    """A pipe in packet mode: one write is one read, as of /dev/kmsg."""

    def __init__(self, path):
        os.mkfifo(path)
        self.keep = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        self.fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        fcntl.fcntl(self.fd, fcntl.F_SETFL, os.O_DIRECT | os.O_NONBLOCK)
        self.sequence = 100

    def say(self, text, lost=0):
        self.sequence += 1 + lost
        usec = int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6)
        os.write(self.fd, f'3,{self.sequence},{usec},-;{text}\n'.encode())


def now_text(offset=0.0):
    t = time.time() + offset
    return time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(t)) + f'.{int(t % 1 * 1000):03d}Z'


def write_config(root, port):
    (root / 'alertmanager.yml').write_text(f'''
route:
  receiver: hook
  group_by: ['...']
  group_wait: 1s
  group_interval: 5s
  repeat_interval: 1h
receivers:
  - name: hook
    webhook_configs:
      - url: http://127.0.0.1:{port}/
        send_resolved: true
''')
    (root / 'tocsin.yml').write_text(f'''
alertmanager_file: {root}/alertmanager.yml
rules: {{builtin: false}}
host: {{enabled: false}}
discovery: {{enabled: false}}
logs:
  kmsg: {root}/kmsg
  files:
    - {root}/logs/{{run}}/{{host}}/rank{{rank}}.log
    - path: {root}/server/*.log
      source: serving
      host: server-1
''')
    return root / 'tocsin.yml'


def echoes(rank):
    rng = random.Random(rank)
    texts = ['Some NCCL operations have failed or timed out.',
             'To avoid data inconsistency, we are taking the entire process down.',
             f'[rank{rank}]: torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1970, '
             'remote process exited or there was a network error',
             'torch.distributed.DistNetworkError: [c10d] TCPStore recvBytes failed: Connection reset by peer',
             'Received SIGTERM, ending']
    return [f'{now_text(rng.random())} {rng.choice(texts)}\n' for _ in range(LINES)]


def storm(root, run, broken):
    """Files of all ranks come up, then everybody writes, in an order of its own."""
    paths = []
    for rank in range(RANKS):
        folder = root / 'logs' / run / f'node{rank // 8:02d}'
        folder.mkdir(parents=True, exist_ok=True)
        paths.append(folder / f'rank{rank}.log')
        paths[-1].write_text(f'{now_text()} iteration 100/ 500000 | lm loss: 2.1E+00 |\n')
    order = list(range(RANKS))
    random.Random(7).shuffle(order)
    order.remove(broken)
    for rank in order[:100] + [broken] + order[100:]:
        with open(paths[rank], 'a') as f:
            if rank == broken:
                f.write(f'{now_text(-1)} ERROR loop ended\n[rank{rank}]: Traceback (most recent call last):\n'
                        f"[rank{rank}]: KeyError: 'labels' token=abcdef123456 of bob.li@example.com\n")
            f.writelines(echoes(rank)[:LINES - 3 * (rank == broken)])
    return paths


def one_incident(c, d, receiver, root):
    storm(root, 'llama', 137)
    found = wait_for(lambda: d.incidents(), 40)
    if not c.check(found, 'an incident opens'):
        return None
    wait_for(lambda: [v for _, v in d.query('sum(tocsin_log_signature_total)') if v >= RANKS * (LINES - 4)], 60)
    wait_for(lambda: receiver.firing(), 20)
    time.sleep(8)  # a second message would come with the next group interval
    incidents = d.incidents()
    c.equal(len(incidents), 1, f'exactly one incident: {[i["title"] for i in incidents]}')
    i = d.get(f'/api/tocsin/v1/incidents/{incidents[0]["id"]}').json
    i = i.get('incident', i)
    c.equal((i['kind'], i['subject'].get('run'), i['subject'].get('host')), ('crash', 'llama', 'node17'), 'root')
    c.check('rank 137' in i['title'], f'title: {i["title"]}')
    kinds = {x['rule']: x['count'] for x in i['cascades']}
    c.check(len(kinds) >= 4 and sum(kinds.values()) > 10000, f'cascades: {kinds}')
    c.equal(len(receiver.firing()), 1, 'exactly one message')
    text = json.dumps(i) + json.dumps(receiver.bodies)
    c.check('abcdef123456' not in text and 'bob.li' not in text and 'REDACTED' in text, 'no secret is stored or sent')
    series = d.query('sum by (signature, class, run) (tocsin_log_signature_total{signature="py_error"})')
    c.equal([(m.get('run'), m.get('class'), v) for m, v in series], [('llama', 'exception', 1.0)], 'series of the root')
    return i


def kernel(c, d, receiver, root, kmsg):
    before = len(d.incidents())
    kmsg.say('NVRM: Xid (PCI:0000:18:00): 31, pid=4242, name=python3, Ch 00000008, MMU Fault')
    kmsg.say('usb 1-1: new device')
    kmsg.say('NVRM: Xid (PCI:0000:3b:00): 79, pid=4242, name=python3, GPU has fallen off the bus.')
    kmsg.say('NVRM: GPU 0000:3b:00.0: GPU has fallen off the bus.')
    started = time.monotonic()
    found = wait_for(lambda: [i for i in d.incidents() if i['kind'] == 'xid'], 20)
    if c.check(found, 'an XID opens an incident'):
        print(f'seconds from the kernel line to the incident: {time.monotonic() - started:.1f}')
        c.equal(len(d.incidents()), before + 1, 'one incident of two lines')
        c.equal(found[0]['subject'].get('owner'), 'hardware', 'owner')
        wait_for(lambda: [b for b in receiver.firing() if 'XID 79' in json.dumps(b)], 20)
        c.equal(len([b for b in receiver.firing() if 'XID 79' in json.dumps(b)]), 1, 'one message')
    wait_for(lambda: d.query('tocsin_kernel_events_total{signature="nv_xid",device="0000:3b:00"} > 0'), 20)
    got = d.query('sum by (device) (tocsin_kernel_events_total{signature="nv_xid"})')
    c.equal(sorted((m['device'], v) for m, v in got), [('0000:18:00', 1.0), ('0000:3b:00', 1.0)], 'series by device')
    kmsg.say('a line', lost=7)
    c.check(wait_for(lambda: [v for _, v in d.query('tocsin_kmsg_lost_total') if v == 7], 20), 'lost records are counted')


def restart(c, d, root, kmsg):
    """What was written while the daemon was down is news; what it had read is not."""
    serving = root / 'server'
    serving.mkdir()
    (serving / 'vllm.log').write_text(f'{now_text()} INFO started\n')
    wait_for(lambda: [v for _, v in d.query('tocsin_log_files') if v == RANKS + 1], 20)
    time.sleep(12)  # places are stored every ten seconds
    before = {i['id'] for i in d.incidents()}
    c.equal(d.stop(), 0, 'the daemon stops')
    with open(serving / 'vllm.log', 'a') as f:
        f.write(f'{now_text()} vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue.\n')
    os.rename(serving / 'vllm.log', serving / 'vllm.log.1')
    (serving / 'vllm.log').write_text(f'{now_text()} INFO next\n')
    (serving / 'old.log').write_text(f'{now_text()} EngineDeadError: written to a file that came up while it was down\n')
    d.start()
    fresh = wait_for(lambda: [i for i in d.incidents() if i['id'] not in before], 30)
    c.check(fresh and len(fresh) == 1 and fresh[0]['subject'].get('host') == 'server-1', f'after the restart: {fresh}')
    kmsg.say('EXT4-fs (nvme0n1): Remounting filesystem read-only')
    c.check(wait_for(lambda: [i for i in d.incidents() if i['kind'] == 'disk_failing'], 20), 'the kernel is read again')


def blind(c):
    d = Daemon()
    d.config = d.root / 'tocsin.yml'
    d.config.write_text('logs: {kernel: true, kmsg: /nonexistent/kmsg}\nhost: {enabled: false}\ndiscovery: {enabled: false}\n')
    with d:
        text = wait_for(lambda: '/nonexistent/kmsg' in d.get('/api/tocsin/v1/status').body.decode(), 20)
        c.check(text, 'a kernel log that cannot be read is said')


def bad_config(c, root):
    from tocsin_test import offline
    for text, word in (('logs: {files: [{path: "/x/{moon}.log"}]}', 'moon'), ('logs: {file: []}', 'files'),
                       ('logs: {files: [{path: /x, source: sky}]}', 'sky'), ('logs: {directories: x}', 'list'), ('logs: {kernel: maybe}', 'maybe')):
        (root / 'bad.yml').write_text(text)
        code, out, err = offline('check', 'config', root / 'bad.yml')
        c.check(code == 1 and word in out + err, f'{text}: {out}{err}')


def main():
    c, receiver = Checks(), Receiver()
    d = Daemon()
    d.config = write_config(d.root, receiver.server_address[1])
    kmsg = Kmsg(d.root / 'kmsg')
    with d:
        time.sleep(1)
        one_incident(c, d, receiver, d.root)
        kernel(c, d, receiver, d.root, kmsg)
        restart(c, d, d.root, kmsg)
        bad_config(c, d.root)
    blind(c)
    c.finish()


if __name__ == '__main__':
    main()
