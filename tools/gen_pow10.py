#!/usr/bin/env python3
"""Writes the powers of ten that the float printer multiplies with: for k in -292…324 the upper 128 bits of 10^k, rounded
up, as g = ceil(10^k * 2^(127 - floor(log2(10^k)))). usage: gen_pow10.py OUTPUT.c"""
import sys

K_MIN, K_MAX = -292, 324


def floor_log2(numerator, denominator):
    e = numerator.bit_length() - denominator.bit_length()
    return e if (numerator << max(0, -e)) >= (denominator << max(0, e)) else e - 1


def scaled(k):
    n, d = (10 ** k, 1) if k >= 0 else (1, 10 ** -k)
    shift = 127 - floor_log2(n, d)
    n, d = (n << shift, d) if shift >= 0 else (n, d << -shift)
    return -(-n // d)


def main():
    with open(sys.argv[1], 'w', encoding='ascii') as out:
        out.write('/* Made by tools/gen_pow10.py. */\n#include "base/float_digits_priv.h"\n\n'
                  'const struct toc_pow10 toc_pow10_table[] = {\n')
        for k in range(K_MIN, K_MAX + 1):
            g = scaled(k)
            assert 1 << 127 <= g < 1 << 128
            out.write(f'    {{0x{g >> 64:016x}ULL, 0x{g & (1 << 64) - 1:016x}ULL}}, /* {k} */\n')
        out.write('};\n')


if __name__ == '__main__':
    main()
