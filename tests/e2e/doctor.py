#!/usr/bin/env python3
"""`tocsin doctor DIR` on real files: what it finds, what it does not invent, what it could not read, and its exit code."""
import json
import os
import pathlib
import subprocess
import tempfile
import time

import doctor_runs as runs
from tocsin_test import BINARY, Checks

NOW = '2023-11-20T00:00:00Z'  # days after the runs' end: nobody writes any more


def doctor(*arguments, code=None, c=None, what=''):
    done = subprocess.run([BINARY, 'doctor', *map(str, arguments)], capture_output=True, text=True, timeout=60)
    if c and code is not None:
        c.equal(done.returncode, code, f'{what}: exit code ({done.stderr.strip()})')
    return done


def judged(c, path, what, code, *arguments):
    done = doctor(path, '--output', 'json', '--now', NOW, *arguments, code=code, c=c, what=what)
    try:
        return json.loads(done.stdout)
    except ValueError:
        c.check(False, f'{what}: not JSON: {done.stdout[:200]!r} {done.stderr[:200]!r}')
        return {'findings': [], 'verdict': None, 'not_read': []}


def kinds(report):
    return [f['kind'] for f in report['findings']] + [k['kind'] for f in report['findings'] for k in f['cascades']]


def faults(c, d):
    """Each fault is found as its kind, at its step, and nothing else is."""
    for name, lines, kind, step, end in (
            ('nan', runs.run(change=runs.nan), 'non_finite', 251, 'finished'),
            ('divergence', runs.run(change=runs.divergence), 'divergence', None, 'finished'),
            ('spike', runs.run(change=runs.spike), 'loss_spike', 250, 'finished'),
            ('hang', runs.hang(), 'hang', 300, 'silent'),
            ('crash', runs.run(300, end='RuntimeError: shape mismatch'), 'crash', 300, 'failed'),
            ('oom', runs.run(300, end='CUDA out of memory'), 'oom', 300, 'failed'),
            ('killed', runs.run(300, end=None), 'crash', 300, 'silent'),
            ('leak', runs.run(320, end=None, change=runs.leak), 'oom', 320, 'silent')):
        runs.write(d / name / f'{name}.jsonl', lines)
        r = judged(c, d / name, name, 1)
        c.equal(r['run'], name, f'{name}: run')
        c.equal(r['verdict'], 'unhealthy', f'{name}: verdict')
        c.equal(r['end'], end, f'{name}: end')
        c.equal(sorted(set(kinds(r)) - {'memory_growth'}), [kind], f'{name}: kinds')
        f = r['findings'][0] if r['findings'] else {}
        c.equal(f.get('subject'), {'run': name}, f'{name}: subject')
        if step:
            c.equal(f.get('step'), step, f'{name}: step')
        c.check(f.get('action') and f.get('runbook_url') and f.get('evidence'), f'{name}: {f}')
    c.equal(kinds(judged(c, d / 'leak', 'leak', 1)), ['oom', 'memory_growth'], 'leak: root and cascade')
    text = doctor(d / 'nan', '--now', NOW).stdout
    for part in ('nan  unhealthy', 'critical non_finite', 'step 251', 'do first', 'loss  ', '1 file of reports'):
        c.check(part in text, f'text report: no {part!r} in {text!r}')


def health(c, d):
    """Healthy runs are healthy, whatever form their files have; little data is no health."""
    runs.write(d / 'ok' / 'ok.jsonl', runs.run())
    r = judged(c, d / 'ok', 'healthy', 0)
    c.equal((r['verdict'], r['findings'], r['end']), ('healthy', [], 'finished'), 'healthy')
    c.equal((r['first_step'], r['last_step']), (1, 400), 'healthy: steps')
    c.equal(r['labels'], {'model': 'tiny'}, 'healthy: labels')
    lines = runs.run(says_state=False)
    runs.write(d / 'plain' / 'plain.jsonl', lines)
    r = judged(c, d / 'plain', 'no states', 0)
    c.equal((r['verdict'], r['end']), ('healthy', 'unmarked'), 'a log that just ends is no crash')
    names = ['t', 'step', 'loss', 'grad_norm', 'lr']
    table = d / 'csv' / 'metrics.csv'
    table.parent.mkdir()
    table.write_text(','.join(names) + '\n' + ''.join(','.join(str(x[n]) for n in names) + '\n' for x in lines))
    r = judged(c, d / 'csv', 'CSV', 0)
    c.equal((r['run'], r['verdict'], r['last_step']), ('csv', 'healthy', 400), 'CSV, named by its folder')
    for x in lines:
        del x['t']
    runs.write(d / 'untimed' / 'untimed.jsonl', lines, mtime=runs.T0)
    r = judged(c, d / 'untimed', 'without times', 0)
    c.equal(r['verdict'], 'healthy', 'without times')
    c.check(any('no times' in n for n in r['notes']), f'without times: notes {r["notes"]}')
    runs.write(d / 'short' / 'short.jsonl', runs.run(5))
    r = judged(c, d / 'short', 'five steps', 2)
    c.equal(r['verdict'], 'unknown', 'five steps')
    (d / 'empty').mkdir()
    r = judged(c, d / 'empty', 'empty folder', 2)
    c.equal((r['run'], r['verdict']), (None, 'unknown'), 'empty folder')
    doctor(d / 'absent', code=2, c=c, what='no folder')
    doctor(code=2, c=c, what='no argument')
    doctor(d / 'ok', '--output', 'yaml', code=2, c=c, what='output form')


TAGS = {'loss': 'train/loss', 'grad_norm': 'train/grad_norm', 'lr': 'train/learning_rate'}


def stamp(t):
    return time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(t))


def megatron(x):
    return (f" [{stamp(x['t'])}] iteration {x['step']:8d}/     400 | consumed samples: {x['step'] * 8:12d} | elapsed time per "
            f"iteration (ms): {x['step_seconds'] * 1000:.1f} | learning rate: {x['lr']:.3E} | global batch size:     8 | "
            f"lm loss: {x['loss']:.6E} | loss scale: 1.0 | grad norm: {x['grad_norm']:.3f} |")


def nanogpt(x):
    return f"iter {x['step']}: loss {x['loss']:.4f}, time {x['step_seconds'] * 1000:.2f}ms, mfu 3.2%"


def trainer(x):
    return str({'loss': round(x['loss'], 4), 'grad_norm': x['grad_norm'], 'learning_rate': x['lr'], 'epoch': x['step'] / 100})


def forms(c, d):
    """The same runs as event files of TensorBoard and as logs of several programs."""
    for change, kind in ((None, []), (runs.nan, ['non_finite']), (runs.divergence, ['divergence'])):
        lines = runs.run(change=change)
        path = d / 'tb' / str(kind)
        runs.write_events(path / 'exp' / 'events.out.tfevents.1700000000.host.1.0', lines, TAGS)
        r = judged(c, path, 'event file', 1 if kind else 0)
        c.equal((r['run'], r['end'], kinds(r)), ('exp', 'unmarked', kind), f'event file {kind}')
        c.equal(r['metrics']['train_grad_norm']['samples'], 400, 'event file: gradient norms')
        for form in (megatron, nanogpt, trainer):
            path = d / form.__name__ / str(kind)
            log = path / 'job' / 'train.log'
            log.parent.mkdir(parents=True)
            log.write_text('starting\n' + ''.join(form(x) + '\n' for x in lines if 'loss' in x))
            os.utime(log, (runs.T0 + 400, runs.T0 + 400))
            r = judged(c, path, form.__name__, 1 if kind else 0)
            c.equal((r['run'], r['end'], kinds(r)), ('job', 'unmarked', kind), f'{form.__name__} {kind}')
            c.equal(bool(r['notes']), form is not megatron, f'{form.__name__}: told whether it has times')
    # Keras: what belongs together in two folders; a log beside event files is not a second run.
    path = d / 'keras'
    lines = runs.run()
    runs.write_events(path / 'fit' / 'train' / 'events.out.tfevents.1.a', lines, {'loss': 'epoch_loss'})
    runs.write_events(path / 'fit' / 'validation' / 'events.out.tfevents.1.b', lines, {'loss': 'epoch_loss'})
    (path / 'fit' / 'train' / 'train.log').write_text(''.join(nanogpt(x) + '\n' for x in lines if 'loss' in x))
    r = judged(c, path, 'Keras', 0)
    c.equal((r['run'], 'train_val_loss' in r['metrics']), ('fit', True), 'Keras: one run with both losses')
    # A damaged and a cut event file are told and judged as far as they go.
    path = d / 'damaged' / 'exp'
    whole = runs.write_events(path / 'events.out.tfevents.1.c', runs.run(), TAGS)
    data = bytearray(whole.read_bytes())
    data[data.index(b'train/grad_norm', len(data) // 2)] ^= 255
    whole.write_bytes(data[:-7])
    (path / 'events.out.tfevents.2.d').write_bytes(bytes(range(256)) * 100)
    r = judged(c, d / 'damaged', 'damaged event files', 2)
    c.equal((r['verdict'], r['last_step'], r['findings']), ('healthy', 400, []), 'damaged event files')
    told = ' '.join(u['reason'] for u in r['not_read'])
    for part in ('checksum', 'no end', 'no record'):
        c.check(part in told, f'damaged event files: {part!r} is not told: {told}')


def selection(c, d):
    """Several runs, ranks, attempts, windows of time."""
    runs.write(d / 'many' / 'a.jsonl', runs.run(change=runs.nan))
    runs.write(d / 'many' / 'deep' / 'b.jsonl', runs.run(seed=2, start=runs.T0 + 86400))
    r = judged(c, d / 'many', 'two runs', 1)
    c.equal([(x['run'], x['verdict']) for x in r], [('a', 'unhealthy'), ('deep/b', 'healthy')], 'two runs')
    c.equal(judged(c, d / 'many', 'one of them', 0, '--run', 'deep/b')['verdict'], 'healthy', '--run')
    c.equal(judged(c, d / 'many', 'none of them', 2, '--run', 'zzz')['run'], None, '--run of nothing')
    until = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(runs.T0 + 200))
    c.equal(judged(c, d / 'many', 'before it', 0, '--run', 'a', '--until', until)['findings'], [], '--until')
    since = time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(runs.T0 + 300))
    c.equal(kinds(judged(c, d / 'many', 'after it', 1, '--run', 'a', '--since', since)), ['non_finite'], '--since')
    r = judged(c, d / 'spike', 'a warning only', 0, '--min-severity', 'critical')
    c.equal((r['verdict'], r['findings']), ('healthy', []), '--min-severity')
    ranks = []
    for rank in range(4):
        ranks = [{**x, 'run': 'big', 'rank': rank, 'session': f'r{rank}'} for x in runs.run(seed=10 + rank)]
        runs.write(d / 'ranks' / f'rank{rank}.jsonl', ranks)
    r = judged(c, d / 'ranks', 'ranks', 0)
    c.equal((r['run'], r['ranks'], r['verdict']), ('big', 4, 'healthy'), 'ranks in a file each')
    for attempt in range(5):
        lines = runs.run(60, seed=20 + attempt, start=runs.T0 + attempt * 120, end=None if attempt < 4 else 'finished')
        runs.write(d / 'attempts' / f'attempt{attempt}.jsonl', [{**x, 'run': 'again'} for x in lines])
    r = judged(c, d / 'attempts', 'attempts', 1)
    c.equal((r['run'], r['restarts']), ('again', 4), 'attempts')
    c.check('restart_storm' in kinds(r), f'attempts: {kinds(r)}')


def presence(c, d):
    """Is it still running? The clock and the process tell."""
    now = time.time()
    host = os.uname().nodename
    child = subprocess.Popen(['sleep', '300'])
    try:
        for name, ago, labels, end, found in (
                ('growing', 2, {}, 'running', []),
                ('stuck', 600, {}, 'running', ['hang']),
                ('alive', 600, {'host': host, 'pid': str(child.pid)}, 'running', ['hang']),
                ('gone', 5, {'host': host, 'pid': '4194300'}, 'silent', ['crash']),
                ('elsewhere', 5, {'host': 'another', 'pid': '4194300'}, 'running', [])):
            start = now - ago - 300 if name != 'alive' else now - 300
            lines = runs.run(300, end=None, start=start, labels=labels)
            if name == 'alive':  # the process must have started before the last report
                lines = [{**x, 't': x['t'] - lines[-1]['t'] + time.time()} for x in lines]
            runs.write(d / name / f'{name}.jsonl', lines)
            later = ['--now', time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(now + 600))] if name == 'alive' else []
            done = doctor(d / name, '-o', 'json', *later)
            r = json.loads(done.stdout)
            c.equal((r['end'], kinds(r)), (end, found), f'{name}: end and kinds')
            c.equal(done.returncode, 1 if found else 0, f'{name}: exit code')
            if name == 'gone':
                crash = r['findings'][0]
                c.check('died at step' in crash['title'] and 'error' not in crash['causes'][0]['text'], f'{name}: {crash["title"]}')
        # Nobody would have told its end, which looks like a hang.
        untold = [{k: v for k, v in x.items() if k not in ('state', 'event')} for x in runs.run(300, end=None, start=now - 340)]
        runs.write(d / 'untold' / 'untold.jsonl', untold)
        r = json.loads(doctor(d / 'untold', '-o', 'json').stdout)
        c.equal((r['end'], kinds(r)), ('running', []), 'a file that stopped just now')
    finally:
        child.kill()
        child.wait()


def hostile(c, d):
    """Nothing of it ends the program or becomes a diagnosis; all of it is told."""
    good = runs.run()
    h = d / 'hostile'
    runs.write(h / 'good.jsonl', good)
    (h / 'garbage.jsonl').write_bytes(b'{"step":1,"loss":2}\n' + bytes(range(256)) * 500 + b'\n')
    (h / 'long.jsonl').write_bytes(b'{"step":1,"loss":2}\n{"step":2,"loss":"' + b'9' * 100_000_000 + b'"}\n')
    (h / 'cut.jsonl').write_text(json.dumps({'t': runs.T0, 'step': 5, 'loss': 2}) + '\n{"step":6,"lo')
    (h / 'deep.jsonl').write_text('{"step":1,"loss":1}\n' + '[' * 100000 + '\n{"step":2,"loss":1e999}\n{"step":3,"t":1e300}\n')
    (h / 'dataset.csv').write_text('sepal,petal,species\n1,2,x\n3,4,y\n')
    (h / 'notes.bin').write_bytes(b'\0' * 1000)
    (h / 'loop').symlink_to(h)
    (h / 'dangling.jsonl').symlink_to(h / 'nowhere')
    os.mkfifo(h / 'pipe.jsonl')
    started = time.monotonic()
    reports = judged(c, h, 'hostile', 2)
    print(f'hostile folder: {time.monotonic() - started:.2f} s')
    by_name = {r['run']: r for r in reports}
    c.equal(by_name['good']['verdict'], 'healthy', 'hostile: the good run')
    for name, r in by_name.items():
        c.equal(r['findings'], [], f'hostile: {name} has no invented finding')
    unread = {u['name']: u for u in reports[0]['not_read']}
    for name, part in (('garbage.jsonl', 'JSON'), ('long.jsonl', 'longer than'), ('cut.jsonl', 'no end'), ('deep.jsonl', 'nested'),
                       ('loop', 'leads back'), ('dangling.jsonl', 'not found'), ('pipe.jsonl', 'not a regular file')):
        c.check(name in unread and part in unread[name]['reason'], f'hostile: {name} is not told: {unread.get(name)}')
    c.check('dataset' not in by_name, 'hostile: a data set is no run')
    text = doctor(h, '--now', NOW).stdout
    c.check('What could not be read' in text and 'garbage.jsonl' in text, 'hostile: text report tells it')
    (d / 'esc').mkdir()
    lines = runs.run(300, end='\x1b[31mboom\x07\nnext')
    runs.write(d / 'esc' / 'esc.jsonl', lines)
    text = doctor(d / 'esc', '--now', NOW).stdout
    c.check('boom' in text and '\x1b' not in text and '\x07' not in text, 'control characters do not reach the terminal')
    if os.geteuid():
        secret = runs.write(d / 'locked' / 'x.jsonl', good)
        secret.chmod(0)
        c.equal(judged(c, d / 'locked', 'unreadable', 2)['verdict'], 'unknown', 'an unreadable file')


def thorough(c, d):
    """The clock that skips calm stretches finds what the clock that ticks each second finds."""
    def drop(report):
        keep = []
        for f in report['findings']:
            keep.append((f['kind'], f['severity'], f['step'], f['started_at'], [k['kind'] for k in f['cascades']]))
        return report['verdict'], keep
    for seed in range(1, 9):
        for change in (None, runs.nan, runs.divergence, runs.spike, runs.leak):
            path = d / 'twice' / f'{seed}{change.__name__ if change else ""}'
            runs.write(path / 'x.jsonl', runs.run(320, seed=seed, change=change, end=None if change is runs.leak else 'finished'))
            arguments = ['--output', 'json', '--now', NOW]
            a = json.loads(doctor(path, *arguments).stdout)
            b = json.loads(doctor(path, *arguments, '--thorough').stdout)
            c.equal(drop(a), drop(b), f'{path.name}: thorough or not')


def logs(c, d):
    """A failure that a log and the reports show is one incident, and the first line of the log is its root."""
    lines = runs.run(300, end='RuntimeError: CUDA error')
    runs.write(d / 'logs' / 'job' / 'metrics.jsonl', lines)
    at = [time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(lines[-1]['t'] - back)) for back in (2, 1)]
    hang = ('[Rank {0}] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=4123, OpType=ALLREDUCE, NumelIn=1, NumelOut=1, '
            'Timeout(ms)=600000) ran for 600029 milliseconds before timing out.')
    text = [f'{at[0]},148 [rank3]: torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.']
    text += [f'{at[1]},000 [rank{r}]: ' + hang.format(r) for r in range(8) if r != 3]
    (d / 'logs' / 'job' / 'stderr.log').write_text('\n'.join(text) + '\n')
    r = judged(c, d / 'logs', 'reports and a log', 1)
    c.equal((r['run'], [f['kind'] for f in r['findings']]), ('job', ['oom']), 'reports and a log: one incident')
    f = r['findings'][0] if r['findings'] else {'title': '', 'cascades': [], 'evidence': []}
    c.check('rank 3' in f['title'] and 'CUDA out of memory' in json.dumps(f['evidence']), f'reports and a log: root {f["title"]!r}')
    c.equal(sorted({k['kind'] for k in f['cascades']}), ['crash', 'hang'], 'reports and a log: cascades')
    c.equal((r['sources']['logs'], r['sources']['log_lines']), (1, 8), 'reports and a log: sources')
    (d / 'only' / 'job7').mkdir(parents=True)
    (d / 'only' / 'job7' / 'rank3.log').write_text('\n'.join(text) + '\n')
    r = judged(c, d / 'only', 'a log alone', 1)
    c.equal((r['run'], [f['kind'] for f in r['findings']]), ('job7', ['oom']), 'a log alone')
    (d / 'calm').mkdir()
    (d / 'calm' / 'job.log').write_text('2026-11-24 10:00:00 INFO nothing to see\n')
    c.equal(judged(c, d / 'calm', 'a calm log', 2)['run'], None, 'a calm log alone is no run')


def follow(c, d):
    """While a run goes on its news are told, and the command ends with the run."""
    path = d / 'live' / 'live.jsonl'
    lines = runs.run(120, seconds=.02, end=None, start=time.time() - 3)
    runs.write(path, lines, mtime=time.time())
    job = subprocess.Popen([BINARY, 'doctor', str(d / 'live'), '--follow', '-o', 'json'], stdout=subprocess.PIPE, text=True)
    first = json.loads(job.stdout.readline())
    c.equal((first['run'], first['verdict'], first['end']), ('live', 'healthy', 'running'), 'follow: a healthy run')
    with open(path, 'a') as f:
        f.write(json.dumps({'t': time.time(), 'session': 's1', 'seq': 1000, 'step': 121, 'state': 'failed', 'event': 'error',
                            'message': 'RuntimeError: shape mismatch'}) + '\n')
    second = json.loads(job.stdout.readline())
    c.equal((second['end'], [f['kind'] for f in second['findings']]), ('failed', ['crash']), 'follow: the end is news')
    c.equal(job.wait(timeout=60), 1, 'follow: the exit code')
    doctor(d / 'live', '--follow', '--now', NOW, code=2, c=c, what='follow: a time of its own')


def coverage(c, d):
    """What the files let the doctor see, and what is missing for the rest."""
    runs.write(d / 'cover' / 'a.jsonl', runs.run(change=lambda step, line: line.update(val_loss=line['loss'], layers={
        'l': {'grad_norm': 1, 'update_ratio': .001}})))
    r = judged(c, d / 'cover', 'coverage', 0)['coverage']
    blind = {b['kind']: b['missing'] for b in r['blind']}
    c.equal(r['modes'], len(r['watched']) + len(blind), 'coverage: modes')
    for kind in ('divergence', 'overfit', 'hang', 'vanishing_gradient', 'update_ratio', 'memory_growth'):
        c.check(kind in r['watched'], f'coverage: {kind} is watched: {r["watched"]}')
    c.equal(blind.get('amp_trouble'), 'train_loss_scale or train_skipped_iterations_total', 'coverage: amp_trouble')
    page = d / 'cover.html'
    text = doctor(d / 'cover', '--now', NOW, '--html', page).stdout
    c.check(f'coverage: {len(r["watched"])} of {r["modes"]} failure modes watched' in text, f'coverage in text: {text!r}')
    html = page.read_text()
    c.check('failure modes watched' in html and 'train_loss_scale' in html, 'coverage on the page')


def threads(c, d):
    """Several threads find what one finds: in all the folders of this test, in all of them at once, and in logs of several parts."""
    long = d / 'long' / 'job'
    long.mkdir(parents=True)
    lines = [x for x in runs.run(20000) if 'loss' in x]
    text = []
    for k, x in enumerate(lines):
        text.append(f"[{stamp(x['t'])}] [INFO] step={x['step']} loss={x['loss']:.4f} " + 'x' * 150)
        if k % 1500 == 1499:
            text.append(f'[rank{k % 7}]: torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate {k}.00 GiB.')
    (long / 'train.log').write_text('\n'.join(text) + '\n')
    bare = [line.split('] ', 2)[2] if line[0] == '[' and 'INFO' in line else line for line in text]
    (long / 'bare').mkdir()
    (long / 'bare' / 'train.log').write_text('\n'.join(bare))
    folders = [d] + sorted(x for x in d.iterdir() if x.is_dir())
    for folder in folders:
        one, many = ([doctor(folder, '-o', 'json', '--now', NOW, '--threads', n).stdout for n in ('1', '4')])
        c.check(one == many, f'{folder.name}: 1 and 4 threads differ')
    hits = json.loads(doctor(d / 'long', '-o', 'json', '--now', NOW, '--threads', '4').stdout)
    hits = hits[0] if isinstance(hits, list) else hits
    logs = subprocess.run([BINARY, 'doctor', 'log', str(long / 'train.log'), str(long / 'bare' / 'train.log'), '-o', 'json'],
                          capture_output=True, text=True, timeout=60)
    alone = json.loads(logs.stdout)
    for key, of in (('log_lines', 'lines'), ('log_signs', 'hits')):
        c.equal(hits['sources'][key], alone[of], f'parts of a log: {of}')
    c.check(alone['hits'] > 0, 'parts of a log: no hits')
    doctor(d / 'ok', '--threads', '65', code=2, c=c, what='too many threads')
    doctor(d / 'ok', '--threads', '-1', code=2, c=c, what='a negative number of threads')


def main():
    c = Checks()
    with tempfile.TemporaryDirectory(prefix='tocsin-doctor-') as name:
        d = pathlib.Path(name)
        faults(c, d)
        health(c, d)
        forms(c, d)
        selection(c, d)
        presence(c, d)
        hostile(c, d)
        thorough(c, d)
        logs(c, d)
        coverage(c, d)
        threads(c, d)
        follow(c, d)
    c.finish()


if __name__ == '__main__':
    main()
