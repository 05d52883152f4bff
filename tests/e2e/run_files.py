#!/usr/bin/env python3
"""What jobs leave in runs.directories without knowing of Tocsin: event files of TensorBoard and logs. A real daemon follows them, goes on
after a restart and after kill -9, imports a finished run, and says what it could not read."""
import math
import pathlib
import struct
import time

from tocsin_test import Checks, Daemon, wait_for

CRC_TABLE = []
for n in range(256):
    for _ in range(8):
        n = (n >> 1) ^ (0x82f63b78 if n & 1 else 0)
    CRC_TABLE.append(n)


def masked_crc(data):
    crc = 0xffffffff
    for b in data:
        crc = CRC_TABLE[(crc ^ b) & 255] ^ (crc >> 8)
    crc ^= 0xffffffff
    return (((crc >> 15) | (crc << 17)) + 0xa282ead8) & 0xffffffff


def varint(n):
    out = b''
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def record(data):
    length = struct.pack('<Q', len(data))
    return length + struct.pack('<I', masked_crc(length)) + data + struct.pack('<I', masked_crc(data))


def event(wall, step, summary=b''):
    return record(b'\x09' + struct.pack('<d', wall) + b'\x10' + varint(step) + field(5, summary))


def scalar(wall, step, tag, value):
    return event(wall, step, field(1, field(1, tag.encode()) + b'\x15' + struct.pack('<f', value)))


def one(daemon, expression):
    found = daemon.query(expression)
    return found[0][1] if len(found) == 1 else None


def same(a, b):
    return a is not None and (a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) < 1e-6 * max(1, abs(b)))


def expect(c, daemon, expression, wanted, text):
    got = wait_for(lambda: same(one(daemon, expression), wanted) or None, 15)
    c.check(got, f'{text}: {expression} is {one(daemon, expression)}, wanted {wanted}')


def append(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'ab') as f:
        f.write(data if isinstance(data, bytes) else data.encode())


def event_files(c, d, runs):
    now = time.time() - 30
    path = runs / 'lr-0.1' / 'train' / 'events.out.tfevents.1.host.1.0'
    append(path, scalar(now, 1, 'train/loss', 2.5) + scalar(now, 1, 'lr', 0.25) + scalar(now, 1, 'my metric', 7)
           + scalar(now + 1, 2, 'train/loss', 2.0))
    run = '{run="lr-0.1/train"}'
    expect(c, d, f'train_loss{run}', 2.0, 'loss of an event file')
    expect(c, d, f'train_learning_rate{run}', 0.25, 'learning rate')
    expect(c, d, 'train_tb_scalar{run="lr-0.1/train",tag="my metric"}', 7, 'a tag without a meaning')
    expect(c, d, f'train_step{run}', 2, 'step')
    whole = scalar(now + 2, 3, 'train/loss', math.nan)
    append(path, whole[:11])
    time.sleep(1.5)
    append(path, whole[11:])
    expect(c, d, f'train_loss{run}', math.nan, 'a NaN written in two halves')
    expect(c, d, f'train_nonfinite_total{{run="lr-0.1/train",kind="loss"}}', 1, 'it is counted')
    damaged = bytearray(scalar(now + 3, 4, 'train/loss', 99))
    damaged[20] ^= 4
    append(path, bytes(damaged) + scalar(now + 4, 5, 'train/loss', 1.5))
    expect(c, d, f'train_loss{run}', 1.5, 'behind a damaged record')
    c.equal(len(d.query(f'train_loss{run} == 99')), 0, 'a damaged record gives no value')
    append(runs / 'lr-0.1' / 'train' / 'events.out.tfevents.2.host.2.0',
           record(b'\x09' + struct.pack('<d', now + 10) + field(3, b'brain.Event:2')) + scalar(now + 11, 4, 'train/loss', 1.25))
    expect(c, d, f'train_loss{run}', 1.25, 'a second file of the run')
    expect(c, d, f'train_restarts_total{run}', 1, 'its step went back')


def logs(c, d, runs):
    append(runs / 'megatron.log', ' iteration  10/ 100 | elapsed time per iteration (ms): 500.0 | lm loss: 2.5E+00 | grad norm: 1.0 |\n')
    expect(c, d, 'train_loss{run="megatron"}', 2.5, 'a line of Megatron-LM')
    expect(c, d, 'train_step_seconds{run="megatron"}', 0.5, 'its milliseconds')
    append(runs / 'megatron.log', ' iteration  20/ 100 | grad norm: nan | number of skipped iterations: 1 | number of nan iterations: 2 |\n')
    expect(c, d, 'train_nonfinite_total{run="megatron",kind="missing"}', 1, 'a loss that is not printed')
    expect(c, d, 'train_skipped_iterations_total{run="megatron"}', 1, 'skipped iterations')
    append(runs / 'deep' / 'hf.out', "{'loss': 0.0, 'grad_norm': nan, 'learning_rate': 5e-05, 'epoch': 0.12}\n")
    expect(c, d, 'train_grad_norm{run="deep/hf"}', math.nan, 'a line of HF Trainer')
    append(runs / 'server.log', 'Engine 000: Avg prompt throughput: 1.0 tokens/s, Avg generation throughput: 2.0 tokens/s, Running: 3 reqs, '
           'Waiting: 4 reqs, GPU KV cache usage: 50.0%, Prefix cache hit rate: 25.0%\n')
    expect(c, d, 'vllm:num_requests_waiting{job="log",instance="server"}', 4, 'a line of vLLM')
    append(runs / 'junk.log', b'\x00\x01\x02' * 100000 + b'\n' + b'x' * 3000000 + b'\niter 7: loss 1.5, time 10ms\n')
    expect(c, d, 'train_loss{run="junk"}', 1.5, 'behind garbage and a line of 3 MB')


def restarts(c, d, runs):
    path = runs / 'lr-0.1' / 'train' / 'events.out.tfevents.2.host.2.0'
    before = one(d, 'train_restarts_total{run="lr-0.1/train"}')
    c.equal(d.stop(), 0, 'exit code')
    append(path, scalar(time.time() - 5, 6, 'train/loss', 0.5))
    append(runs / 'megatron.log', ' iteration  30/ 100 | lm loss: 1.5E+00 | number of skipped iterations: 2 |\n')
    d.start()
    expect(c, d, 'train_loss{run="lr-0.1/train"}', 0.5, 'what was written while the daemon was away')
    expect(c, d, 'train_loss{run="megatron"}', 1.5, 'the same in a log')
    expect(c, d, 'train_skipped_iterations_total{run="megatron"}', 3, 'a sum goes on')
    c.equal(one(d, 'train_restarts_total{run="lr-0.1/train"}'), before, 'the daemon\'s restart is none of the run')
    d.kill()
    append(path, scalar(time.time() - 4, 7, 'train/loss', 0.25))
    d.start()
    expect(c, d, 'train_loss{run="lr-0.1/train"}', 0.25, 'after kill -9')
    c.equal(one(d, 'train_restarts_total{run="lr-0.1/train"}'), before, 'kill -9 is no restart of the run, either')


def finished(c, d, runs, steps):
    began = time.time() - 3600
    data = b''.join(scalar(began + i * 0.03, i, 'loss', 1 / (1 + i)) + scalar(began + i * 0.03, i, 'grad_norm', 1.0) for i in range(steps))
    start = time.monotonic()
    append(runs / 'finished' / 'events.out.tfevents.9', data)
    done = wait_for(lambda: d.query(f'last_over_time(train_step{{run="finished"}}[2h]) == {steps - 1}') or None, 120)
    c.check(done, 'a finished run is imported')
    print(f'{steps} steps of 2 tags, {len(data) / 1e6:.1f} MB, imported in {time.monotonic() - start:.1f} s')
    c.equal(one(d, 'count_over_time(train_loss{run="finished"}[2h])'), steps, 'every step of it')


def main():
    c = Checks()
    root = pathlib.Path(Daemon().root)
    config = root / 'tocsin.yml'
    config.write_text(f'runs:\n  directories: [{root}/runs]\n  logs_utc: true\n')
    runs = root / 'runs'
    with Daemon(config=config) as d:
        event_files(c, d, runs)
        logs(c, d, runs)
        restarts(c, d, runs)
        finished(c, d, runs, 20000)
        metrics = d.get('/metrics').body.decode()
        for name, least in [('tocsin_tensorboard_runs', 2), ('tocsin_tensorboard_records_damaged_total', 0), ('tocsin_run_log_lines_binary_total', 0),
                            ('tocsin_run_log_files', 4)]:
            found = [line for line in metrics.splitlines() if line.startswith(name + ' ')]
            c.check(found and float(found[0].split()[1]) >= least, f'{name}: {found}')
    c.finish()


if __name__ == '__main__':
    main()
