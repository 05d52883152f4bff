"""What becomes of reports: lines in a file, values of every kind, limits."""
import math
import os
import pathlib
import threading
import time
import tracemalloc
import unittest.mock
import zipfile

import sdk_test
import tocsin
from sdk_test import FileCase
from tocsin import _line


class Odd:
    """Neither a number nor harmless."""

    def __float__(self):
        raise RuntimeError('no')

    def __str__(self):
        raise RuntimeError('not even text')


class Lines(FileCase):
    def run_of(self, **options):
        return tocsin.init('lines', file=self.path, rank=0, **{'min_interval': 0, **options})

    def test_a_run_from_start_to_end(self):
        run = self.run_of(labels={'model': 'tiny', 'recipe': 7})
        run.log(1, loss=2.5, lr=1e-3)
        run.log(2, loss=float('nan'), accuracy=True)
        run.checkpoint('s3://bucket/ckpt-2')
        run.finish('finished', 'all good')
        lines = self.lines
        self.assertEqual([line.get('event') for line in lines if 'event' in line], ['start', 'checkpoint', 'end'])
        self.assertEqual([line['seq'] for line in lines], list(range(1, len(lines) + 1)))
        self.assertEqual(len({line['session'] for line in lines}), 1)
        self.assertEqual(lines[0]['labels']['model'], 'tiny')
        self.assertEqual(lines[0]['labels']['recipe'], '7')
        for label in ('host', 'pid', 'world_size'):
            self.assertIn(label, lines[0]['labels'])
        one, two = [line for line in lines if 'loss' in line]
        self.assertEqual((one['step'], one['loss'], one['lr'], one['state'], one['run']), (1, 2.5, 1e-3, 'running', 'lines'))
        self.assertEqual((two['loss'], two['accuracy']), ('NaN', 1))
        self.assertGreater(two['step_seconds'], 0)
        self.assertGreater(one['memory_bytes'], 1 << 20)
        self.assertGreater(one['memory_limit_bytes'], one['memory_bytes'])
        self.assertEqual((lines[-1]['state'], lines[-1]['message']), ('finished', 'all good'))

    def test_the_job_of_a_scheduler_is_a_label(self):
        with unittest.mock.patch.dict(os.environ, {'SLURM_JOB_ID': '17', 'POD_NAME': 'w-0'}):
            run = self.run_of()
            run.finish()
        self.assertEqual((self.lines[0]['labels']['slurm_job_id'], self.lines[0]['labels']['pod']), ('17', 'w-0'))

    def test_numbers_that_json_lacks_and_values_that_are_none(self):
        run = self.run_of()
        run.log(1, a=math.inf, b=-math.inf, c=10 ** 400, d=-10 ** 400, e=2 ** 53, f=Odd(), g='text', h=None, i=[1, 2], j=1j,
                k=b'1', l=0.1 + 0.2)
        run.finish()
        line = next(line for line in self.lines if 'a' in line)
        self.assertEqual([line.get(k) for k in 'abcdefghijk'],
                         ['+Inf', '-Inf', '+Inf', '-Inf', 2 ** 53, None, None, None, None, None, None])
        self.assertEqual(line['l'], 0.1 + 0.2)

    def test_hostile_names_steps_and_texts(self):
        run = self.run_of(labels={'1x': 1, 'run': 'no', 'ok': 'v' * 1000, 'a b': '\x00', **{f'l{i}': i for i in range(40)}})
        run.log(1, {'x' * 1000: 1, 'y\n\x00': 2, '': 3, 'time': 4, 'run': 5, '\ud800': 6, 7: 8})
        for step in (-1, 1e300, 'three', math.nan, None, 2 ** 70, Odd()):
            run.log(step, loss=1)
        run.event('checkpoint_failed', 'z' * 5000 + '\x00\ud800')
        run.event('party', 'unknown')
        run.event('error', Odd())
        run.finish('failed', '\x07bell')
        lines = self.lines
        numbers = next(line for line in lines if 'value_time' in line)
        self.assertEqual((numbers['value_time'], numbers['value_run'], numbers['run']), (4, 5, 'lines'))
        self.assertTrue(all(len(k.encode()) <= 128 for k in numbers))
        labels = lines[0]['labels']
        self.assertEqual(len(labels), 16)
        self.assertNotIn('run', labels)
        self.assertTrue(all(len(v.encode()) <= 256 for v in labels.values()))
        self.assertTrue(all(line['step'] >= 0 for line in lines if 'step' in line))
        message = next(line['message'] for line in lines if line.get('event') == 'checkpoint_failed')
        self.assertLessEqual(len(message.encode()), 1024)
        self.assertNotIn('party', str(lines))
        self.assertEqual(lines[-1]['message'], ' bell')

    def test_more_numbers_than_a_run_may_have(self):
        run = self.run_of()
        for i in range(200):
            run.log(i, {f'n{i}': i})
        run.finish()
        names = {k for line in self.lines for k in line if k.startswith('n')}
        self.assertLessEqual(len(names), _line.OWN_FIELDS_MAX)
        self.assertGreater(len(names), 50)

    def test_merging_keeps_the_last_step_and_what_is_not_finite(self):
        run = self.run_of(min_interval=3600)
        run.log(1, loss=1)
        run.log(2, loss=math.inf)
        for step in range(3, 100):
            run.log(step, loss=step)
        run.finish()
        steps = [line['step'] for line in self.lines if 'loss' in line]
        self.assertEqual((steps[0], steps[1], steps[-1]), (1, 2, 99))
        self.assertLess(len(steps), 90)

    def test_merging_keeps_numbers_that_come_rarely(self):
        run = self.run_of(min_interval=3600)
        run.log(1, loss=1)
        run._sender.wait_settled(5)
        run._sender._wait_s = lambda: 0.2  # what is merged is taken now and then
        for step in range(2, 100):
            numbers = {'val_loss': step / 100} if step % 10 == 0 else {}
            run.log(step, loss=step, **numbers)
            if step == 50:
                run._on_news()  # the next one is a line of its own
        run.finish()
        evaluations = {line['val_loss'] for line in self.lines if 'val_loss' in line}
        self.assertTrue({0.5, 0.9} <= evaluations, evaluations)
        self.assertTrue(all(line['loss'] == line['step'] for line in self.lines if 'loss' in line))

    def test_what_is_merged_holds_the_values_of_its_moment(self):
        class Box:
            value = 5.0

            def __float__(self):
                return self.value

        run = self.run_of(min_interval=3600)
        box = Box()
        run.log(1, loss=1.0, a=box)
        for step in range(2, 5):
            run.log(step, loss=1.0, a=box)
        Box.value = 9.0
        run.finish()
        told = [(line['step'], line['a']) for line in self.lines if 'a' in line]  # what the background thread took in between, too
        self.assertEqual((told[0], told[-1], {a for _, a in told}), ((1, 5.0), (4, 5.0), {5.0}))

    def test_every_form_of_a_report_is_merged_the_same(self):
        run = self.run_of(min_interval=3600)
        run.log(1, loss=1)
        for report in (lambda: run.log(2, loss=2.0), lambda: run.log(3, {'loss': 3.0}), lambda: run.log(None, None, 4.0),
                       lambda: run.log(5, loss=5, b=True), lambda: run.log(step=6, loss=6.5, b=None)):
            report()
        run.finish()
        told = [(line['step'], line['loss'], line.get('b')) for line in self.lines if 'loss' in line]
        self.assertEqual((told[0], told[-1][:2]), ((1, 1, None), (6, 6.5)))
        self.assertIn(1, [b for _, _, b in told])

    def test_merged_reports_belong_to_their_state_and_a_phase_is_no_step(self):
        run = self.run_of(min_interval=3600)
        run.log(1, loss=1.0)
        run.log(2, loss=2.0)
        with run.phase('evaluation'):
            time.sleep(0.3)
            run.log(2, val_loss=3.0)
        run.log(3, loss=4.0)
        run.finish()
        told = [line for line in self.lines if 'loss' in line or 'val_loss' in line]
        self.assertEqual([(line['step'], line['state'], line.get('loss'), line.get('val_loss')) for line in told],
                         [(1, 'running', 1.0, None), (2, 'running', 2.0, None), (2, 'evaluation', None, 3.0), (3, 'running', 4.0, None)])
        self.assertLess(told[-1]['step_seconds'], 0.15)

    def test_more_about_the_same_step_is_told_together(self):
        run = self.run_of(min_interval=3600)
        for step in range(1, 4):
            run.log(step, loss=float(step))
        run.log(3, val_loss=7.0)
        run.finish()
        told = {}
        for line in self.lines:
            told.setdefault(line.get('step'), {}).update(line)
        self.assertEqual((told[3]['loss'], told[3]['val_loss']), (3.0, 7.0))

    def test_one_turn_of_the_background_thread_makes_a_line_of_each_interval(self):
        run = self.run_of(min_interval=0.05)
        run._sender._wait_s = lambda: 60
        time.sleep(0.6)  # its first sleep is as long as ever
        for step in range(1, 41):
            run.log(step, loss=float(step))
            time.sleep(0.01)
        run.finish()
        told = [line for line in self.lines if 'loss' in line]
        self.assertEqual((told[0]['step'], told[-1]['step']), (1, 40))
        self.assertGreaterEqual(len(told), 5)
        apart = [b['t'] - a['t'] for a, b in zip(told, told[1:-1])]
        self.assertGreater(min(apart), 0.045)
        self.assertTrue(all(line['step_seconds'] > 0.009 for line in told[1:]), told)

    def test_a_report_of_an_unusual_kind_in_between_is_not_lost(self):
        run = self.run_of(min_interval=3600)
        for step, loss in ((1, 1.0), (2, 2.0), (3, Odd()), (4, [1.0, 2.0]), (5, 'text'), (6, 6)):
            run.log(step, loss=loss, c=step)
        run.finish()
        told = [(line['step'], line['loss']) for line in self.lines if 'loss' in line]
        self.assertEqual((told[0], told[-1]), ((1, 1.0), (6, 6)))
        self.assertTrue(set(told) <= {(1, 1.0), (2, 2.0), (6, 6)}, told)

    def test_a_loop_without_an_end_of_its_interval_takes_no_memory(self):
        run = self.run_of(min_interval=3600)
        run.log(0, loss=0.0)
        run._sender.merger.take = lambda: iter(())  # the background thread does not come to it
        tracemalloc.start()
        for step in range(1, 50_000):
            run.log(step, loss=1.0)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertLess(held, 4_000_000)
        del run._sender.merger.take
        run.finish()
        self.assertEqual(self.lines[-1]['step'], 49_999)

    def test_phases_and_waiting_for_input(self):
        run = self.run_of()
        run.log(1, loss=1)
        with run.phase('evaluation'):
            run.log(1, val_loss=3)
        for step, batch in enumerate(run.wrap([1, 2, 3]), 2):
            run.log(step, loss=batch)
        self.assertEqual(len(run.wrap([1, 2, 3])), 3)
        run.finish()
        states = [(line['state'], line.get('val_loss')) for line in self.lines]
        self.assertIn(('evaluation', 3), states)
        self.assertTrue(any('data_seconds' in line for line in self.lines))

    def test_phase_lets_exceptions_through(self):
        run = self.run_of()
        with self.assertRaises(KeyError):
            with run.phase('checkpoint'):
                raise KeyError('x')
        with run.phase('lunch'):
            pass
        run.finish()
        self.assertEqual(self.lines[-1]['state'], 'finished')

    def test_checkpoints_that_are_not_whole(self):
        run = self.run_of()
        good, cut, empty = (self.directory / name for name in ('good.pt', 'cut.pt', 'empty.pt'))
        with zipfile.ZipFile(good, 'w') as z:
            z.writestr('data', 'x' * 100)
        cut.write_bytes(good.read_bytes()[:-40])
        empty.touch()
        bad_header = self.directory / 'x.safetensors'
        bad_header.write_bytes((10 ** 6).to_bytes(8, 'little') + b'{')
        for path in (good, cut, empty, bad_header, self.directory / 'absent'):
            run.checkpoint(path, 5)
        run.finish()
        events = [line['event'] for line in self.lines if 'checkpoint' in line.get('event', '')]
        self.assertEqual(events, ['checkpoint'] + 4 * ['checkpoint_failed'])

    def test_many_threads(self):
        run = self.run_of()

        def work(number):
            for i in range(300):
                run.log(i, {f't{number}': i})

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        run.finish()
        lines = self.lines
        self.assertEqual([line['seq'] for line in lines], list(range(1, len(lines) + 1)))
        self.assertEqual([line['t'] for line in lines], sorted(line['t'] for line in lines))
        for n in range(8):
            self.assertEqual([line[f't{n}'] for line in lines if f't{n}' in line], list(range(300)))

    def test_memory_is_bounded_and_losses_are_counted(self):
        blocked = self.directory / 'a-file'
        blocked.touch()
        tracemalloc.start()
        run = tocsin.init('bounded', file=blocked / 'below.jsonl', max_buffered_bytes=200_000, min_interval=0)
        for i in range(20_000):
            run.log(i, loss=1.0, note='x')
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertLess(held, 2_000_000)
        self.assertGreater(run.dropped, 10_000)
        run.finish()

    def test_dropped_lines_are_told(self):
        run = self.run_of(max_buffered_bytes=1)
        sender = run._sender
        sender.wait_settled(5)
        sender.transport, real = Blocked(), sender.transport
        for i in range(3000):
            run.log(i, loss=i)
        until = time.monotonic() + 10
        while not run.dropped and time.monotonic() < until:
            time.sleep(0.01)
        self.assertGreater(run.dropped, 0)
        sender.transport = real
        sender._next_try = 0
        run.finish()
        self.assertGreater(self.lines[-1]['dropped'], 0)
        self.assertEqual(self.lines[-1]['step'], 2999)

    def test_every_call_after_the_end_does_nothing(self):
        run = self.run_of()
        run.finish()
        count = len(self.lines)
        run.log(1, loss=1)
        run.event('error', 'late')
        run.checkpoint(self.path)
        run.finish('failed')
        with run.phase('evaluation'):
            pass
        self.assertTrue(run.flush())
        self.assertEqual(len(self.lines), count)

    def test_what_cannot_be_used_gives_a_run_that_does_nothing(self):
        run = tocsin.init('x', url='ftp://example.org')
        self.assertIsInstance(run, tocsin.NoRun)
        run.log(1, loss=1)
        with run, run.phase('evaluation'):
            self.assertEqual(list(run.wrap([1])), [1])
        tocsin.log(2, loss=3)
        tocsin.finish()

    def test_names_too_long_stay_distinct(self):
        a, b = _line.name_of('a' * 300), _line.name_of('a' * 299 + 'b')
        self.assertNotEqual(a, b)
        self.assertLessEqual(len(a.encode()), 128)

    def test_large_models_are_split_into_lines(self):
        layers = [(f'layer.{i}', {f's{j}': i + j / 100 for j in range(40)}) for i in range(1500)]
        pieces = list(_line.layer_pieces(layers))
        self.assertGreater(len(pieces), 2)
        self.assertTrue(all(len(p) < 200 << 10 for p in pieces))
        import json
        merged = {}
        for piece in pieces:
            for name, stats in json.loads('{' + piece + '}')['layers'].items():
                self.assertLessEqual(len(stats), 32)
                merged.setdefault(name, {}).update(stats)
        self.assertEqual(list(merged), [name for name, _ in layers])
        self.assertEqual(merged['layer.1499']['s39'], 1499.39)


class Blocked:
    interval_s, names_run, why = 0.01, True, 'blocked'

    def send(self, body):
        from tocsin._transport import Outcome
        return Outcome.NOT_NOW

    def close(self):
        pass


class Source(sdk_test.unittest.TestCase):
    def test_it_parses_as_python_3_8(self):
        import ast
        for path in sorted(pathlib.Path(tocsin.__file__).parent.glob('*.py')):
            ast.parse(path.read_text(), str(path), feature_version=(3, 8))


if __name__ == '__main__':
    sdk_test.main()
