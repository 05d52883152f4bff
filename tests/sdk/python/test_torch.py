"""run.watch on PyTorch modules: numbers against a plain computation, where NaN began, dead units, optimizers, fork."""
import copy
import math
import sys

import sdk_test
import tocsin
from sdk_test import FileCase

try:
    import torch
    from torch import nn
    torch.set_num_threads(1)
except ImportError:
    print('skipped: no torch for this Python (apt-get install python3-torch)')
    sys.exit(77)


def small_model():
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 4))


def batch(n=64):
    x = torch.randn(n, 8)
    return x, x[:, :4].argmax(1)


class Watch(FileCase):
    def train(self, model, optimizer, steps, run, hook=None, watch=None):
        for step in range(1, steps + 1):
            if hook:
                hook(step)
            x, y = batch()
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            run.log(step, loss=loss)

    def watched(self, model, optimizer, steps=12, hook=None, give_optimizer=True, **options):
        run = tocsin.init('torch', file=self.path, rank=0, min_interval=0)
        run.watch(model, optimizer if give_optimizer else None, **options)
        self.train(model, optimizer, steps, run, hook)
        run.finish()
        return self.layer_lines()

    def layer_lines(self):
        """[(step, {layer: stats})], lines of one step joined."""
        steps = {}
        for line in self.lines:
            for name, stats in line.get('layers', {}).items():
                steps.setdefault(line['step'], {}).setdefault(name, {}).update(stats)
        return list(steps.items())

    def on_device(self):
        """Samples as on a GPU: everything is computed where the tensors are."""
        from tocsin import _torch_host
        self.addCleanup(setattr, _torch_host, 'is_usable', _torch_host.is_usable)
        _torch_host.is_usable = lambda _: False

    def test_numbers_are_those_of_a_plain_computation(self):
        self.check_numbers()

    def test_numbers_on_a_device_are_those_of_a_plain_computation(self):
        self.on_device()
        self.check_numbers()

    def check_numbers(self):
        model = small_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        before = {}

        def keep(step):
            before[step] = copy.deepcopy([p.detach() for p in model.parameters()])

        grads = {}
        real = optimizer.step

        def step_and_keep(*args, **kwargs):
            grads[len(grads) + 1] = [p.grad.clone() for p in model.parameters()]
            return real(*args, **kwargs)

        optimizer.step = step_and_keep
        (step, layers), *_ = self.watched(model, optimizer, hook=keep)
        self.assertLessEqual(step, 10)
        self.assertEqual(list(layers), ['0', '2', '4'])
        after = before[step + 1]
        for i, name in enumerate(layers):
            stats = layers[name]
            w = torch.cat([t.flatten() for t in before[step][2 * i:2 * i + 2]]).double()
            g = torch.cat([t.flatten() for t in grads[step][2 * i:2 * i + 2]]).double()
            new = torch.cat([t.flatten() for t in after[2 * i:2 * i + 2]]).double()
            wanted = {'param_norm': w.norm(), 'param_mean': w.mean(), 'param_std': w.std(unbiased=False), 'param_min': w.min(),
                      'param_max': w.max(), 'grad_norm': g.norm(), 'grad_mean': g.mean(), 'grad_std': g.std(unbiased=False),
                      'grad_min': g.min(), 'grad_max': g.max(), 'zero_grad_ratio': (g == 0).double().mean(),
                      'update_ratio': (new - w).norm() / w.norm(), 'nonfinite_ratio': 0}
            for key, value in wanted.items():
                self.assertAlmostEqual(stats[key], float(value), delta=1e-5 * (1 + abs(float(value))), msg=f'{name} {key}')
            for what, values in (('param', w), ('grad', g)):
                for q in (1, 5, 25, 50, 75, 95, 99):
                    exact, spread = torch.quantile(values, q / 100), values.max() - values.min()
                    self.assertAlmostEqual(stats[f'{what}_q{q:02d}'], float(exact), delta=0.03 * float(spread))
        total = math.sqrt(sum(float(g.norm()) ** 2 for g in grads[step]))
        line = next(line for line in self.lines if line.get('step') == step and 'grad_norm' in line)
        self.assertAlmostEqual(line['grad_norm'], total, places=4)
        self.assertEqual(line['lr'], 0.1)

    def test_the_optimizer_is_found_when_it_is_not_given(self):
        for kind in (torch.optim.SGD, torch.optim.AdamW):
            self.path.unlink(missing_ok=True)
            model = small_model()
            optimizer = kind(model.parameters(), lr=0.01)
            (step, layers), *_ = self.watched(model, optimizer, give_optimizer=False)
            self.assertLessEqual(step, 10)
            self.assertGreater(layers['4']['update_ratio'], 0)

    def test_updates_by_hand(self):
        model = small_model()
        run = tocsin.init('hand', file=self.path, min_interval=0)
        run.watch(model)
        for step in range(1, 12):
            x, y = batch()
            model.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            run.log(step, loss=1.0)
            with torch.no_grad():
                for p in model.parameters():
                    p -= 0.1 * p.grad
        run.finish()
        _, layers = self.layer_lines()[0]
        self.assertGreater(layers['0']['update_ratio'], 0)
        self.assertGreater(layers['0']['grad_norm'], 0)

    def test_extremes_and_norms_of_large_tensors_are_those_of_all_values(self):
        for is_on_device in (False, True):
            if is_on_device:
                self.on_device()
            self.path.unlink(missing_ok=True)
            torch.manual_seed(4)
            model = nn.Sequential(nn.Linear(8, 300), nn.Linear(300, 300), nn.Linear(300, 4))
            with torch.no_grad():
                model[1].weight[123, 77], model[1].weight[124, 78] = 9.0, -8.0
            optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
            _, layers = self.watched(model, optimizer)[0]
            with torch.no_grad():
                values = torch.cat([p.flatten() for p in model[1].parameters()]).double()
            stats = layers['1']
            self.assertEqual((stats['param_max'], stats['param_min']), (9.0, -8.0))
            self.assertAlmostEqual(stats['param_norm'], float(values.norm()), places=3)
            spread = float(values[values.abs() < 1].std())
            self.assertAlmostEqual(stats['param_std'], spread, delta=0.1 * spread)  # of a part, without the two
            self.assertEqual(stats['update_ratio'], 0)

    def test_one_bad_value_of_a_large_tensor_is_seen(self):
        model = nn.Sequential(nn.Linear(8, 300), nn.Linear(300, 300), nn.Linear(300, 4))
        with torch.no_grad():
            model[1].weight[123, 78] = math.nan
        _, layers = self.watched(model, torch.optim.SGD(model.parameters(), lr=0.1))[0]
        self.assertEqual([name for name, stats in layers.items() if stats['nonfinite_ratio'] > 0], ['1'])

    def test_a_sample_keeps_its_numbers_until_it_is_written(self):
        from tocsin._overhead import Overhead
        from tocsin._watch_torch import TorchWatch
        model = small_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        watch = TorchWatch(Overhead(), model, optimizer, 0, False, None)
        samples = []
        for step in range(1, 30):
            optimizer.zero_grad()
            x, y = batch()
            nn.functional.cross_entropy(model(x), y).backward()
            norm = float(torch.cat([p.detach().flatten() for p in model[0].parameters()]).norm())
            if step > 5:
                watch.request()
                watch._emergency_at = -math.inf
            optimizer.step()
            sample = watch.on_log(1e9, False)
            if sample is not None:
                samples.append((sample, norm))
        self.assertGreater(len(samples), 20)
        for sample, norm in samples:  # none was resolved before the last was taken
            self.assertAlmostEqual(dict(sample.resolve({}))['0']['param_norm'], norm, places=4)

    def test_the_next_sample_waits_for_the_newest_to_be_written(self):
        from tocsin._overhead import Overhead
        from tocsin._watch_torch import TorchWatch
        model = small_model()
        watch = TorchWatch(Overhead(), model, torch.optim.SGD(model.parameters(), lr=0.5), 0, False, None)
        taken = []

        def go(steps):
            for _ in range(steps):
                nn.functional.cross_entropy(model(batch()[0]), batch()[1]).backward()
                watch._optimizers[0].step()
                watch._pace.due_at = -math.inf
                watch.look_at_time()
                sample = watch.on_log(1e9, False)
                taken.extend([sample] if sample is not None else [])

        go(10)
        self.assertEqual(len(taken), 1)
        taken[0].resolve({})
        go(10)
        self.assertEqual(len(taken), 2)
        taken.clear()  # it was dropped unwritten
        go(10)
        self.assertEqual(len(taken), 1)

    def test_the_layer_in_which_nan_began_is_named(self):
        self.check_nan(small_model())

    def test_the_layer_in_which_nan_began_is_named_when_gradients_are_new_in_each_step(self):
        self.check_nan(small_model(), set_to_none=True)

    def check_nan(self, model, **zeroing):
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

        def poison(step):
            if step == 9:
                with torch.no_grad():
                    model[2].weight[1, 2] = math.nan

        zero = optimizer.zero_grad
        optimizer.zero_grad = lambda: zero(**zeroing)
        lines = self.watched(model, optimizer, steps=15, hook=poison)
        self.assertIn(9, dict(lines))
        bad = {name for name, stats in dict(lines)[9].items() if stats['nonfinite_ratio'] > 0}
        self.assertEqual(bad, {'2'})
        self.assertEqual(next(line['loss'] for line in self.lines if line.get('step') == 9), 'NaN')

    def test_frozen_and_unused_layers(self):
        model = small_model()
        model[0].requires_grad_(False)
        optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
        _, layers = self.watched(model, optimizer)[0]
        self.assertEqual(layers['0']['update_ratio'], 0)
        self.assertNotIn('grad_norm', layers['0'])
        self.assertGreater(layers['2']['update_ratio'], 0)

    def test_activations_belong_to_the_layer_that_made_them(self):
        model = small_model()
        with torch.no_grad():
            model[0].bias[:8] = -1000  # eight of 32 units never fire
            model[2].weight *= 100  # most of tanh is at its bounds
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)
        _, layers = self.watched(model, optimizer, activations=True)[0]
        self.assertEqual(layers['0']['dead_unit_ratio'], 0.25)
        self.assertGreater(layers['0']['zero_activation_ratio'], 0.25)
        self.assertGreater(layers['2']['saturated_ratio'], 0.5)
        self.assertEqual(layers['2']['nonfinite_activation_ratio'], 0)
        self.assertIn('activation_q99', layers['0'])
        self.assertNotIn('saturated_ratio', layers['0'])
        self.assertFalse(any(m._forward_hooks for m in model.modules()), 'hooks stay only for the sampled step')

    def test_order_is_that_of_the_forward_pass(self):
        class Backwards(nn.Module):
            def __init__(self):
                super().__init__()
                self.last, self.middle, self.first = nn.Linear(8, 4), nn.Linear(8, 8), nn.Linear(8, 8)

            def forward(self, x):
                return self.last(self.middle(self.first(x)))

        model = Backwards()
        _, layers = self.watched(model, torch.optim.SGD(model.parameters(), lr=0.1))[0]
        self.assertEqual(list(layers), ['first', 'middle', 'last'])

    def test_schedulers_closures_and_half_precision(self):
        model = small_model()
        optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=2)
        run = tocsin.init('closures', file=self.path, min_interval=0)
        run.watch(model, optimizer)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.5)
        for step in range(1, 12):
            x, y = batch()

            def closure():
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x), y)
                loss.backward()
                return loss

            run.log(step, loss=optimizer.step(closure))
            scheduler.step()
        run.finish()
        _, layers = self.layer_lines()[0]
        self.assertGreater(layers['0']['grad_norm'], 0)
        rates = [line['lr'] for line in self.lines if 'lr' in line]
        self.assertLess(rates[-1], rates[0])
        self.path.unlink()
        model = small_model().to(torch.bfloat16)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = tocsin.init('bf16', file=self.path, min_interval=0)
        run.watch(model, optimizer)
        for step in range(1, 8):
            optimizer.zero_grad()
            model(batch()[0].to(torch.bfloat16)).float().pow(2).mean().backward()
            optimizer.step()
            run.log(step, loss=1)
        run.finish()
        _, layers = self.layer_lines()[0]
        self.assertGreater(layers['0']['param_norm'], 0)

    def test_checksums_tell_replicas_apart(self):
        sums = []
        for i in range(3):
            self.path.unlink(missing_ok=True)
            model = small_model()
            if i == 2:
                with torch.no_grad():
                    model[4].bias[0] += 1e-6
            torch.manual_seed(5)
            lines = self.watched(model, torch.optim.SGD(model.parameters(), lr=0.0), checksums=True)
            sums.append([stats['param_checksum'] for stats in lines[0][1].values()])
        self.assertEqual(sums[0], sums[1])
        self.assertEqual(sums[0][:2], sums[2][:2])
        self.assertNotEqual(sums[0][2], sums[2][2])

    def test_values_of_tensors(self):
        run = tocsin.init('values', file=self.path, min_interval=0)
        run.log(1, loss=torch.tensor(1.5, requires_grad=True), a=torch.tensor([2.5]), b=torch.tensor([1.0, 2.0]),
                c=torch.tensor(3), d=torch.tensor(True), e=torch.empty(1, device='meta'))
        run.finish()
        line = next(line for line in self.lines if 'loss' in line)
        self.assertEqual([line.get(k) for k in ('loss', 'a', 'b', 'c', 'd', 'e')], [1.5, 2.5, None, 3, 1, None])

    def test_a_model_that_breaks_the_watch_does_not_break_the_job(self):
        model = small_model()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        run = tocsin.init('broken', file=self.path, min_interval=0)
        run.watch(model, optimizer, activations=True)
        run._watches[0]._layers[0].tensors = None
        self.train(model, optimizer, 10, run)
        run.watch('no model')
        run.finish()
        self.assertEqual(self.lines[-1]['state'], 'finished')

    def test_workers_of_a_data_loader(self):
        rc, _, err = self.job('''
import sys, torch, tocsin
torch.set_num_threads(1)
data = torch.utils.data.TensorDataset(torch.randn(256, 8))
model = torch.nn.Linear(8, 1); optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
run = tocsin.init('loader', file=sys.argv[1], min_interval=0)
run.watch(model, optimizer)
step = 0
for epoch in range(2):
    for (x,) in run.wrap(torch.utils.data.DataLoader(data, 32, num_workers=2)):
        step += 1
        optimizer.zero_grad(); loss = model(x).pow(2).mean(); loss.backward(); optimizer.step()
        run.log(step, loss=loss)
''')
        self.assertEqual(rc, 0, err)
        lines = self.lines
        self.assertEqual([line['step'] for line in lines if 'loss' in line], list(range(1, 17)))
        self.assertEqual(len({line['session'] for line in lines}), 1)
        self.assertTrue(any(line.get('data_seconds', 0) > 0 for line in lines))
        self.assertEqual(lines[-1]['state'], 'finished')


class Paces(sdk_test.unittest.TestCase):
    """When samples are taken, by a clock that is set."""

    def setUp(self):
        from tocsin import _overhead
        self.now = 0.0
        self.addCleanup(setattr, _overhead, 'time', _overhead.time)
        _overhead.time = type('T', (), {'perf_counter': lambda: self.now})
        self.overhead = _overhead.Overhead()
        self.pace = _overhead.Pace(self.overhead)
        self.step = 0

    def run_for(self, seconds, step_s, cost_s):
        """Times of the samples."""
        end, times = self.now + seconds, []
        while self.now < end:
            self.now += step_s
            self.step += 1
            if self.pace.is_due(self.step, self.now):
                self.overhead.foreground_s += cost_s
                self.pace.sampled(self.step, cost_s)
                times.append(self.now)
        return times

    def test_sampling_keeps_to_its_budget(self):
        times = self.run_for(1800, 0.03, 0.02)
        self.assertGreater(len(times), 150)
        self.assertLess(len(times) * 0.02 / self.now, 0.0035)

    def test_a_short_run_is_seen_too(self):
        times = self.run_for(25, 0.017, 0.005)
        self.assertGreaterEqual(sum(t > 600 * 0.017 for t in times), 8)
        self.assertLess(len(times) * 0.005 / self.now, 0.006)

    def test_what_compiles_again_in_the_middle_costs_no_later_sample(self):
        self.run_for(13, 0.017, 0.005)
        self.pace.is_new()
        self.run_for(1, 0.017, 1.0)
        self.assertGreaterEqual(len(self.run_for(12, 0.017, 0.005)), 8)

    def test_a_long_pause_earns_no_burst(self):
        self.run_for(100, 0.017, 0.005)
        self.now += 3600
        times = self.run_for(60, 0.017, 0.005)
        self.assertLess(len(times) * 0.005 / 60, 0.005)
        self.assertGreater(min(b - a for a, b in zip(times, times[1:])), 0.7)

    def test_a_busy_machine_gets_fewer(self):
        usual = len(self.run_for(200, 0.017, 0.005))
        self.overhead.cpu_wait_ratio = 0.5
        self.assertLess(len(self.run_for(200, 0.017, 0.005)), 0.7 * usual)


if __name__ == '__main__':
    sdk_test.main()
