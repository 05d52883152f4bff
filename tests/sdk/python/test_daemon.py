"""The SDK beside a real daemon: what arrives, and what the job feels when the daemon is away, stopped, killed or refuses."""
import math
import os
import pathlib
import shutil
import signal
import tempfile
import threading
import time
import unittest
import urllib.parse

import sdk_test
import tocsin
from tocsin_test import Daemon, wait_for


def samples(daemon, expression):
    """[(t in ms, value)] of the one series that the expression gives in the last ten minutes."""
    form = urllib.parse.urlencode({'query': f'{expression}[10m]'}).encode()
    answer = daemon.call('POST', '/api/v1/query', form, headers={'Content-Type': 'application/x-www-form-urlencoded'}).json
    result = answer['data']['result']
    return [(round(1000 * t), float(v)) for t, v in result[0]['values']] if result else []


class WithDaemon(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon().start()
        self.addCleanup(shutil.rmtree, self.daemon.root, True)
        self.addCleanup(self.daemon.kill)

    def run_of(self, name, **options):
        return tocsin.init(name, url=self.daemon.url, rank=0, **{'min_interval': 0, **options})

    def losses(self, name):
        return [v for _, v in samples(self.daemon, f'train_loss{{run="{name}"}}')]

    def test_lines_arrive_equal(self):
        name = 'a run/with "odd" name é'
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / 'same.jsonl'
            run, twin = self.run_of(name), tocsin.init(name, file=path, min_interval=0, rank=0)
            values = [1 / 3, math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, -0.0, float(2 ** 53)]
            for step, value in enumerate(values, 1):
                for r in (run, twin):
                    r.log(step, loss=value, temperature=value)
                time.sleep(0.002)  # a millisecond has one value
            for r in (run, twin):
                r.event('restart', 'node moved')
                r.finish('finished', 'done')
            written = [float(str(line['loss'])) for line in sdk_test.lines_of(path) if 'loss' in line]
        self.assertEqual(run.dropped, 0)
        escaped = name.replace('"', '\\"')
        self.assertEqual(list(map(repr, self.losses(escaped))), list(map(repr, values)))
        self.assertEqual(list(map(repr, written)), list(map(repr, values)))
        self.assertEqual(len(samples(self.daemon, f'train_temperature{{run="{escaped}"}}')), len(values))
        self.assertEqual([v for _, v in self.daemon.query(f'train_run_state{{run="{escaped}"}}')], [0])
        self.assertEqual([v for _, v in self.daemon.query(f'train_restarts_total{{run="{escaped}"}}')], [1])
        labels, _ = self.daemon.query(f'train_run_info{{run="{escaped}"}}')[0]
        self.assertEqual(labels['pid'], str(os.getpid()))

    def test_ranks_are_parts_of_one_run(self):
        for rank in range(3):
            run = self.run_of('ranks') if rank == 0 else tocsin.init('ranks', url=self.daemon.url, rank=rank)
            run.log(1, loss=rank + 1)
            run.finish()
        series = {labels.get('rank', '0'): v for labels, v in self.daemon.query('train_loss{run="ranks"}')}
        self.assertEqual(series, {'0': 1, '1': 2, '2': 3})
        self.assertEqual([v for _, v in self.daemon.query('train_restarts_total{run="ranks"}')][0], 0)

    def test_hostile_values_are_taken_and_nothing_is_refused(self):
        run = self.run_of('\x00' + 'n' * 400)
        run.log(1, {'x' * 1000: 1, 'y\n\x00': 2, '': 3, 'time': 4, 'run': 5, '\ud800': 6, 'loss': 10 ** 400, '"q\\': 1})
        run.log(2, {f'n{i}': i for i in range(500)})
        run.event('error', '\x00"\\\ud800' * 2000)
        run.checkpoint('/no/such/file')
        run.finish('failed', 'x' * 5000)
        self.assertEqual(run.dropped, 0)
        states = self.daemon.query('train_run_state')
        self.assertEqual(len(states), 1)
        self.assertEqual(states[0][1], 3)

    def test_the_daemon_is_away_and_comes_back(self):
        run = self.run_of('away')
        run.log(0, loss=0)
        self.assertTrue(run.flush(10))
        port = self.daemon.port
        self.daemon.stop()
        for step in range(1, 500):
            run.log(step, loss=step)
            time.sleep(0.001)
        self.assertFalse(run.flush(0.3))
        self.daemon.start(port=port)
        self.assertTrue(run.flush(20))
        run.log(500, loss=500)
        run.finish()
        self.assertEqual(run.dropped, 0)
        # Steps of one millisecond are one sample of a series, so: ascending, the first and the last are there.
        losses = self.losses('away')
        self.assertEqual((losses[0], losses[-1]), (0, 500))
        self.assertEqual(losses, sorted(losses))
        self.assertGreater(len(losses), 400)
        self.assertEqual([v for _, v in self.daemon.query('train_restarts_total{run="away"}')], [0])

    def test_a_stopped_and_a_killed_daemon_do_not_hold_the_job(self):
        run = self.run_of('held')
        run.log(0, loss=0)
        run.flush(10)
        steps = {}
        for what in ('alive', 'stopped', 'killed'):
            if what == 'stopped':
                os.kill(self.daemon.process.pid, signal.SIGSTOP)
            elif what == 'killed':
                os.kill(self.daemon.process.pid, signal.SIGCONT)
                self.daemon.kill()
            count = 0
            end = time.monotonic() + 3
            while time.monotonic() < end:
                run.log(None, loss=1)
                count += 1
                time.sleep(0.005)
            steps[what] = count
        # One call that waited for a socket's 5 s would leave almost no steps; a busy machine leaves many.
        self.assertGreater(steps['stopped'], steps['alive'] / 10)
        self.assertGreater(steps['killed'], steps['alive'] / 10)
        began = time.monotonic()
        run.finish()
        self.assertLess(time.monotonic() - began, 60)  # bounded: it gives up

    def test_a_server_that_never_answers_and_one_that_talks_nonsense(self):
        import socket
        server = socket.create_server(('127.0.0.1', 0))
        self.addCleanup(server.close)
        answers = [b'', b'HTTP/1.1 999 what\r\n\r\n', b'\xff\xfe garbage', b'HTTP/1.1 204 ok\r\nContent-Length: 99\r\n\r\n']

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.recv(65536)
                connection.sendall(answers[0])
                answers.append(answers.pop(0))
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        run = tocsin.init('nonsense', url=f'http://127.0.0.1:{server.getsockname()[1]}', min_interval=0)
        for step in range(100):
            run.log(step, loss=1)
            time.sleep(0.005)
        run.finish()

    def test_refused_lines_are_counted(self):
        run = tocsin.init('x', url=self.daemon.url + '/no/such/place', min_interval=0)
        run.log(1, loss=1)
        run.flush(10)
        self.assertEqual(run.dropped, 2)
        run.finish()

    def test_layers_keep_their_order_and_their_many_numbers(self):
        run = self.run_of('layers')

        class Layers:
            weight = 1000

            @staticmethod
            def resolve(_):
                return [(f'block.{i}', {f's{j}': float(i) for j in range(40)}) for i in (3, 1, 2)]

        run._watches.append(type('W', (), {'on_log': lambda *_: Layers, 'close': lambda _: None, 'lr': 0.5, 'wants_each_report': False,
                                           'look_at_time': lambda _: None})())
        run.log(1, loss=1)
        run.finish()
        self.assertEqual(run.dropped, 0)
        for name in ('train_layer_s0', 'train_layer_s39'):
            self.assertEqual({labels['layer']: v for labels, v in self.daemon.query(f'{name}{{run="layers"}}')},
                             {'block.3': 3, 'block.1': 1, 'block.2': 2})
        self.assertEqual([v for _, v in self.daemon.query('train_learning_rate{run="layers"}')], [0.5])


class Tailed(unittest.TestCase):
    def test_a_file_is_tailed_and_counts_once_beside_http(self):
        root = pathlib.Path(tempfile.mkdtemp(prefix='tocsin-sdk-'))
        self.addCleanup(shutil.rmtree, root, True)
        config = root / 'tocsin.yml'
        config.write_text(f'runs:\n  directories: [{root}]\n')
        with Daemon(config=config) as daemon:
            run = tocsin.init('tailed', file=root / 'other-name.jsonl', min_interval=0)
            for step in range(100):
                run.log(step, loss=step)
                time.sleep(0.002)
            run.finish()
            self.assertTrue(wait_for(lambda: [v for _, v in daemon.query('train_run_state{run="tailed"}')] == [0], 30))
            self.assertEqual([v for _, v in samples(daemon, 'train_loss{run="tailed"}')], list(range(100)))


if __name__ == '__main__':
    sdk_test.main()
