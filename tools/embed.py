#!/usr/bin/env python3
"""embed.py OUT.c SYMBOL FILE…: the files, one after the other, as a C array SYMBOL_bytes with SYMBOL_size."""
import sys


def main():
    out, symbol, *files = sys.argv[1:]
    data = b''.join(open(f, 'rb').read() for f in files)
    with open(out, 'w', encoding='ascii') as c:
        c.write(f'extern const unsigned char {symbol}_bytes[];\nextern const unsigned long {symbol}_size;\n')
        c.write(f'const unsigned char {symbol}_bytes[] = {{\n')
        for i in range(0, len(data), 24):
            c.write(','.join(str(b) for b in data[i:i + 24]) + ',\n')
        c.write(f'0}};\nconst unsigned long {symbol}_size = {len(data)};\n')


main()
