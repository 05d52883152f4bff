#!/usr/bin/env python3
"""CPU seconds that forwarding a million samples costs, tocsin beside Prometheus: the same samples are pushed to a server without
and with a receiver in `remote_write`, in turns, `--repeats` times; the difference of the medians of the server's CPU time is what
forwarding cost. Only the pushed series are forwarded, no metadata, so that both send the same. The receiver reads and answers
204; afterwards the pushed samples in what it got are counted, and a run in which one is missing ends the benchmark.
Usage: remote_write_out_bench.py TOCSIN DIR [--series 10000] [--rounds 100] [--repeats 3]"""
import argparse
import ctypes
import http.server
import os
import pathlib
import shutil
import socket
import statistics
import struct
import subprocess
import threading
import time
import urllib.request

PER_MESSAGE = 2000


class Sink(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.bytes = self.messages = 0
        self.bodies = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def do_POST(self):
        n = int(self.headers['Content-Length'])
        self.server.bodies.append(self.rfile.read(n))
        self.server.bytes += n
        self.server.messages += 1
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def make_series(count):
    """Labels of a training cluster, as protobuf."""
    out = []
    for i in range(count):
        pairs = {'__name__': f'gpu_metric_{i % 50}', 'cluster': 'training-eu-1', 'gpu': str(i // 50 % 8), 'instance': f'node{i // 400:04d}:9400',
                 'job': 'dcgm', 'modelName': 'NVIDIA H100 80GB HBM3', 'uuid': f'GPU-{i // 50:08x}-aaaa-bbbb-cccc-{i // 50:012x}'}
        out.append(b''.join(field(1, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(pairs.items())))
    return out


def fields(data):
    """(number, bytes) of the length-delimited fields of a message; others are passed over."""
    at, end = 0, len(data)
    while at < end:
        key, n, shift = data[at], 0, 0
        at += 1
        if key & 7 == 1:
            at += 8
            continue
        while True:
            byte = data[at]
            at += 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        if key & 7 == 2:
            yield key >> 3, data[at:at + n]
            at += n


def pushed_samples(bodies):
    """How many samples of the pushed series are in the messages."""
    library, count = ctypes.CDLL('libsnappy.so.1'), 0
    for body in bodies:
        room = ctypes.c_size_t()
        library.snappy_uncompressed_length(body, ctypes.c_size_t(len(body)), ctypes.byref(room))
        buffer = ctypes.create_string_buffer(room.value)
        library.snappy_uncompress(body, ctypes.c_size_t(len(body)), buffer, ctypes.byref(room))
        for number, series in fields(buffer.raw[:room.value]):
            if number == 1 and b'gpu_metric_' in series:
                count += sum(1 for inner, _ in fields(series) if inner == 2)
    return count


def snappy_compress(library, data):
    room = ctypes.c_size_t(library.snappy_max_compressed_length(len(data)))
    buffer = ctypes.create_string_buffer(room.value)
    library.snappy_compress(data, len(data), buffer, ctypes.byref(room))
    return buffer.raw[:room.value]


def push_all(port, series, rounds):
    library = ctypes.CDLL('libsnappy.so.1')
    library.snappy_max_compressed_length.restype = ctypes.c_size_t
    library.snappy_max_compressed_length.argtypes = [ctypes.c_size_t]
    library.snappy_compress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.POINTER(ctypes.c_size_t)]
    start = int(time.time() * 1000)  # Prometheus forwards nothing that is older than its start
    for r in range(rounds):
        for at in range(0, len(series), PER_MESSAGE):
            body = b''.join(field(1, labels + field(2, b'\x09' + struct.pack('<d', (i * 7 + r * 13) % 1000 / 10) + b'\x10' + varint(start + r * 1000)))
                            for i, labels in enumerate(series[at:at + PER_MESSAGE], at))
            request = urllib.request.Request(f'http://127.0.0.1:{port}/api/v1/write', data=snappy_compress(library, body), headers={
                'Content-Encoding': 'snappy', 'Content-Type': 'application/x-protobuf', 'X-Prometheus-Remote-Write-Version': '0.1.0'})
            urllib.request.urlopen(request, timeout=60).read()


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def cpu_seconds(pid):
    parts = pathlib.Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf('SC_CLK_TCK')


def rss_mib(pid):
    for line in pathlib.Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmHWM'):
            return int(line.split()[1]) / 1024
    return 0


def command(name, tocsin, folder, port, sink):
    remote = (f'remote_write:\n- url: http://127.0.0.1:{sink.server_address[1]}/w\n'
              f'  queue_config: {{max_samples_per_send: {PER_MESSAGE}}}\n  metadata_config: {{send: false}}\n'
              '  write_relabel_configs: [{source_labels: [__name__], regex: "gpu_metric_.*", action: keep}]\n') if sink else ''
    if name == 'tocsin':
        (folder / 'c.yml').write_text('host: {enabled: false}\ngpu: {enabled: false}\ndiscovery: {enabled: false}\n'
                                      'rules: {builtin: false}\n' + remote)
        return [tocsin, 'run', '--config', str(folder / 'c.yml'), '--data', str(folder / 'd'), '--listen', f'127.0.0.1:{port}']
    (folder / 'c.yml').write_text('global: {scrape_interval: 1h}\n' + remote)
    return ['prometheus', f'--config.file={folder}/c.yml', f'--storage.tsdb.path={folder}/d', '--web.enable-remote-write-receiver',
            f'--web.listen-address=127.0.0.1:{port}']


def wait_ready(port):
    for _ in range(300):
        try:
            return urllib.request.urlopen(f'http://127.0.0.1:{port}/-/ready', timeout=2).read()
        except OSError:
            time.sleep(0.1)
    raise SystemExit('the server did not start')


def wait_quiet(sink):
    """Until nothing came for seven seconds: longer than any batch waits."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < 7:
        if sink.messages != last:
            last, since = sink.messages, time.monotonic()
        time.sleep(0.2)


def measure(name, options, series, sink):
    folder = pathlib.Path(options.dir) / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    port = free_port()
    p = subprocess.Popen(command(name, options.tocsin, folder, port, sink), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_ready(port)
        time.sleep(6)  # Prometheus' reader of its log begins late
        before = cpu_seconds(p.pid)
        push_all(port, series, options.rounds)
        wait_quiet(sink) if sink else time.sleep(7)
        return cpu_seconds(p.pid) - before, rss_mib(p.pid)
    finally:
        p.kill()
        p.wait()
        shutil.rmtree(folder, ignore_errors=True)


def measure_both(name, options, series):
    """CPU seconds without and with a receiver, the sink, memory."""
    plain, _ = measure(name, options, series, None)
    sink = Sink()
    both, rss = measure(name, options, series, sink)
    sink.shutdown()
    got, wanted = pushed_samples(sink.bodies), len(series) * options.rounds
    if got < wanted:
        raise SystemExit(f'{name}: {wanted - got} of {wanted} samples did not reach the receiver')
    sink.bodies.clear()
    return plain, both, sink, rss


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('tocsin')
    parser.add_argument('dir')
    parser.add_argument('--series', type=int, default=10000)
    parser.add_argument('--rounds', type=int, default=100)
    parser.add_argument('--repeats', type=int, default=3)
    options = parser.parse_args()
    series, millions = make_series(options.series), options.series * options.rounds / 1e6
    print(f'{options.series} series, {millions:g} million samples, {PER_MESSAGE} a message, load average {os.getloadavg()[0]:.1f}', flush=True)
    runs = {'tocsin': [], 'prometheus': []}
    for _ in range(options.repeats):
        for name, rows in runs.items():
            rows.append(measure_both(name, options, series))
            plain, both, sink, rss = rows[-1]
            print(f'  {name}: {plain:.2f} s, {both:.2f} s with a receiver, {sink.bytes / millions / 1e6:.2f} bytes a sample, '
                  f'{sink.messages} messages, at most {rss:.0f} MiB', flush=True)
    for name, rows in runs.items():
        plain, both = (statistics.median(row[i] for row in rows) / millions for i in (0, 1))
        print(f'{name}: {plain:.3f} CPU s per million taken, {both - plain:.3f} more when forwarded')
    print(f'load average {os.getloadavg()[0]:.1f}')


main()
