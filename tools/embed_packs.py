#!/usr/bin/env python3
"""Writes a C table of the given rule packs: embed_packs.py OUT.c PACK.yml…"""
import pathlib
import sys


def literal(line):
    text = ''.join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f'\\{b:03o}'
                   for b in line.encode())
    return f'    "{text}"'


def main():
    out, packs = pathlib.Path(sys.argv[1]), [pathlib.Path(p) for p in sys.argv[2:]]
    lines = ['/* Generated from packs/ by tools/embed_packs.py. */', '#include "rules/builtin_packs.h"', '']
    for i, pack in enumerate(packs):
        lines.append(f'static const char pack_{i}[] =')
        lines.append('\n'.join(literal(line) for line in pack.read_text().splitlines(True)) + ';')
        lines.append('')
    lines.append('static const struct toc_builtin_pack packs[] = {')
    lines += [f'    {{"{p.stem}", {{pack_{i}, sizeof pack_{i} - 1}}}},' for i, p in enumerate(packs)]
    lines += ['};', '', 'const struct toc_builtin_pack *toc_builtin_packs(size_t *out_count) {',
              '    *out_count = sizeof packs / sizeof packs[0];', '    return packs;', '}', '']
    out.write_text('\n'.join(lines))


if __name__ == '__main__':
    main()
