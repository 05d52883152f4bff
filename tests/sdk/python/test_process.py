"""How processes end: exceptions, exit, signals at 200 random moments, forks, a main thread that hangs in native code."""
import json
import os
import random
import signal
import subprocess
import time

import sdk_test
import tocsin
from sdk_test import FileCase, lines_of

SEED = int(os.environ.get('TOCSIN_TEST_SEED') or time.time_ns() % 1_000_000)

HEAD = '''
import os, signal, sys, threading, time
import tocsin
path = sys.argv[1]
'''


class Ends(FileCase):
    def ended(self, code, *arguments):
        result = self.job(HEAD + code, *arguments)
        return result, self.lines[-1]

    def test_an_uncaught_exception(self):
        (rc, _, err), last = self.ended('''
def deep():
    raise ValueError('boom ' + 'x' * 5000)
run = tocsin.init('x', file=path)
run.log(7, loss=1)
deep()
''')
        self.assertEqual(rc, 1)
        self.assertIn('Traceback', err)
        self.assertEqual((last['event'], last['state'], last['step']), ('error', 'failed', 7))
        self.assertIn('ValueError: boom', last['message'])
        self.assertIn('in deep, from job.py', last['message'])
        self.assertLessEqual(len(last['message'].encode()), 1024)

    def test_the_users_own_excepthook_still_runs(self):
        (rc, out, _), last = self.ended('''
sys.excepthook = lambda *_: print('mine')
run = tocsin.init('x', file=path)
1 / 0
''')
        self.assertEqual((rc, out), (1, 'mine\n'))
        self.assertIn('ZeroDivisionError', last['message'])

    def test_an_exception_in_a_thread_is_survived(self):
        _, last = self.ended('''
run = tocsin.init('x', file=path)
t = threading.Thread(target=lambda: 1 / 0, name='loader'); t.start(); t.join()
run.log(1, loss=1)
''')
        error = next(line for line in self.lines if line.get('event') == 'error')
        self.assertEqual(error['state'], 'running')
        self.assertIn('thread loader: ZeroDivisionError', error['message'])
        self.assertEqual(last['state'], 'finished')

    def test_a_script_that_just_ends(self):
        _, last = self.ended("tocsin.init('x', file=path)\nfor i in range(50): tocsin.log(i, loss=i)\n")
        self.assertEqual((last['event'], last['state']), ('end', 'finished'))
        self.assertEqual(last['step'], 49)

    def test_the_context_manager_tells_exits_apart(self):
        for what, state in (('pass', 'finished'), ('sys.exit(0)', 'finished'), ('sys.exit(3)', 'failed'),
                            ('raise KeyError("k")', 'failed')):
            with self.subTest(what):
                self.path.unlink(missing_ok=True)
                _, last = self.ended(f"with tocsin.init('x', file=path) as run:\n    run.log(1, loss=1)\n    {what}\n")
                self.assertEqual(last['state'], state)

    def test_ctrl_c(self):
        (rc, _, _), last = self.ended('''
run = tocsin.init('x', file=path)
os.kill(os.getpid(), signal.SIGINT)
time.sleep(5)
''')
        self.assertEqual(last['state'], 'failed')
        self.assertIn('KeyboardInterrupt', last['message'])

    def test_sigterm_ends_the_job_as_before(self):
        (rc, _, _), last = self.ended('''
run = tocsin.init('x', file=path)
run.log(3, loss=1)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(5)
print('still there')
''')
        self.assertEqual(rc, -signal.SIGTERM)
        self.assertEqual((last['state'], last['message'], last['step']), ('failed', 'signal SIGTERM', 3))

    def test_the_users_handler_keeps_its_meaning(self):
        (rc, out, _), last = self.ended('''
def mine(number, frame):
    print('saving', number, frame is not None)
    run.log(5, loss=2)
signal.signal(signal.SIGTERM, mine)
run = tocsin.init('x', file=path)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.1)
run.log(6, loss=1)
run.finish()
print(signal.getsignal(signal.SIGTERM) is mine)
''')
        self.assertEqual((rc, out), (0, 'saving 15 True\nTrue\n'))
        self.assertEqual(last['state'], 'finished')
        error = next(line for line in self.lines if line.get('event') == 'error')
        self.assertEqual((error['state'], error['message']), ('running', 'signal SIGTERM received'))
        self.assertIn(5, [line.get('step') for line in self.lines])

    def test_ignored_signals_stay_ignored_and_none_is_touched_when_asked(self):
        (rc, out, _), last = self.ended('''
signal.signal(signal.SIGTERM, signal.SIG_IGN)
run = tocsin.init('x', file=path)
os.kill(os.getpid(), signal.SIGTERM)
print(signal.getsignal(signal.SIGTERM) is signal.SIG_IGN)
run.finish()
signal.signal(signal.SIGTERM, signal.SIG_DFL)
run = tocsin.init('y', file=path, signals=False)
print(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, signal.set_wakeup_fd(-1))
''')
        self.assertEqual((rc, out), (0, 'True\nTrue -1\n'))

    def test_an_end_after_a_handled_signal_is_not_called_success(self):
        _, last = self.ended('''
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
run = tocsin.init('x', file=path)
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(5)
''')
        self.assertEqual((last['state'], last['message']), ('failed', 'ended after signal SIGTERM'))

    def test_sigterm_reaches_a_main_thread_that_hangs_in_native_code(self):
        process = subprocess.Popen(self.command(HEAD + '''
import ctypes
run = tocsin.init('x', file=path)
run.log(9, loss=1)
libc = ctypes.CDLL(None)
mutex = ctypes.create_string_buffer(64)
libc.pthread_mutex_lock(mutex)
print('hanging', flush=True)
libc.pthread_mutex_lock(mutex)
'''), stdout=subprocess.PIPE, env=self.environment())
        process.stdout.readline()
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        try:
            self.assertEqual(process.wait(30), -signal.SIGTERM)
        finally:
            process.kill()
            process.stdout.close()
        last = self.lines[-1]
        self.assertEqual((last['state'], last['step']), ('failed', 9))
        self.assertIn('main thread did not answer', last['message'])


class Killed(FileCase):
    """A child reports as fast as it can and says through a pipe which steps it has reported."""

    def one(self, number, delay_s, path):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            try:
                os.close(read)
                run = tocsin.init('x', file=path, min_interval=0, max_buffered_bytes=256 << 20)
                for step in range(1, 1 << 30):
                    run.log(step, loss=1.0)
                    os.write(write, b'%d\n' % step)
            finally:
                os._exit(99)
        os.close(write)
        try:
            first = os.read(read, 1)  # it reports
            time.sleep(delay_s)
            os.kill(child, number)
            said = first
            while True:
                piece = os.read(read, 1 << 16)
                if not piece:
                    break
                said += piece
        finally:
            os.close(read)
            _, status = os.waitpid(child, 0)
        self.assertTrue(os.WIFSIGNALED(status), status)
        self.assertEqual(os.WTERMSIG(status), number)
        return int(said[:said.rfind(b'\n')].rsplit(b'\n', 1)[-1])

    def test_sigterm_at_200_random_moments(self):
        rng = random.Random(SEED)
        for i in range(200):
            path = self.directory / f'{i}.jsonl'
            delay = rng.random() * 0.03
            last_said = self.one(signal.SIGTERM, delay, path)
            lines = lines_of(path)
            steps = [line['step'] for line in lines if 'loss' in line]
            at = f'seed {SEED}, cycle {i}, {1000 * delay:.2f} ms'
            self.assertGreaterEqual(steps[-1], last_said, at)
            self.assertEqual(steps, list(range(1, steps[-1] + 1)), at)
            self.assertEqual((lines[-1]['state'], lines[-1]['message']), ('failed', 'signal SIGTERM'), at)
            path.unlink()

    def test_sigkill_costs_half_a_line_at_most(self):
        rng = random.Random(SEED)
        for i in range(20):
            path = self.directory / f'{i}.jsonl'
            self.one(signal.SIGKILL, 0.3 * rng.random(), path)
            whole = path.read_bytes().split(b'\n')[:-1] if path.exists() else []
            self.assertEqual([json.loads(line)['seq'] for line in whole], list(range(1, len(whole) + 1)))
            # What is appended later begins a line of its own.
            tocsin.init('y', file=path, signals=False).finish()
            after = path.read_bytes().split(b'\n')
            self.assertEqual(after[:len(whole)], whole)
            self.assertEqual([json.loads(line)['event'] for line in after[-3:-1]], ['start', 'end'])


    def test_sigkill_of_a_usual_run_costs_the_last_moments_only(self):
        """With merged reports: what was logged some time before is on the disk."""
        process = subprocess.Popen(self.command(HEAD + '''
run = tocsin.init('x', file=path)
for step in range(1, 1 << 30):
    run.log(step, loss=1.0)
    print(step, time.time(), flush=True)
    time.sleep(0.005)
'''), stdout=subprocess.PIPE, text=True, env=self.environment())
        try:
            said = [process.stdout.readline() for _ in range(400)]
        finally:
            process.kill()
            said += process.communicate()[0].splitlines()
        reports = [(int(step), float(t)) for step, t in (line.split() for line in said if line.count(' ') == 1)]
        told = [line for line in self.lines if 'loss' in line]
        last_t = reports[-1][1]
        old = [step for step, t in reports if t < last_t - 2.5]  # half a second, and more on a busy machine
        if old:
            self.assertGreaterEqual(told[-1]['step'], old[-1])
        self.assertGreater(len(told), 3)


class Forks(FileCase):
    def test_children_do_not_speak_for_the_parent(self):
        (rc, out, err) = self.job(HEAD + '''
run = tocsin.init('x', file=path, min_interval=0)
for i in range(20):
    run.log(i, loss=1)
    if i % 5 == 0:
        child = os.fork()
        if not child:
            sys.exit(3)          # atexit runs here, too
        print(os.WEXITSTATUS(os.waitpid(child, 0)[1]))
''')
        self.assertEqual((rc, out), (0, '3\n' * 4), err)
        lines = self.lines
        self.assertEqual(len({line['session'] for line in lines}), 1)
        self.assertEqual([line['event'] for line in lines if 'event' in line], ['start', 'end'])
        self.assertEqual([line['step'] for line in lines if 'loss' in line], list(range(20)))

    def test_a_child_that_reports_has_its_own_session(self):
        (rc, _, err) = self.job(HEAD + '''
import multiprocessing
run = tocsin.init('x', file=path, min_interval=0)
def work():
    run.log(100, loss=2)
    run.flush()
p = multiprocessing.get_context('fork').Process(target=work)
run.log(1, loss=1); p.start(); p.join(); run.log(2, loss=1)
''')
        self.assertEqual(rc, 0, err)
        lines = self.lines
        self.assertEqual(len({line['session'] for line in lines}), 2)
        self.assertEqual(sum(line.get('event') == 'start' for line in lines), 1)
        self.assertEqual(sorted(line['step'] for line in lines if 'loss' in line), [1, 2, 100])

    def test_a_signal_to_a_child_does_not_end_the_parent(self):
        (rc, out, err) = self.job(HEAD + '''
run = tocsin.init('x', file=path)
children = []
for i in range(10):
    child = os.fork()
    if not child:
        time.sleep(60); os._exit(1)
    children.append(child)
time.sleep(0.1)
for child in children:
    os.kill(child, signal.SIGTERM)
print([os.WTERMSIG(os.waitpid(c, 0)[1]) for c in children])
time.sleep(2.5)
run.finish()
''')
        self.assertEqual((rc, out), (0, str([15] * 10) + '\n'), err)
        self.assertNotIn('signal', str(self.lines))

    def test_forks_while_threads_report(self):
        (rc, _, err) = self.job(HEAD + '''
run = tocsin.init('x', file=path, min_interval=0)
stop = []
def work(n):
    while not stop: run.log(None, {f'n{n}': 1})
threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
for t in threads: t.start()
for i in range(30):
    child = os.fork()
    if not child:
        run.log(5, child=1); run.flush(5); os._exit(0)
    os.waitpid(child, 0)
stop.append(1)
for t in threads: t.join()
''')
        self.assertEqual(rc, 0, err)
        self.assertEqual(sum('child' in line for line in self.lines), 30)


class Waits(FileCase):
    """Time in which the training thread could run and had no CPU."""

    def task(self, name, text):
        folder = self.directory / 'task' / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / 'schedstat').write_text(text)

    def test_the_share_of_time_since_the_last_look(self):
        from tocsin import _cpu_wait
        now = [100.0]
        clock, _cpu_wait.time = _cpu_wait.time, type('T', (), {'monotonic': staticmethod(lambda: now[0])})
        self.addCleanup(setattr, _cpu_wait, 'time', clock)
        wait = _cpu_wait.CpuWait(str(self.directory / 'task'))
        told = []
        for thread, text in ((10, None), (10, '5000000000 1000000000 7'), (10, '5000000000 1500000000 8'), (11, '9 9000000000 8'),
                             (11, 'half a li'), (11, '9 9000000000 8'), (11, '9 99000000000 8'), (12, '0 0 0'), (12, '0 0 0')):
            if text is not None:
                self.task(str(thread), text)
            told.append(wait.ratio(thread))
            now[0] += 2
        self.assertEqual(told, [None, None, 0.25, None, None, None, 1.0, None, None])

    def test_a_run_tells_it_where_the_kernel_counts(self):
        (rc, _, err) = self.job(HEAD + '''
run = tocsin.init('x', file=path, min_interval=0)
end = time.monotonic() + 2.6
step = 0
while time.monotonic() < end:
    step += 1
    run.log(step, loss=1)
    time.sleep(0.05)
''')
        self.assertEqual(rc, 0, err)
        told = [line['cpu_wait_ratio'] for line in self.lines if 'cpu_wait_ratio' in line]
        with open('/proc/self/schedstat') as f:
            is_counted = f.read().split()[0] != '0'
        self.assertEqual(bool(told), is_counted)
        self.assertTrue(all(0 <= v <= 1 for v in told), told)


if __name__ == '__main__':
    print(f'seed {SEED}')
    sdk_test.main()
