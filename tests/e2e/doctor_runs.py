"""Files of made-up training runs for the tests of `tocsin doctor`: seeded, at a fixed time in the past."""
import json
import math
import os
import random
import struct

T0 = 1700000000.0


def write(path, lines, mtime=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    end = mtime or lines[-1].get('t', T0)
    os.utime(path, (end, end))
    return path


def run(steps=400, seconds=1.0, seed=1, change=None, end='finished', says_state=True, start=T0, labels=None):
    """Lines of one run: a loss that falls with noise; change(step, line) makes the fault."""
    r = random.Random(seed)
    lines, t, session = [], start, f's{seed}'

    def add(**fields):
        line = {'t': round(t, 3), **fields}
        if says_state:
            line = {**line, 'session': session, 'seq': len(lines) + 1, 'state': fields.get('state', 'running')}
        lines.append(line)
        return line

    if says_state:
        add(event='start', labels={'model': 'tiny', **(labels or {})})
    for step in range(1, steps + 1):
        t += seconds * r.uniform(.95, 1.05)
        line = add(step=step, loss=1.5 + 3 * math.exp(-step / 200) + r.gauss(0, .02), grad_norm=abs(r.gauss(1, .1)),
                   lr=1e-3, step_seconds=seconds * r.uniform(.9, 1.1), memory_bytes=500000000 + r.randint(0, 1000000),
                   memory_limit_bytes=1000000000)
        if change:
            change(step, line)
    t += .5
    if says_state and end == 'finished':
        add(step=steps, state='finished', event='end')
    elif says_state and end:
        add(step=steps, state='failed', event='error', message=end)
    return lines


def nan(step, line):
    if step > 250:
        line['loss'] = line['grad_norm'] = float('nan')


def divergence(step, line):
    if step > 250:
        line['lr'] = .1
        line['loss'] += (step - 250) * .05


def spike(step, line):
    if 250 <= step < 254:
        line['loss'] += 5


def leak(step, line):
    if step > 200:
        line['memory_bytes'] = 500000000 + (step - 200) * 4000000


def hang(seconds=150):
    """Steps end, reports go on."""
    lines = run(300, end=None)
    last = lines[-1]
    return lines + [{'t': last['t'] + i, 'session': 's1', 'seq': 1000 + i, 'step': 300, 'state': 'running',
                     'memory_bytes': 500000000} for i in range(1, seconds)]


def crc32c_table():
    table = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
        table.append(i)
    return table


CRC32C = crc32c_table()


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC32C[(crc ^ byte) & 255] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack('<I', ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def event(wall_time, step=None, tag=None, value=None):
    """One record: tensorflow/core/util/event.proto with a Summary of one simple_value, as PyTorch writes it."""
    data = b'\x09' + struct.pack('<d', wall_time)
    if tag is None:
        data += b'\x1a\x0dbrain.Event:2'
    else:
        summary = b'\x0a' + varint(len(tag)) + tag.encode() + b'\x15' + struct.pack('<f', value)
        summary = b'\x0a' + varint(len(summary)) + summary
        data += b'\x10' + varint(step) + b'\x2a' + varint(len(summary)) + summary
    length = struct.pack('<Q', len(data))
    return length + masked_crc(length) + data + masked_crc(data)


def write_events(path, lines, tags):
    """An event file of a run's lines; tags: field → tag."""
    path.parent.mkdir(parents=True, exist_ok=True)
    steps = [line for line in lines if 'loss' in line]
    data = event(steps[0]['t'] - 1)
    for line in steps:
        data += b''.join(event(line['t'], line['step'], tag, line[field]) for field, tag in tags.items())
    path.write_bytes(data)
    os.utime(path, (steps[-1]['t'], steps[-1]['t']))
    return path
