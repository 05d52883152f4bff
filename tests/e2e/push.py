"""Remote write by hand: messages, and snappy as a decoder has to take it (literals only)."""
import struct


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def series(labels, samples):
    """One TimeSeries of remote write 1.0; samples: (milliseconds, value)."""
    body = b''.join(field(1, field(1, k.encode()) + field(2, v if isinstance(v, bytes) else v.encode()))
                    for k, v in sorted(labels.items()))
    return field(1, body + b''.join(field(2, b'\x09' + struct.pack('<d', v) + b'\x10' + varint(t)) for t, v in samples))


def snappy(data):
    parts = [varint(len(data))]
    for i in range(0, len(data), 65536):
        piece = data[i:i + 65536]
        parts.append(b'\xf4' + struct.pack('<H', len(piece) - 1) + piece)
    return b''.join(parts)


def remote_write(daemon, all_series, timeout=20):
    return daemon.call('POST', '/api/v1/write', snappy(b''.join(all_series)), token=daemon.token, timeout=timeout, headers={
        'Content-Type': 'application/x-protobuf', 'Content-Encoding': 'snappy', 'X-Prometheus-Remote-Write-Version': '0.1.0'})
