#!/usr/bin/env python3
"""embed.py OUT.c DEPFILE DIST RUNBOOKS OPENAPI: the files below DIST, the run books as /docs/runbooks/KIND.md and the description of
the HTTP API as /docs/openapi.yaml, as the table of src/api/web_assets.h, gzip-compressed.

Without DIST/index.html only the run books are there: the daemon then says that it has no UI. OUT.c is rewritten only when it
changes, so that an unchanged UI does not rebuild the daemon. DEPFILE tells ninja the files and their folders, as a new file changes its folder.
"""
import gzip
import hashlib
import pathlib
import re
import sys

TYPES = {'.html': 'text/html; charset=utf-8', '.js': 'text/javascript; charset=utf-8',
         '.css': 'text/css; charset=utf-8', '.svg': 'image/svg+xml', '.json': 'application/json', '.md': 'text/markdown; charset=utf-8',
         '.yaml': 'application/yaml'}


def write_depfile(path, out, dist, books, files):
    """Without DIST its parent is watched: it changes when DIST is made."""
    folders = [dist, *(d for d in dist.rglob('*') if d.is_dir())] if dist.exists() else [dist.parent]
    names = [str(f).replace(' ', '\\ ') for f in (*folders, books, *files)]
    path.write_text(f'{out}: ' + ' '.join(names) + '\n')


def main():
    out, depfile, dist, runbooks, openapi = map(pathlib.Path, sys.argv[1:])
    rows, arrays = [], []
    files = sorted(f for f in dist.rglob('*') if f.suffix in TYPES) if (dist / 'index.html').exists() else []
    paths = ['/' + f.relative_to(dist).as_posix() for f in files]
    books = sorted(runbooks.glob('*.md'))
    paths += ['/docs/runbooks/' + f.name for f in books]
    files += books + [openapi]
    write_depfile(depfile, out, dist, runbooks, files)
    paths.append('/docs/openapi.yaml')
    for i, (f, path) in enumerate(zip(files, paths)):
        data = gzip.compress(f.read_bytes(), 9, mtime=0)
        body = ','.join(str(b) for b in data)
        arrays.append(f'static const unsigned char asset_{i}[] = {{{body}}};')
        etag = hashlib.sha256(f.read_bytes()).hexdigest()[:16]
        hashed = 'true' if re.search(r'\.[0-9a-f]{10}\.', path) else 'false'
        rows.append(f'    {{"{path}", "{TYPES[f.suffix]}", asset_{i}, sizeof asset_{i}, "\\"{etag}\\"", {hashed}}},')
    if not rows:
        rows.append('    {"", "", (const unsigned char *)"", 0, "\\"\\"", false},')
    text = '\n'.join(['#include "api/web_assets.h"', '', *arrays, '', 'const struct toc_web_asset toc_web_assets[] = {',
                      *rows, '};', f'const size_t toc_web_asset_count = {len(files)};', ''])
    if not out.exists() or out.read_text() != text:
        out.write_text(text)


main()
