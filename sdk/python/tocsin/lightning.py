"""Lightning: Trainer(callbacks=[tocsin.lightning.TocsinCallback()])."""
from typing import Any, Dict, Optional

try:
    from lightning.pytorch.callbacks import Callback
except ImportError:
    from pytorch_lightning.callbacks import Callback  # type: ignore[no-redef]

from . import _exit, init
from ._guard import guarded

NAMES = {'train_loss': 'loss', 'training_loss': 'loss', 'val_acc': 'val_accuracy', 'train_acc': 'accuracy'}


class TocsinCallback(Callback):
    """Reports each training batch, validation, checkpoints, exceptions and the layers."""

    def __init__(self, run: Any = None, watch: bool = True, activations: bool = False, **options: Any):
        super().__init__()
        self._run, self._is_own = run, run is None
        self._options, self._watch, self._activations = options, watch, activations
        self._phase: Optional[Any] = None

    @guarded
    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        if self._run is None:
            self._run = init(**{'rank': trainer.global_rank, **self._options})
        if self._watch:
            self._run.watch(pl_module, trainer.optimizers[0] if trainer.optimizers else None, activations=self._activations)

    @guarded
    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        numbers: Dict[str, Any] = {NAMES.get(k, k): v for k, v in trainer.callback_metrics.items()
                                   if not k.startswith('val')}
        loss = outputs.get('loss') if isinstance(outputs, dict) else outputs
        if loss is not None:
            numbers['loss'] = loss
        numbers['epoch'] = trainer.current_epoch
        self._run.log(trainer.global_step, numbers)

    @guarded
    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        if self._run is not None and not trainer.sanity_checking:
            self._phase = self._run.phase('evaluation')
            self._phase.__enter__()

    @guarded
    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        if self._phase is None:
            return
        numbers = {NAMES.get(k, k): v for k, v in trainer.callback_metrics.items() if k.startswith('val')}
        self._run.log(trainer.global_step, numbers)
        phase, self._phase = self._phase, None
        phase.__exit__(None, None, None)

    @guarded
    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: Any) -> None:
        # Called before the file is written: there is no path yet whose content could be looked at.
        if self._run is not None:
            self._run.event('checkpoint', f'{trainer.default_root_dir} step {trainer.global_step}', trainer.global_step)

    @guarded
    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        if self._is_own and self._run is not None:
            self._run.finish('failed', _exit.describe(type(exception), exception, exception.__traceback__))

    @guarded
    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        if self._is_own and self._run is not None:
            self._run.finish()
