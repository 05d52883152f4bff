#!/usr/bin/env python3
"""Fails when a folder of src/ includes a header of its own layer's other folders or of a higher layer,
or when a system call header is included outside src/sys."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
# Headers of the operating system and of wrapped libraries, and the folders that may include them.
WRAPPED = {
    'pthread.h': {'sys'}, 'unistd.h': {'sys'}, 'fcntl.h': {'sys'}, 'dirent.h': {'sys'}, 'dlfcn.h': {'sys'},
    'signal.h': {'sys'}, 'time.h': {'sys'}, 'poll.h': {'sys'}, 'netdb.h': {'sys'}, 'sys/socket.h': {'sys'},
    'sys/stat.h': {'sys'}, 'sys/mman.h': {'sys'}, 'sys/wait.h': {'sys'}, 'sys/time.h': {'sys'},
    'sys/resource.h': {'sys'}, 'sys/file.h': {'sys'}, 'arpa/inet.h': {'sys'}, 'netinet/in.h': {'sys'},
    'microhttpd.h': {'net'}, 'curl/curl.h': {'net'}, 'gnutls/gnutls.h': {'net', 'guard'},
    'sqlite3.h': {'statedb'}, 'sodium.h': {'guard', 'notify', 'statedb'}, 'yaml.h': {'codec'}, 'simdjson.h': {'shim'},
    're2/re2.h': {'shim'}, 'xxhash.h': {'base'}, 'zlib.h': {'codec'}, 'zstd.h': {'codec'},
    'snappy-c.h': {'codec'}, 'roaring/roaring.h': {'metricdb'},
}


def read_layers():
    layers = {}
    for line in (ROOT / 'tools/layers.txt').read_text().splitlines():
        if line and not line.startswith('#'):
            folder, layer = line.split()
            layers[folder] = float(layer)
    return layers


def check_file(path, folder, layers):
    errors = []
    for number, line in enumerate(path.read_text(errors='replace').splitlines(), 1):
        m = INCLUDE.match(line)
        if not m:
            continue
        where = f'{path.relative_to(ROOT)}:{number}'
        if m[1] == '<':
            allowed = WRAPPED.get(m[2])
            if allowed is not None and folder not in allowed:
                errors.append(f'{where}: <{m[2]}> belongs to {", ".join(sorted(allowed))}')
            continue
        target = m[2].split('/')[0] if '/' in m[2] else folder
        if target == folder or m[2] == 'tocsin.h' and folder == 'app':
            continue
        if target not in layers:
            errors.append(f'{where}: "{m[2]}" is not in a folder of tools/layers.txt')
        elif layers[target] >= layers[folder]:
            errors.append(f'{where}: {folder} (layer {layers[folder]:g}) includes "{m[2]}" '
                          f'(layer {layers[target]:g})')
        elif m[2].endswith('_priv.h'):
            errors.append(f'{where}: "{m[2]}" is private to {target}')
    return errors


def main():
    layers = read_layers()
    errors, files = [], 0
    for path in sorted((ROOT / 'src').rglob('*')):
        if path.suffix not in ('.c', '.h', '.cc'):
            continue
        folder = path.relative_to(ROOT / 'src').parts[0]
        if folder not in layers:
            errors.append(f'src/{folder} has no layer in tools/layers.txt')
            continue
        files += 1
        errors += check_file(path, folder, layers)
    print('\n'.join(errors) if errors else f'layers: {files} files clean')
    return 1 if errors else 0


if __name__ == '__main__':
    sys.exit(main())
