"""The callbacks of Keras 3, transformers and Lightning in real trainings, and the gradient that is recomputed for Keras.

    test_frameworks.py NAME [VENV]

Keras and JAX are installed from the package index into a virtual environment beside VENV, once; when that does not work the test
is skipped and says so. transformers and Lightning bring a PyTorch of gigabytes, so they are never installed by a test:

    python3 -m venv build/frameworks-torch && build/frameworks-torch/bin/pip install transformers accelerate lightning
"""
import os
import pathlib
import subprocess
import sys

PACKAGES = ['keras==3.*', 'jax']
MODULES = {'keras': 'keras, jax', 'torch': 'transformers, lightning, torch'}
INSTALL_S = 280


def ready(python, name):
    code = f'import os; os.environ["KERAS_BACKEND"] = "jax"; import {MODULES[name]}'
    return subprocess.run([python, '-c', code], capture_output=True, timeout=120).returncode == 0


def install(name, venv):
    """The Python of a virtual environment that has the packages, or None."""
    python = str(venv / 'bin/python')
    if venv.exists() and ready(python, name):
        return python
    if name == 'torch':
        print(f'skipped: {MODULES[name]} are not there; how to install them: {__file__}')
        sys.exit(77)
    try:
        subprocess.run([sys.executable, '-m', 'venv', str(venv)], check=True, capture_output=True, timeout=60)
        done = subprocess.run([python, '-m', 'pip', 'install', '-q', '--retries', '1', *PACKAGES], capture_output=True,
                              timeout=INSTALL_S)
    except (subprocess.SubprocessError, OSError) as e:
        print(f'skipped: {", ".join(PACKAGES)} could not be installed: {type(e).__name__}')
        sys.exit(77)
    if done.returncode or not ready(python, name):
        print(f'skipped: {", ".join(PACKAGES)} cannot be used here: {done.stderr.decode()[-200:].strip()}')
        sys.exit(77)
    return python


def begin():
    name, venv = sys.argv[1], pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else 'frameworks').absolute()
    python = sys.executable if ready(sys.executable, name) else install(name, venv.with_name(venv.name + '-' + name))
    os.environ['KERAS_BACKEND'] = 'jax'
    os.execv(python, [python, '-B', __file__, '--inside', name])


if '--inside' not in sys.argv:
    begin()
NAME = sys.argv.pop()
sys.argv.pop()

import numpy as np  # noqa: E402
import sdk_test  # noqa: E402
from sdk_test import FileCase  # noqa: E402


def layers_of(lines):
    return [(line['step'], line['layers']) for line in lines if 'layers' in line]


def data(n=2048):
    x = np.random.default_rng(1).normal(size=(n, 8)).astype('float32')
    return x, x[:, :4].argmax(1)


if NAME == 'keras':
    import keras
    import tocsin.keras

    class Keras(FileCase):
        def model(self, optimizer):
            keras.utils.set_random_seed(1)
            model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(32, activation='relu', name='one'),
                                      keras.layers.Dense(32, name='two'), keras.layers.Activation('sigmoid'),
                                      keras.layers.Dense(4, name='three')])
            model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=['accuracy'])
            return model

        def fit(self, model, **options):
            x, y = data()
            callback = tocsin.keras.TocsinCallback(run=None, file=self.path, rank=0, min_interval=0, **options)
            model.fit(x, y, batch_size=64, epochs=2, validation_split=0.25, verbose=0, shuffle=False, callbacks=[callback])
            return self.lines

        def test_what_fit_reports(self):
            lines = self.fit(self.model(keras.optimizers.Adam(1e-3)), activation_batch=data()[0][:64])
            self.assertEqual([line['step'] for line in lines if 'loss' in line], list(range(1, 49)))
            self.assertEqual(sum('val_loss' in line for line in lines), 2)
            self.assertEqual(lines[-1]['state'], 'finished')
            self.assertIn('evaluation', {line['state'] for line in lines})
            step, layers = layers_of(lines)[0]
            self.assertLessEqual(step, 10)
            self.assertEqual(list(layers), ['one', 'two', 'three'])
            self.assertGreater(layers['one']['zero_activation_ratio'], 0.3)
            self.assertIn('saturated_ratio', layers['two'])
            self.assertGreater(layers['three']['update_ratio'], 0)

        def test_the_recomputed_gradient_is_the_gradient(self):
            for make in (lambda: keras.optimizers.Adam(1e-3), lambda: keras.optimizers.SGD(0.01),
                         lambda: keras.optimizers.SGD(0.01, momentum=0.9)):
                self.path.unlink(missing_ok=True)
                lines = self.fit(self.model(make()))
                step, layers = layers_of(lines)[0]
                model = self.model(make())
                x, y = data()
                for i in range(step - 1):  # up to the sampled batch, as fit did
                    model.train_on_batch(x[64 * i:64 * i + 64], y[64 * i:64 * i + 64])
                import jax
                batch = slice(64 * (step - 1), 64 * step)

                def loss(weights):
                    logits, _ = model.stateless_call(weights, model.non_trainable_variables, x[batch])
                    return model.loss(y[batch], logits)

                grads = jax.grad(loss)([v.value for v in model.trainable_variables])
                for i, name in enumerate(layers):
                    wanted = float(np.sqrt(sum((np.asarray(g) ** 2).sum() for g in grads[2 * i:2 * i + 2])))
                    self.assertAlmostEqual(layers[name]['grad_norm'], wanted, delta=0.01 * wanted + 1e-6)

        def test_numbers_are_those_of_a_plain_computation(self):
            model = self.model(keras.optimizers.Adam(1e-3))
            steps, taken = [], {}

            class Keep(keras.callbacks.Callback):
                def on_train_batch_begin(self, batch, logs=None):
                    state = getattr(model, '_jax_state', None)
                    weights = state['trainable_variables'] if state and not model._jax_state_synced else \
                        [v.value for v in model.trainable_variables]
                    taken[len(taken) + 1] = [np.array(w, dtype=np.float64) for w in weights]

            x, y = data()
            callback = tocsin.keras.TocsinCallback(run=None, file=self.path, rank=0, min_interval=0)
            model.fit(x, y, batch_size=64, epochs=1, verbose=0, shuffle=False, callbacks=[Keep(), callback])
            step, layers = layers_of(self.lines)[0]
            for i, name in enumerate(layers):
                old, new = (np.concatenate([w.ravel() for w in taken[n][2 * i:2 * i + 2]]) for n in (step, step + 1))
                wanted = {'param_norm': np.linalg.norm(old), 'param_mean': old.mean(), 'param_std': old.std(), 'param_min': old.min(),
                          'param_max': old.max(), 'update_ratio': np.linalg.norm(new - old) / np.linalg.norm(old), 'nonfinite_ratio': 0}
                for key, value in wanted.items():
                    self.assertAlmostEqual(layers[name][key], value, delta=1e-5 * (1 + abs(value)), msg=f'{name} {key}')
                self.assertAlmostEqual(layers[name]['param_q75'], np.percentile(old, 75), delta=0.03 * (old.max() - old.min()))
            self.assertAlmostEqual(next(line['lr'] for line in self.lines if 'lr' in line), 1e-3, places=6)

        def test_no_sample_brings_the_numbers_back_into_the_model(self):
            counts = []
            for watch in (False, True):
                self.path.unlink(missing_ok=True)
                model = self.model(keras.optimizers.Adam(1e-3))
                synced, real = [], model.jax_state_sync
                model.jax_state_sync = lambda: synced.append(1) or real()  # pylint: disable=cell-var-from-loop
                lines = self.fit(model, watch=watch, activation_batch=data()[0][:64])
                counts.append(len(synced))
                self.assertEqual(bool(layers_of(lines)), watch)
            self.assertLessEqual(counts[1] - counts[0], 1)  # where fit begins, the callback asks for the model

        def test_the_rate_of_a_schedule_is_told(self):
            rate = keras.optimizers.schedules.ExponentialDecay(0.1, decay_steps=1, decay_rate=0.5)
            lines = self.fit(self.model(keras.optimizers.SGD(rate)))
            step, layers = layers_of(lines)[0]
            told = next(line['lr'] for line in lines if 'lr' in line and line.get('step') == step)
            self.assertAlmostEqual(told, 0.1 * 0.5 ** (step - 1), places=6)
            self.assertGreater(layers['three']['grad_norm'], 0)

        def test_no_gradient_is_invented_for_an_optimizer_that_keeps_none(self):
            _, layers = layers_of(self.fit(self.model(keras.optimizers.RMSprop(1e-3))))[0]
            self.assertNotIn('grad_norm', layers['one'])
            self.assertGreater(layers['one']['update_ratio'], 0)

        def test_a_model_of_which_the_parts_cannot_be_asked_is_sampled_without_activations(self):
            class Own(keras.Model):
                def __init__(self):
                    super().__init__()
                    self.one, self.two = keras.layers.Dense(32, name='one'), keras.layers.Dense(4, name='two')

                def call(self, x):
                    return self.two(self.one(x))

            model = Own()
            model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
            _, layers = layers_of(self.fit(model, activation_batch=data()[0][:64]))[0]
            self.assertGreater(layers['one']['param_norm'], 0)
            self.assertNotIn('dead_unit_ratio', layers['one'])

        def test_both_ways_of_taking_give_the_same(self):
            from tocsin import _keras_state
            model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(300), keras.layers.Dense(300), keras.layers.BatchNormalization(),
                                      keras.layers.Dense(2)])
            model.compile(keras.optimizers.Adam(1e-3), 'mse')
            model.train_on_batch(np.ones((4, 8), 'float32'), np.ones((4, 2), 'float32'))
            state = _keras_state.State(model)
            by_jax = np.asarray(state.take())
            by_numpy = _keras_state._pack_by_numpy(state._variables)
            np.testing.assert_array_equal(by_jax, by_numpy)
            self.assertEqual(len(state.split(by_jax)[0]), state.segments.total)
            self.assertLess(state.segments.total, 90_000)  # a part of the large one

        def test_a_layer_frozen_for_the_next_fit(self):
            model = self.model(keras.optimizers.Adam(1e-3))
            x, y = data()
            callback = tocsin.keras.TocsinCallback(tocsin.init('two fits', file=self.path, rank=0, min_interval=0))
            for frozen in (False, True):
                if frozen:
                    model.layers[0].trainable = False
                    model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
                    callback._watch.request()
                model.fit(x, y, batch_size=64, epochs=1, verbose=0, callbacks=[callback])
            callback._run.finish()
            (_, first), *_, (_, last) = layers_of(self.lines)
            self.assertGreater(first['one']['update_ratio'], 0)
            self.assertEqual(last['one']['update_ratio'], 0)
            self.assertGreater(last['two']['update_ratio'], 0)
            self.assertEqual(list(first), list(last))

        def test_a_frozen_layer_does_not_move(self):
            model = self.model(keras.optimizers.Adam(1e-3))
            model.layers[0].trainable = False
            model.compile(keras.optimizers.Adam(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
            _, layers = layers_of(self.fit(model))[0]
            self.assertEqual(layers['one']['update_ratio'], 0)
            self.assertGreater(layers['two']['update_ratio'], 0)

if NAME == 'torch':
    import lightning
    import torch
    import transformers
    import tocsin.hf
    import tocsin.lightning
    torch.set_num_threads(1)

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = torch.nn.Linear(8, 32), torch.nn.Linear(32, 4)

        def forward(self, x, labels=None):
            logits = self.two(torch.relu(self.one(x)))
            loss = torch.nn.functional.cross_entropy(logits, labels)
            return {'loss': loss, 'logits': logits}

    class Transformers(FileCase):
        def test_what_trainer_reports(self):
            x, y = data()
            rows = [{'x': torch.tensor(a), 'labels': int(b)} for a, b in zip(x, y)]
            args = transformers.TrainingArguments(str(self.directory / 'out'), per_device_train_batch_size=64, num_train_epochs=2,
                                                  logging_steps=2, save_steps=20, evaluation_strategy='epoch', report_to=[],
                                                  disable_tqdm=True, no_cuda=True)
            callback = tocsin.hf.TocsinCallback(file=self.path, min_interval=0, rank=0)
            transformers.Trainer(Net(), args, train_dataset=rows, eval_dataset=rows[:256], callbacks=[callback]).train()
            lines = self.lines
            self.assertEqual([line['step'] for line in lines if 'loss' in line], list(range(2, 65, 2)))
            self.assertEqual(sum('val_loss' in line for line in lines), 2)
            self.assertTrue(all('lr' in line for line in lines if 'loss' in line))
            saved = [line['step'] for line in lines if line.get('event') == 'checkpoint']
            self.assertEqual(saved, [20, 40, 60])
            self.assertIn('evaluation', {line['state'] for line in lines})
            self.assertEqual(lines[-1]['state'], 'finished')
            self.assertEqual(list(layers_of(lines)[0][1]), ['one', 'two'])

    class Lit(lightning.LightningModule):
        def __init__(self, fails_at=None):
            super().__init__()
            self.net, self.fails_at = Net(), fails_at

        def training_step(self, batch, i):
            if self.global_step == self.fails_at:
                raise RuntimeError('cannot go on')
            return self.net(*batch)['loss']

        def validation_step(self, batch, i):
            self.log('val_loss', self.net(*batch)['loss'])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=1e-3)

    class Lightning(FileCase):
        def fit(self, module):
            x, y = data(1024)
            loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y)), 64)
            trainer = lightning.Trainer(max_epochs=2, accelerator='cpu', enable_progress_bar=False, logger=False,
                                        enable_model_summary=False, default_root_dir=self.directory,
                                        callbacks=[tocsin.lightning.TocsinCallback(file=self.path, min_interval=0, rank=0)])
            trainer.fit(module, loader, loader)

        def test_what_a_trainer_reports(self):
            self.fit(Lit())
            lines = self.lines
            self.assertEqual([line['step'] for line in lines if 'loss' in line], list(range(1, 33)))
            self.assertEqual(sum('val_loss' in line for line in lines), 2)
            self.assertGreaterEqual(sum(line.get('event') == 'checkpoint' for line in lines), 2)
            self.assertEqual(lines[-1]['state'], 'finished')
            step, layers = layers_of(lines)[0]
            self.assertEqual(list(layers), ['net.one', 'net.two'])
            self.assertGreater(layers['net.one']['grad_norm'], 0)
            self.assertGreater(layers['net.one']['update_ratio'], 0)

        def test_an_exception_ends_it_as_failed(self):
            with self.assertRaises(RuntimeError):
                self.fit(Lit(fails_at=5))
            self.assertEqual(self.lines[-1]['state'], 'failed')
            self.assertIn('cannot go on', self.lines[-1]['message'])


if __name__ == '__main__':
    sdk_test.main()
