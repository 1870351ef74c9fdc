"""Hugging Face Transformers: `Recorder`, a callback of the Trainer."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from .errors import BadProbe, Unsupported
from .record import PROBE_SIZE
from .torch import Recorder as TorchRecorder

try:
    import transformers
except ImportError as error:
    raise ImportError('netlapse.transformers needs Transformers: pip install "netlapse[transformers]"') from error

if tuple(map(int, transformers.__version__.split(".")[:2])) < (4, 46):
    raise ImportError(
        f"netlapse.transformers needs Transformers 4.46 or newer, and found {transformers.__version__}: upgrade it"
    )

from transformers import TrainerCallback
from transformers.trainer_utils import has_length

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from .record import Every
    from .store import Examples, Exist

# Models of more parameters are recorded in part.
LARGE = 30_000_000
# What the Trainer logs of its speed and its clock, and what is logged with every step anyway.
_NOT_KEPT = {"epoch", "learning_rate", "total_flos", "num_input_tokens_seen", "train_loss"}
_OF_SPEED = ("_runtime", "_per_second")


class Recorder(TrainerCallback):
    """Records `trainer.train` into a run: pass it to the Trainer as a callback, open the run with `netlapse.open`.

    Kept are the weights, the learning rates, and what the Trainer logs (loss, grad_norm, eval_loss, ...) with the step
    of which it was logged: the Trainer's `logging_steps` says how often. Steps are those of the optimiser, epochs their
    fractions. Recording changes nothing in the training.

    A training that goes on from a checkpoint (`resume_from_checkpoint`) continues a run with `exist="resume"` from
    where that was saved: what was recorded of later steps does not count any more. Several trainings with the same
    recorder make one run.

    Parameters
    ----------
    path
        Folder of the run; it is created.
    probe
        The examples that the run is looked at with, as a tokenizer or a data collator gives them: a dict of arrays
        (example, ...) with "labels", or a pair of such a dict and the labels.
    loss
        A function of logits and labels, with a number for each example or token. By default that of the model: of the
        next token for causal language models, of each token for masked ones and token classification (labels of -100
        are left out: NaN in `Replay.token_losses`), and that of `config.problem_type` for sequence classification.
        For the mean of `Replay.losses` examples count alike, for the model's own loss tokens do: they are the same
        where all examples have as many tokens that count.
    forward
        A function of the model and the inputs, by default the logits of `model(**inputs)`.
    layers
        Patterns of names of layers that are kept, or "all". By default all of a model of at most 30 million
        parameters. Of a larger one the first, the middle and the last of its repeated blocks, and everything that is
        in no block, but embeddings: the run says so, and its weights can be looked at, but its network is not replayed.

    The other parameters, and errors, are those of `netlapse.torch.Recorder`; they are raised when training begins.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        probe: Mapping[str, Any] | tuple[Examples, Examples],
        loss: Any = None,
        forward: Callable[[Any, Any], Any] | None = None,
        layers: Sequence[str] | Literal["all"] | None = None,
        every: Every | None = None,
        validation: Mapping[str, Any] | tuple[Examples, Examples] | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        exist: Exist = "error",
        class_names: Sequence[str] | None = None,
        probe_size: int = PROBE_SIZE,
        scalars: Literal["frame", "step"] = "frame",
        budget: int | str | None = None,
        dtype: Literal["float16", "bfloat16"] | None = None,
        compressed: bool = False,
    ) -> None:
        self._probe = _pair(probe, "probe")
        self._open = partial(
            TorchRecorder,
            path,
            probe=self._probe,
            forward=forward or _logits,
            every=every,
            validation=None if validation is None else _pair(validation, "validation"),
            class_names=class_names,
            probe_size=probe_size,
            scalars=scalars,
            budget=budget,
            dtype=dtype,
            compressed=compressed,
        )
        self._loss, self._layers = loss, layers
        self._exist: Exist = exist
        self._extra = dict(hyperparameters or {})
        self._recorder: TorchRecorder | None = None
        self._in_epoch = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the run: a checkpoint has been restored, and no step was done yet."""
        if self._recorder is not None:
            self._recorder.close("interrupted")  # an earlier training that failed
        model, optimizer, loader = kwargs["model"], kwargs["optimizer"], kwargs["train_dataloader"]
        # As the Trainer has it: of data without a length, an epoch ends with the training.
        share = args.gradient_accumulation_steps
        length = math.ceil(len(loader) / share) if has_length(loader) else state.max_steps
        layers = _part(model) if self._layers is None else None if self._layers == "all" else self._layers
        loss = self._loss
        if loss is None and layers is None:
            loss = _loss_of(model, self._probe[1])
        read = {"batch_size": args.train_batch_size, "gradient_accumulation_steps": share}
        self._recorder = self._open(
            model,
            # What accelerate puts around it has no hooks.
            optimizer=getattr(optimizer, "optimizer", optimizer),
            scheduler=kwargs["lr_scheduler"],
            loss=loss,
            layers=layers,
            steps_per_epoch=length,
            initial_epoch=state.global_step / length if state.global_step else None,
            hyperparameters={**read, **self._extra},
            exist=self._exist,
        )
        self._exist, self._in_epoch = "resume", False

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The optimiser has told of the step itself, before its learning rate was changed."""
        self._in_epoch = True

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """The epoch before this one is over, also where it was cut short."""
        if self._recorder is not None and self._in_epoch:
            self._recorder.epoch()
        self._in_epoch = False

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Keep what was logged with the step of which it was."""
        if self._recorder is None:
            return
        logged = {name: value for name, value in (logs or {}).items() if isinstance(value, float | int)}
        kept = logged.keys() - _NOT_KEPT
        self._recorder.note(**{name: logged[name] for name in kept if not name.endswith(_OF_SPEED)})
        if "train_runtime" in logged:
            # The summary: now the Trainer may put the best model's weights in place of the last ones.
            self._recorder.close()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Keep the last state and close the run."""
        if self._recorder is not None:
            self._recorder.close()
        self._recorder = None


def _pair(probe: Any, name: str) -> tuple[Any, Any]:
    if not isinstance(probe, Mapping):
        return probe
    inputs = dict(cast("Mapping[str, Any]", probe))
    if "labels" not in inputs:
        raise BadProbe(f'{name} holds {", ".join(inputs)} but no "labels"; add them, or pass a pair (inputs, labels)')
    return inputs, inputs.pop("labels")


def _logits(model: Any, inputs: Any) -> Any:
    """The logits of a model, or the first of what it returns."""
    given = {"use_cache": False} if "use_cache" in inspect.signature(model.forward).parameters else {}
    outputs = model(**inputs, **given) if isinstance(inputs, Mapping) else model(inputs, **given)
    return outputs.logits if hasattr(outputs, "logits") else outputs[0]


def _loss_of(model: Any, labels: Any) -> Any:
    """The model's own loss, as one that has a number for each example or token."""
    name = type(model).__name__
    kind = getattr(model, "loss_type", None) or ("ForCausalLM" if name.endswith("LMHeadModel") else None)
    if kind == "ForCausalLM":
        return next_token_cross_entropy
    if kind in ("ForMaskedLM", "ForTokenClassification"):
        return nn.CrossEntropyLoss(ignore_index=-100)
    problem = getattr(model.config, "problem_type", None)
    if kind in ("ForSequenceClassification", "ForImageClassification", "ForAudioClassification"):
        # As the model decides when it first sees labels.
        whole = np.asarray(labels).dtype.kind in "iu"
        if problem == "regression" or (problem is None and model.config.num_labels == 1):
            return nn.MSELoss()
        is_one = problem == "single_label_classification" or (problem is None and whole)
        return nn.CrossEntropyLoss() if is_one else nn.BCEWithLogitsLoss()
    raise Unsupported(
        f"the loss of {name} is not one that is known by example; pass the recorder a loss=, a function of logits and"
        " labels with a number for each example, such as nn.CrossEntropyLoss()"
    )


def next_token_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each token's prediction of the next, (example, token); NaN where the next is none or -100."""
    following = functional.pad(labels[:, 1:], (0, 1), value=-100)
    losses = functional.cross_entropy(logits.movedim(-1, 1).float(), following, reduction="none", ignore_index=-100)
    return torch.where(following == -100, math.nan, losses)


def _part(model: Any) -> list[str] | None:
    """Patterns of the layers that are kept of a large model: of repeated blocks three, and no embeddings."""
    if sum(parameter.numel() for parameter in model.parameters()) <= LARGE:
        return None
    patterns = list[str]()
    blocks = tuple[str, ...]()
    for name, module in model.named_modules():
        if f"{name}.".startswith(blocks):
            continue
        if isinstance(module, nn.ModuleList):
            blocks += (f"{name}.",)
            kept = sorted({0, len(module) // 2, len(module) - 1})
            patterns += [f"{name}.{number}{below}" for number in kept for below in ("", ".*")]
        elif not isinstance(module, nn.Embedding) and next(module.parameters(recurse=False), None) is not None:
            patterns.append(name)
    return patterns
