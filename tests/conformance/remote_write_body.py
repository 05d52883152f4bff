"""A remote write 1.0 message from Python, with what the text formats cannot carry: native histograms and exemplars."""
import struct


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def zigzag(n):
    return varint((n << 1 ^ n >> 63) & (1 << 64) - 1)


def field(number, payload):
    """Varint for an int, 64 bits for a float, length-delimited for bytes."""
    if isinstance(payload, float):
        return varint(number << 3 | 1) + struct.pack('<d', payload)
    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def signed(number, n):
    return varint(number << 3) + zigzag(n)


def labels(number, pairs):
    return b''.join(field(number, field(1, k.encode()) + field(2, v.encode())) for k, v in sorted(pairs.items()))


def spans(number, items):
    return b''.join(field(number, signed(1, offset) + field(2, length)) for offset, length in items)


def histogram(t_ms, count, total, schema, zero_threshold, zero_count, positive_spans, positive_counts, custom=()):
    deltas = b''.join(zigzag(c - p) for c, p in zip(positive_counts, [0, *positive_counts]))
    out = field(1, count) + field(3, float(total)) + signed(4, schema) + field(5, float(zero_threshold)) + field(6, zero_count)
    out += spans(11, positive_spans) + field(12, deltas) + field(15, t_ms)
    return out + (field(16, b''.join(struct.pack('<d', b) for b in custom)) if custom else b'')


def exemplar(t_ms, value, pairs):
    return labels(1, pairs) + field(2, float(value)) + field(3, t_ms)


def sample(t_ms, value):
    return field(1, float(value)) + field(2, t_ms)


def series(pairs, samples=(), exemplars=(), histograms=()):
    out = labels(1, pairs)
    for number, items in ((2, samples), (3, exemplars), (4, histograms)):
        out += b''.join(field(number, i) for i in items)
    return field(1, out)


def snappy(data):
    """The block format with literals only."""
    out = varint(len(data))
    for at in range(0, len(data), 60):
        part = data[at:at + 60]
        out += bytes([len(part) - 1 << 2]) + part
    return out


HEADERS = {'Content-Encoding': 'snappy', 'Content-Type': 'application/x-protobuf',
           'X-Prometheus-Remote-Write-Version': '0.1.0'}
