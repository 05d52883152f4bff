"""transformers: Trainer(…, callbacks=[tocsin.hf.TocsinCallback()])."""
from typing import Any, Optional

from transformers import TrainerCallback

from . import init
from ._guard import guarded

# What Trainer calls it → what the protocol calls it.
NAMES = {'learning_rate': 'lr', 'eval_loss': 'val_loss', 'eval_accuracy': 'val_accuracy',
         'train_samples_per_second': 'samples_per_second', 'eval_runtime': 'evaluation_seconds'}


class TocsinCallback(TrainerCallback):
    """Reports what Trainer logs (as often as logging_steps says), evaluations, checkpoints and the layers."""

    def __init__(self, run: Any = None, watch: bool = True, activations: bool = False, **options: Any):
        self._run, self._is_own = run, run is None
        self._options, self._watch, self._activations = options, watch, activations
        self._phase: Optional[Any] = None

    @guarded
    def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, optimizer: Any = None, **_: Any) -> None:
        if self._run is None:
            self._run = init(**{'run': getattr(args, 'run_name', None), **self._options})
        if self._watch and model is not None:
            self._run.watch(model, optimizer, activations=self._activations)

    @guarded
    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if self._run is None or not logs:
            return
        self._run.log(state.global_step, {NAMES.get(k, k): v for k, v in logs.items() if isinstance(v, (int, float))})

    @guarded
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        # Between Trainer's logs there is no loss to tell; a line without one would count as a loss that is missing.
        if self._phase is not None:
            self._leave()

    @guarded
    def on_prediction_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._run is not None and self._phase is None:
            self._phase = self._run.phase('evaluation')
            self._phase.__enter__()

    @guarded
    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._leave()

    @guarded
    def on_predict(self, args: Any, state: Any, control: Any, *_: Any, **__: Any) -> None:
        self._leave()

    def _leave(self) -> None:
        phase, self._phase = self._phase, None
        if phase is not None:
            phase.__exit__(None, None, None)

    @guarded
    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._run is not None:
            self._run.checkpoint(f'{args.output_dir}/checkpoint-{state.global_step}', state.global_step)

    @guarded
    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._leave()
        if self._is_own and self._run is not None:
            self._run.finish()
