"""The layers of a PyTorch module: the modules that own parameters."""
from typing import Any, List


def plain_name(name: str) -> str:
    for prefix in ('_orig_mod.', 'module.', '_fsdp_wrapped_module.', '_forward_module.'):
        while name.startswith(prefix):
            name = name[len(prefix):]
    return name.replace('._fsdp_wrapped_module', '').replace('._orig_mod', '').replace('._checkpoint_wrapped_module', '')


class Layer:
    """One module with parameters of its own."""

    __slots__ = ('name', 'module', 'tensors')

    def __init__(self, name: str, module: Any, tensors: List[Any]):
        self.name, self.module, self.tensors = name, module, tensors


def find_layers(model: Any) -> List[Layer]:
    layers, seen = [], set()
    for name, module in model.named_modules():
        own = [p for p in module.parameters(recurse=False) if id(p) not in seen]
        seen.update(id(p) for p in own)
        if own:
            layers.append(Layer(plain_name(name) or type(module).__name__, module, own))
    return layers
