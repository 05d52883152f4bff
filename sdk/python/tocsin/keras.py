"""Keras 3, any backend: model.fit(…, callbacks=[tocsin.keras.TocsinCallback()])."""
from typing import Any, Dict, Optional

import keras

from . import _watch_keras, init
from ._guard import guarded

OURS = frozenset(('step', 'numbers'))  # arguments of log
NAMES = {'acc': 'accuracy', 'val_acc': 'val_accuracy', 'learning_rate': 'lr'}


class TocsinCallback(keras.callbacks.Callback):
    """Reports each batch, epochs, evaluation and the layers. activation_batch: some inputs, on which
    activations are computed now and then (dead and saturated units)."""

    def __init__(self, run: Any = None, watch: bool = True, activation_batch: Any = None, every: int = 0, **options: Any):
        super().__init__()
        self._run, self._is_own, self._options = run, run is None, options
        self._wants_watch, self._activation_batch, self._every = watch, activation_batch, every
        self._watch: Optional[_watch_keras.KerasWatch] = None
        self._phase: Optional[Any] = None
        self._step = 0
        self._epoch = 0
        self._previous: Dict[str, float] = {}
        self._batch = 0

    @guarded
    def on_train_begin(self, logs: Any = None) -> None:
        if self._run is None:
            self._run = init(**self._options)
        if self._wants_watch and (self._watch is None or self._watch.model is not self.model):
            self._watch = _watch_keras.KerasWatch(self._run.overhead, self.model, self._every, self._activation_batch)
            self._run._watches.append(self._watch)
            self._watch.on_news = self._run._on_news
        elif self._watch is not None:
            self._watch.begin()

    @guarded
    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch, self._batch, self._previous = epoch, 0, {}

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self._watch is not None and self._watch.is_wanted:
            self._watch.before_step()

    @guarded
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._step += 1
        if self._watch is not None:
            self._watch.after_step()
        numbers = self._of_this_batch(logs or {})
        numbers['epoch'] = self._epoch
        if numbers.keys() & OURS:
            self._run.log(self._step, numbers)
        else:
            self._run.log(self._step, None, **numbers)  # the way that is short

    def _of_this_batch(self, logs: Dict[str, Any]) -> Dict[str, Any]:
        """Keras tells means since the epoch began; the batch's own number follows from two of them."""
        self._batch += 1
        out = {}
        for key, value in logs.items():
            value = float(value)
            if key.startswith('val_'):  # of an evaluation: no mean over the epoch's batches
                out[NAMES.get(key, key)] = value
                continue
            before = self._previous.get(key)
            out[NAMES.get(key, key)] = value if before is None else value * self._batch - before * (self._batch - 1)
            self._previous[key] = value
        return out

    @guarded
    def on_test_begin(self, logs: Any = None) -> None:
        if self._run is not None and self._step:
            self._phase = self._run.phase('evaluation')
            self._phase.__enter__()

    @guarded
    def on_test_end(self, logs: Any = None) -> None:
        phase, self._phase = self._phase, None
        if phase is not None:
            phase.__exit__(None, None, None)

    @guarded
    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        numbers = {NAMES.get(k, k): v for k, v in (logs or {}).items() if k.startswith('val_')}
        if numbers:
            self._run.log(self._step, numbers, epoch=epoch + 1)

    @guarded
    def on_train_end(self, logs: Any = None) -> None:
        if self._is_own and self._run is not None:
            self._run.finish()
