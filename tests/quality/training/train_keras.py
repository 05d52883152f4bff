#!/usr/bin/env python3
"""A real training with Keras 3 (JAX) and, on request, a fault.

    KERAS_BACKEND=jax python3 tests/quality/training/train_keras.py DIR --fault nan_layer --seed 3

What the job does for Tocsin is tocsin.init and the callback. The last line printed is the truth.
"""
import os
import signal
import sys
import time

os.environ.setdefault('KERAS_BACKEND', 'jax')
os.environ.setdefault('XLA_FLAGS', '--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1')

import training  # noqa: E402  (puts the SDK on the path)
from training import LAYERS, PACE_S, SICK_LAYER, WIDTH, Loader, Truth  # noqa: E402

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tocsin  # noqa: E402
import tocsin.keras  # noqa: E402


def network(seed):
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((training.WIDTH_IN,))]
    layers += [keras.layers.Dense(WIDTH, activation='relu', name=name) for name in LAYERS[:-1]]
    return keras.Sequential(layers + [keras.layers.Dense(training.CLASSES, name=LAYERS[-1])])


def compile_model(model, optimizer):
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))


class Fault(keras.callbacks.Callback):
    """Before the batch: what the fault does. After it: pace, evaluation and checkpoints."""

    def __init__(self, options, truth, run, validation):
        super().__init__()
        self.options, self.truth, self.run, self.validation = options, truth, run, validation
        self.step, self.leak = 0, []

    def on_train_batch_begin(self, batch, logs=None):
        self.step += 1
        name = self.options.fault
        if self.step == self.options.fault_step and name in ('lr_blowup', 'nan_layer', 'dead_relu', 'memory_leak', 'sigkill'):
            self.truth.tell(self.step)
            self.model.jax_state_sync()
            getattr(self, name)()
        if name == 'memory_leak' and self.step >= self.options.fault_step:
            self.leak.append(np.ones(1 << 17))  # 1 MiB that nobody needs

    def lr_blowup(self):
        self.model.optimizer.learning_rate.assign(0.3)

    def nan_layer(self):
        kernel = self.model.get_layer(SICK_LAYER).kernel
        values = np.array(kernel)
        values[5, 3] = np.nan
        kernel.assign(values)

    def dead_relu(self):
        bias = self.model.get_layer(SICK_LAYER).bias
        bias.assign(np.full(bias.shape, -30.0, 'float32'))

    def memory_leak(self):
        training.limit_memory(training.LEAK_LIMIT_BYTES)

    def sigkill(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def on_train_batch_end(self, batch, logs=None):
        time.sleep(PACE_S)
        if self.step % training.CHECKPOINT_EVERY == 0:
            self.model.jax_state_sync()
            path = self.options.directory / f'ckpt-{self.step:06d}.keras'
            self.model.save(path)
            if self.options.fault == 'corrupt_checkpoint' and self.step >= self.options.fault_step:
                self.truth.tell(self.step)
                training.corrupt(path)
            self.run.checkpoint(path, self.step)


class Validate(keras.callbacks.Callback):
    """val_loss goes with the step's other numbers: it is told before Tocsin's callback speaks."""

    def __init__(self, run, x, y):
        super().__init__()
        self.run, self.x, self.y, self.step = run, x, y, 0

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        if self.step % 100 == 0:
            self.model.jax_state_sync()
            logits = keras.ops.convert_to_numpy(self.model(self.x))
            shifted = logits - logits.max(1, keepdims=True)
            loss = np.log(np.exp(shifted).sum(1)) - shifted[np.arange(len(self.y)), self.y]
            logs['val_loss'] = loss.mean()


def fit(model, batches, steps, callbacks):
    def endless():
        for _ in range(steps):
            yield next(batches)

    model.fit(endless(), steps_per_epoch=steps, epochs=1, verbose=0, callbacks=callbacks)


def main():
    options = training.arguments(__doc__.splitlines()[0])
    truth = Truth(options, 'keras')
    (x, y), (val_x, val_y) = training.points(options)
    model = network(options.seed)
    compile_model(model, keras.optimizers.Adam(1e-3))
    target = {} if options.writer == 'http' else {'file': options.directory / 'rank-0.jsonl'}
    run = tocsin.init(training.run_name(options, 'keras'), labels={'model': 'mlp', 'recipe': 'teacher'}, rank=0, **target)
    callbacks = [Fault(options, truth, run, (val_x, val_y)), Validate(run, val_x, val_y),
                 tocsin.keras.TocsinCallback(run, activation_batch=x[:256])]
    batches = iter(run.wrap(Loader(x, y.astype('int32'), options, truth)))
    if options.fault == 'frozen_layer':
        before = options.fault_step - 1
        fit(model, batches, before, callbacks)
        truth.tell(options.fault_step)
        model.get_layer(SICK_LAYER).trainable = False
        compile_model(model, keras.optimizers.Adam(1e-3))
        fit(model, batches, options.steps - before, callbacks)
    else:
        fit(model, batches, options.steps, callbacks)
    run.finish()
    truth.print()


if __name__ == '__main__':
    if '--fault=stalled_rank' in sys.argv or 'stalled_rank' in sys.argv:
        sys.exit('stalled_rank needs several processes: train_torch.py')
    main()
