#!/usr/bin/env python3
"""tocsin doctor log from outside: roots, forms of files, hostile input, exit codes."""
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from tocsin_test import BINARY, Checks, offline  # noqa: E402

T = '2026-08-20 11:{:02d}:{:02d},{:03d}'


def at(seconds, ms=0):
    return T.format(seconds // 60, seconds % 60, ms)


def rank_log(rank, broken):
    """40 error lines, as PyTorch writes them, around one exception of one rank."""
    if rank == broken:
        return (f'{at(60)} ERROR training loop ended\n[rank{rank}]: Traceback (most recent call last):\n'
                f"[rank{rank}]: KeyError: 'labels' of bob.li@example.com token=abcdef123456\n")
    lines = [f'{at(660, rank)} [rank{rank}]:[E ProcessGroupNCCL.cpp:629] [Rank {rank}] Watchdog caught collective '
             f'operation timeout: WorkNCCL(SeqNum=7, OpType=ALLREDUCE, NumelIn=1, NumelOut=1, Timeout(ms)=600000) '
             f'ran for 600081 milliseconds before timing out.']
    lines += [f'{at(661, rank)} Some NCCL operations have failed or timed out.'] * 38
    lines.append(f'[rank{rank}]: torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1970, '
                 'remote process exited or there was a network error')
    return '\n'.join(lines) + '\n'


def run(*arguments):
    code, out, err = offline('doctor', 'log', '-o', 'json', *arguments)
    return code, json.loads(out) if out.startswith('{') else {}, err


def one_root(c, root):
    for rank in range(64):
        folder = root / 'llama' / f'node{rank // 8}'
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f'rank{rank}.log').write_text(rank_log(rank, 13))
    files = sorted(root.glob('llama/*/*.log'))
    code, got, _ = run('--labels', '{job}/{host}/rank{rank}.log', *files)
    c.equal(code, 1, 'a failure gives exit code 1')
    c.equal(len(got['failures']), 1, 'one failure of 64 logs')
    f = got['failures'][0]
    c.equal((f['kind'], f['root']['signature'], f['root']['rank'], f['root']['host'], f['job']),
            ('crash', 'py_error', 13, 'node1', 'llama'), 'the exception of rank 13 is the root')
    c.check(f['root']['file'].endswith('rank13.log') and f['root']['line'] == 3, f'place of the line: {f["root"]}')
    c.check('bob.li' not in json.dumps(got) and 'abcdef123456' not in json.dumps(got), 'secrets are not shown')
    c.equal({x['signature'] for x in f['cascades']} >= {'nccl_watchdog', 'nccl_watchdog_any', 'nccl_err'}, True, 'cascades')
    c.equal(f['ranks'], 64, 'ranks')
    code, out, _ = offline('doctor', 'log', *files)
    c.check(code == 1 and 'An exception ended a rank: rank 13' in out and 'followed by' in out, f'table: {out[:300]}')
    c.equal(offline('doctor', 'log', '--exit-zero', *files)[0], 0, '--exit-zero')


def forms(c, root):
    text = f'{at(1)} RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB.\n'
    plain = {'plain.log': text.encode(), 'crlf.log': text.replace('\n', '\r\n').encode(),
             'bom.log': b'\xef\xbb\xbf' + text.encode(), 'utf16le.log': b'\xff\xfe' + text.encode('utf-16-le'),
             'utf16be.log': b'\xfe\xff' + text.encode('utf-16-be'), 'packed.log.gz': gzip.compress(text.encode()),
             'noend.log': text.strip().encode()}
    for name, content in plain.items():
        (root / name).write_bytes(content)
    if shutil.which('zstd'):
        subprocess.run(['zstd', '-q', root / 'plain.log', '-o', root / 'packed.log.zst'], check=True)
        plain['packed.log.zst'] = None
    for name in plain:
        code, got, err = run(root / name)
        c.equal((code, [f['kind'] for f in got.get('failures', [])]), (1, ['oom']), f'{name} {err}')
        c.equal(got['failures'][0]['started_at'][:19], '2026-08-20T11:00:01', f'time in {name}')
    done = subprocess.run([BINARY, 'doctor', 'log', '-o', 'json', '-'], input=text.encode(), capture_output=True)
    c.equal(json.loads(done.stdout)['failures'][0]['kind'], 'oom', 'standard input')
    _, got, _ = run('--utc-offset', '8h', root / 'plain.log')
    c.equal(got['failures'][0]['started_at'][:19], '2026-08-20T03:00:01', 'times without a zone')


def hostile(c, root):
    (root / 'long.log').write_bytes(b'x' * (100 << 20) + f'\n{at(1)} CUDA out of memory\n'.encode())
    code, got, _ = run(root / 'long.log')
    c.equal((code, got['cut_lines'], got['lines'], len(got['failures'])), (1, 1, 2, 1), 'a line of 100 MiB')
    (root / 'garbage.bin').write_bytes(os.urandom(8 << 20))
    code, got, err = run(root / 'garbage.bin')
    c.check(code in (0, 1) and got, f'binary garbage: {code} {err}')
    (root / 'cut.gz').write_bytes(gzip.compress(b'a' * 100000)[:50])
    code, _, err = run(root / 'cut.gz')
    c.check(code == 2 and 'cut.gz' in err, f'a cut archive: {code} {err}')
    (root / 'empty.log').write_bytes(b'')
    code, got, _ = run(root / 'empty.log')
    c.equal((code, got['verdict']), (0, 'healthy'), 'an empty file')
    code, got, err = run(root / 'absent.log', root / 'plain.log')
    c.check(code == 2 and 'absent.log' in err and len(got['failures']) == 1, f'one file cannot be read: {code} {err}')
    code, _, err = run(root)
    c.check(code == 2 and 'folder' in err, f'a folder: {err}')


def sources(c, root):
    kernel = ('Aug 20 11:00:00 node7 kernel: NVRM: Xid (PCI:0000:18:00): 79, pid=4242, name=python3, GPU has fallen off the bus.\n'
              'Aug 20 11:00:00 node7 kernel: NVRM: GPU 0000:18:00.0: GPU has fallen off the bus.\n')
    (root / 'node7.kernel.log').write_text(kernel)
    code, got, _ = run('--source', 'kernel', root / 'node7.kernel.log')
    f = got['failures'][0]
    c.equal((code, f['kind'], f['owner'], f['root']['device'], f['root']['host'], f['root']['code']),
            (1, 'xid', 'hardware', '0000:18:00', 'node7', '79'), 'XID 79')
    c.equal(len(got['failures']), 1, 'one failure of two lines')
    c.equal(run('--source', 'job', root / 'node7.kernel.log')[0], 0, 'kernel lines are not looked for in job logs')
    (root / 'app.kernel.log').write_text(kernel.splitlines()[0].replace(': 79,', ': 31,').replace('GPU has fallen off the bus', 'MMU Fault')
                                          + '\n')
    c.equal(run(root / 'app.kernel.log')[1]['failures'], [], 'an application XID alone is no failure of the node')
    (root / 'killed.log').write_text(f'{at(0)} start\n./train.sh: line 12:  4242 Killed      python3 train.py\n')
    code, got, _ = run(root / 'killed.log')
    c.equal((code, got['failures'][0]['state'], got['failures'][0]['root']), (1, 'unexplained', None), 'Killed is unknown')
    (root / 'oom.kernel.log').write_text('Aug 20 11:00:00 node7 kernel: Out of memory: Killed process 4242 (python3)\n')
    code, got, _ = run('--labels', '{host}.log', root / 'killed.log', root / 'oom.kernel.log')
    kinds = [f['kind'] for f in got['failures']]
    c.check('oom_kill' in kinds, f'the OOM killer explains: {kinds}')


def usage(c, root):
    for arguments in ([], ['--source', 'moon', 'x'], ['--labels', '{moon}', 'x'], ['--utc-offset', 'x', 'x'], ['-o', 'xml', 'x']):
        code, _, err = offline('doctor', 'log', *arguments)
        c.check(code == 2 and '--help' in err, f'{arguments}: {code} {err}')
    code, out, _ = offline('doctor', 'log', '--help')
    c.check(code == 0 and '--labels' in out, 'help')


def main():
    c = Checks()
    root = pathlib.Path(tempfile.mkdtemp(prefix='tocsin-test-'))
    try:
        for part in (one_root, forms, hostile, sources, usage):
            part(c, root)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    c.finish()


if __name__ == '__main__':
    main()
