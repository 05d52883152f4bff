"""Signs of life: what a run that makes no step goes on saying, and the collectives by which the ranks of a stall are told apart."""
import json
import subprocess
import sys
import time

import sdk_test
import tocsin
from sdk_test import FileCase, lines_of
from tocsin import _sender
from tocsin._transport import File

try:
    import torch
    import torch.distributed as dist
    HAS_GLOO = dist.is_available() and dist.is_gloo_available() if hasattr(dist, 'is_gloo_available') else dist.is_available()
except ImportError:
    HAS_GLOO = False

RANKS = 3


class Quiet(FileCase):
    def setUp(self):
        super().setUp()
        self.addCleanup(setattr, _sender, 'SIGN_EVERY_S', _sender.SIGN_EVERY_S)
        _sender.SIGN_EVERY_S = 0.3
        self.addCleanup(setattr, File, 'interval_s', File.interval_s)
        File.interval_s = 0.1

    def run_of(self):
        return tocsin.init('signs', file=self.path, rank=0, min_interval=0)

    def signs(self):
        """Lines beyond the first that say a step again, without numbers of it."""
        return [line for line in self.lines if not {'event', 'loss', 'sdk_overhead_ratio'} & set(line)]

    def test_step_and_state_are_told_again_and_no_step_is_invented(self):
        run = self.run_of()
        run.log(7, loss=1.5)
        time.sleep(1.2)
        run.finish()
        signs = self.signs()
        self.assertGreaterEqual(len(signs), 2)
        self.assertEqual({(line['step'], line['state']) for line in signs}, {(7, 'running')})
        self.assertEqual(sum('loss' in line for line in self.lines), 1)
        self.assertFalse(any('step_seconds' in line for line in signs))
        self.assertEqual([line['seq'] for line in self.lines], list(range(1, len(self.lines) + 1)))

    def test_before_the_first_step_and_within_a_phase(self):
        run = self.run_of()
        time.sleep(0.9)
        with run.phase('evaluation'):
            time.sleep(0.9)
        run.finish()
        states = [(line.get('step'), line['state']) for line in self.signs()]
        self.assertIn((None, 'running'), states)
        self.assertGreaterEqual(states.count((None, 'evaluation')), 2)

    def test_who_waits_for_input_says_how_long(self):
        run = self.run_of()

        def loader():
            yield 1
            time.sleep(1.2)
            yield 2

        for step, _ in enumerate(run.wrap(loader()), 1):
            run.log(step, loss=1)
        run.finish()
        waits = [line['data_seconds'] for line in self.signs() if 'data_seconds' in line]
        self.assertGreaterEqual(len(waits), 2)
        self.assertEqual(waits, sorted(waits))
        self.assertLess(waits[-1], 1.5)

    def test_busy_runs_and_ended_ones_send_none(self):
        run = self.run_of()
        for step in range(1, 40):
            run.log(step, loss=1)
            time.sleep(0.02)
        run.finish()
        count = len(self.lines)
        time.sleep(0.8)
        self.assertEqual(len(self.lines), count)
        self.assertEqual(self.signs(), [])

    def test_none_is_kept_for_a_daemon_that_is_away(self):
        run = tocsin.init('away', url='http://127.0.0.1:9', min_interval=0)
        run.log(1, loss=1)
        time.sleep(1.5)
        self.assertLessEqual(run._sender._seq, 2)
        run._sender.stop(0)
        run.finish()


WORKER = '''
import sys, time
sys.path.insert(0, %(sdk)r)
import torch, torch.distributed as dist
import tocsin
from tocsin import _sender, _transport
_sender.SIGN_EVERY_S, _transport.File.interval_s = 0.3, 0.1
torch.set_num_threads(1)
rank, path, mode = int(sys.argv[1]), sys.argv[2], sys.argv[3]
run = tocsin.init('ranks', file=path, rank=rank, min_interval=0)
from torch.distributed import all_reduce  # as a job may have it: under a name of its own
dist.init_process_group('gloo', init_method='file://' + sys.argv[4], rank=rank, world_size=%(ranks)d)
torch.manual_seed(1)
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1))
replica = torch.nn.parallel.DistributedDataParallel(model) if mode == 'replicated' else model
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
for step in range(1, 8):
    if step == 6 and rank == 1:
        time.sleep(2)
    optimizer.zero_grad()
    loss = replica(torch.randn(8, 4)).pow(2).mean()
    loss.backward()
    if mode == 'by hand':
        for p in model.parameters():
            all_reduce(p.grad)
        dist.barrier()
    optimizer.step()
    run.log(step, loss=loss)
run.finish()
dist.destroy_process_group()
'''


@sdk_test.unittest.skipUnless(HAS_GLOO, 'no torch with gloo for this Python (apt-get install python3-torch)')
class Ranks(FileCase):
    def trained(self, mode):
        script = self.directory / 'worker.py'
        script.write_text(WORKER % {'sdk': str(sdk_test.SDK), 'ranks': RANKS})
        paths = [self.directory / f'{mode.replace(" ", "-")}-{r}.jsonl' for r in range(RANKS)]
        meeting = self.directory / ('meeting-' + mode.replace(' ', '-'))
        ranks = [subprocess.Popen([sys.executable, '-B', str(script), str(r), str(paths[r]), mode, str(meeting)],
                                  stderr=subprocess.PIPE, env={**self.environment(), 'GLOO_SOCKET_IFNAME': 'lo'})
                 for r in range(RANKS)]
        for process in ranks:
            _, err = process.communicate(timeout=60)
            self.assertEqual(process.returncode, 0, err.decode()[-800:])
        return [lines_of(path) for path in paths]

    def entered_in_the_stall(self, lines):
        """Collectives since step 5 that the last sign of life before step 6 told."""
        at_five = next(line['collectives_total'] for line in lines if line.get('step') == 5 and 'loss' in line)
        signs = [line for line in lines if line.get('step') == 5 and 'loss' not in line and 'event' not in line]
        self.assertTrue(signs, json.dumps(lines)[:2000])
        return signs[-1]['collectives_total'] - at_five

    def check(self, mode, per_step):
        ranks = self.trained(mode)
        totals = [[line['collectives_total'] for line in lines if 'loss' in line] for lines in ranks]
        for row in totals:
            self.assertEqual([b - a for a, b in zip(row, row[1:])], [per_step] * 6)
        entered = [self.entered_in_the_stall(lines) for lines in ranks]
        self.assertEqual(entered[1], 0)
        self.assertGreater(entered[0], 0)  # who only hands on or receives gets a collective further
        self.assertGreater(entered[2], 0)
        waits = [next(line['collective_seconds'] for line in lines if line.get('step') == 6 and 'loss' in line) for lines in ranks]
        self.assertGreater(waits[0], 1.0)
        self.assertGreater(waits[2], 1.0)
        self.assertLess(waits[1], 1.0)

    def test_reductions_by_hand(self):
        self.check('by hand', 6 + 1)

    def test_replicas(self):
        self.check('replicated', 2)  # the buffers of the norm, the gradients

    def test_nothing_raises_into_a_job_whose_group_is_broken(self):
        rc, out, err = self.job('''
import sys, torch, torch.distributed as dist, tocsin
run = tocsin.init('x', file=sys.argv[1], min_interval=0)
for call in (lambda: dist.all_reduce(torch.ones(1)), dist.barrier):
    try:
        call()
    except Exception as e:
        print('as without', 'initialized' in str(e) or 'initialize' in str(e))
from tocsin import _collectives
before = _collectives.counter.entered
_collectives.install(); _collectives._is_installed = False; _collectives.install()
method = sys.modules['torch._C._distributed_c10d'].ProcessGroup.allreduce
print(hasattr(getattr(method, _collectives.MARK), _collectives.MARK), before)
''')
        self.assertEqual((rc, out), (0, 'as without True\nas without True\nFalse 0\n'), err)


if __name__ == '__main__':
    sdk_test.main()
