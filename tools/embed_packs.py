#!/usr/bin/env python3
"""Writes a C table of the built-in rule packs with their tests: embed_packs.py OUT.c"""
import pathlib
import sys

import make_packs


def literal(line):
    text = ''.join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f'\\{b:03o}'
                   for b in line.encode())
    return f'    "{text}"'


class Table:
    def __init__(self):
        self.lines, self.known = [], {}

    def text(self, text):
        """Name of a constant with that text; equal texts share one."""
        if text not in self.known:
            name = self.known[text] = f'text_{len(self.known)}'
            self.lines += [f'static const char {name}[] =', '\n'.join(literal(l) for l in text.splitlines(True)) + ';', '']
        return f'{{{self.known[text]}, sizeof {self.known[text]} - 1}}'

    def pack(self, number, pack):
        rows = [f'    {{"{name}", {self.text(rules)}, {self.text(tests)}}},' for name, rules, tests in pack.tests]
        yaml, plain, dashboard = self.text(pack.yaml), self.text(pack.prometheus()), self.text(pack.dashboard)
        self.lines += [f'static const struct toc_pack_tests tests_{number}[] = {{'] + rows + ['};', '']
        return f'    {{"{pack.name}", "{pack.title}", "{pack.seen}",\n     {yaml}, {plain}, {dashboard}, tests_{number}, {len(rows)}}},'


def main():
    table, packs = Table(), make_packs.all_packs()
    rows = [table.pack(i, p) for i, p in enumerate(packs)]
    head = ['/* Generated from packs/ by tools/embed_packs.py. */', '#include "rules/builtin_packs.h"', '']
    tail = ['static const struct toc_builtin_pack packs[] = {', *rows, '};', '',
            'const struct toc_builtin_pack *toc_builtin_packs(size_t *out_count) {',
            '    *out_count = sizeof packs / sizeof packs[0];', '    return packs;', '}', '']
    pathlib.Path(sys.argv[1]).write_text('\n'.join(head + table.lines + tail))


if __name__ == '__main__':
    main()
