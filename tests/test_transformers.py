"""Recording Transformers' Trainer, on tiny models of random weights."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import numpy as np
import pytest

import netlapse
from netlapse.errors import BadProbe, RunError, Unsupported

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.nn import functional as F  # noqa: E402, N812

from netlapse import transformers as door  # noqa: E402
from netlapse.transformers import Recorder  # noqa: E402

VOCABULARY, LENGTH = 23, 8


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    transformers.logging.set_verbosity_error()


def gpt2(**settings):
    sizes = {"vocab_size": VOCABULARY, "n_positions": LENGTH, "n_embd": 32, "n_layer": 2, "n_head": 2}
    ends = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    torch.manual_seed(0)
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**{**sizes, **ends, **settings}))


def bert(kind=transformers.BertForMaskedLM, attention="sdpa", **settings):
    sizes = {"vocab_size": VOCABULARY, "max_position_embeddings": LENGTH, "hidden_size": 32, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 2, "intermediate_size": 64}
    torch.manual_seed(0)
    return kind(transformers.BertConfig(**{**sizes, **heads, **settings}, attn_implementation=attention))


def ids(examples=24, seed=1):
    return np.random.default_rng(seed).integers(1, VOCABULARY, (examples, LENGTH))


def causal_examples(examples=24):
    tokens = ids(examples)
    return {"input_ids": tokens, "attention_mask": np.ones_like(tokens), "labels": tokens.copy()}


def masked_examples(examples=24):
    """Text of several lengths; as many words of each are hidden and asked for."""
    tokens, rng = ids(examples), np.random.default_rng(2)
    mask = (np.arange(LENGTH) < rng.integers(4, LENGTH + 1, (examples, 1))).astype(int)
    labels = np.full_like(tokens, -100)
    hidden = rng.permuted(np.tile(np.arange(4), (examples, 1)), axis=1)[:, :2]
    np.put_along_axis(labels, hidden, np.take_along_axis(tokens, hidden, 1), 1)
    np.put_along_axis(tokens, hidden, 0, 1)
    return {"input_ids": tokens, "attention_mask": mask, "labels": labels}


def class_examples(examples=24):
    tokens = ids(examples)
    return {"input_ids": tokens, "attention_mask": np.ones_like(tokens), "labels": tokens[:, 0] % 3}


def rows(examples):
    return [{name: torch.tensor(array[n]) for name, array in examples.items()} for n in range(len(examples["labels"]))]


class Diary(transformers.TrainerCallback):
    """Everything about a training, noted in the plainest way."""

    def __init__(self) -> None:
        self.states: dict[int, dict[str, np.ndarray]] = {}
        self.epochs: dict[int, float] = {}
        self.random: list[torch.Tensor] = []
        self.logs: list[dict[str, float]] = []

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        self.note(state, model)

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.note(state, model)

    def on_train_end(self, args, state, control, **kwargs):
        self.logs = state.log_history

    def note(self, state, model):
        self.states[state.global_step] = {n: t.numpy().copy() for n, t in model.state_dict().items()}
        self.epochs[state.global_step] = state.epoch
        self.random.append(torch.get_rng_state())


def train(model, examples, *callbacks, folder, checkpoint=None, epochs=2, **settings):
    args = transformers.TrainingArguments(
        **{
            "output_dir": str(folder / "trainer"),
            "num_train_epochs": epochs,
            "per_device_train_batch_size": 4,
            "learning_rate": 1e-2,
            "logging_steps": 2,
            "save_strategy": "no",
            "report_to": "none",
            "use_cpu": True,
            "disable_tqdm": True,
            "seed": 5,
            **settings,
        }
    )
    trainer = transformers.Trainer(
        model=model,
        args=args,
        train_dataset=rows(examples) if isinstance(examples, dict) else examples,
        eval_dataset=rows(examples)[:8] if isinstance(examples, dict) else None,
        callbacks=list(callbacks),
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train(resume_from_checkpoint=checkpoint)
    return trainer


def assert_states(replay, states):
    """Each frame has the weights that were noted at its step."""
    for number, step in enumerate(replay.steps):
        for name in replay.parameters:
            found = replay.run.weights(name, np.array([number]))[0]
            np.testing.assert_array_equal(found, states[int(step)][name], err_msg=f"{name} at step {step}")


def own(model, examples):
    """Logits, and loss, of the model itself."""
    model.eval()
    with torch.no_grad():
        outputs = model(**{name: torch.tensor(array) for name, array in examples.items()})
    return outputs.logits, float(outputs.loss)


def test_a_training_is_recorded(tmp_path):
    diary, examples = Diary(), causal_examples()
    recorder = Recorder(tmp_path / "run", probe=examples, every="step")
    train(gpt2(), examples, recorder, diary, folder=tmp_path, eval_strategy="epoch")
    replay = netlapse.open(tmp_path / "run")
    assert replay.status == "complete"
    np.testing.assert_array_equal(replay.steps, np.arange(13))
    np.testing.assert_allclose(replay.epochs, [diary.epochs[step] for step in range(13)])
    # The output layer is the embedding: it is kept once.
    assert set(replay.parameters) == set(diary.states[0]) - {"lm_head.weight"}
    assert_states(replay, diary.states)
    # What was logged is with the step of which it was, and with no other.
    for name in ("loss", "grad_norm", "learning_rate", "eval_loss"):
        logged = {entry["step"]: entry[name] for entry in diary.logs if name in entry}
        assert logged
        found = replay.recorded(name)
        for step, value in logged.items():
            np.testing.assert_allclose(found[step], value, rtol=1e-6)
        if name != "learning_rate":
            assert set(np.flatnonzero(np.isfinite(found))) == set(logged)
    assert not {"eval_runtime", "epoch", "train_runtime", "total_flos"} & set(replay.run.scalars)
    found = replay.hyperparameters
    assert (found["optimizer"], found["batch_size"], found["learning_rate"]) == ("AdamW", 4, 0.01)


@pytest.mark.parametrize("share", [2, 4])
def test_accumulated_gradients(tmp_path, share):
    diary, examples = Diary(), causal_examples(28)
    recorder = Recorder(tmp_path / "run", probe=examples, every="step")
    train(gpt2(), examples, recorder, diary, folder=tmp_path, gradient_accumulation_steps=share)
    replay = netlapse.open(tmp_path / "run")
    length = -(-7 // share)
    np.testing.assert_array_equal(replay.steps, np.arange(2 * length + 1))
    np.testing.assert_allclose(replay.epochs, np.arange(2 * length + 1) / length)
    assert_states(replay, diary.states)


def test_nothing_changes_in_the_training(tmp_path):
    recorded, plain, examples = Diary(), Diary(), causal_examples()
    recorder = Recorder(tmp_path / "run", probe=examples, every="step", scalars="step")
    train(gpt2(), examples, recorder, recorded, folder=tmp_path)
    train(gpt2(), examples, plain, folder=tmp_path)
    assert all(map(torch.equal, recorded.random, plain.random))
    for step, state in plain.states.items():
        for name, values in state.items():
            np.testing.assert_array_equal(recorded.states[step][name], values)


@pytest.mark.parametrize("step", [6, 8])
def test_a_checkpoint_continues_the_run(tmp_path, step):
    """From the end and from the middle of an epoch."""
    whole, early, late, examples = Diary(), Diary(), Diary(), causal_examples()
    recorder = Recorder(tmp_path / "whole", probe=examples, every="step")
    train(gpt2(), examples, recorder, whole, folder=tmp_path, epochs=3, save_strategy="steps", save_steps=step)
    recorder = Recorder(tmp_path / "run", probe=examples, every="step")
    settings = {"folder": tmp_path / "other", "epochs": 3}
    train(gpt2(), examples, recorder, early, max_steps=10, lr_scheduler_type="constant", **settings)
    recorder = Recorder(tmp_path / "run", probe=examples, every="step", exist="resume")
    train(gpt2(), examples, recorder, late, checkpoint=str(tmp_path / "trainer" / f"checkpoint-{step}"), **settings)
    replay, reference = netlapse.open(tmp_path / "run"), netlapse.open(tmp_path / "whole")
    np.testing.assert_array_equal(replay.steps, reference.steps)
    np.testing.assert_allclose(replay.epochs, reference.epochs, rtol=1e-12)
    again = {n: state for n, state in late.states.items() if n >= step}
    assert_states(replay, {**early.states, **again})
    for n in again:
        for name, values in again[n].items():
            np.testing.assert_array_equal(values, whole.states[n][name])


def test_data_without_a_length(tmp_path):
    class Endless(torch.utils.data.IterableDataset):
        def __iter__(self):
            return iter(rows(causal_examples()))

    diary = Diary()
    recorder = Recorder(tmp_path / "run", probe=causal_examples(), every="2 steps")
    train(gpt2(), Endless(), recorder, diary, folder=tmp_path, max_steps=8)
    replay = netlapse.open(tmp_path / "run")
    assert set(replay.steps) >= {0, 2, 4, 8}
    assert replay.epochs[0] == 0
    assert (np.diff(replay.epochs) > 0).all()
    assert_states(replay, diary.states)


def test_an_epoch_that_is_cut_short(tmp_path):
    class Short(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_epoch_stop = state.global_step == 4

    diary, examples = Diary(), causal_examples()
    train(gpt2(), examples, Recorder(tmp_path / "run", probe=examples), Short(), diary, folder=tmp_path)
    replay = netlapse.open(tmp_path / "run")
    np.testing.assert_array_equal(replay.steps, [0, 4, 10])
    np.testing.assert_array_equal(replay.epochs, [0, 1, 2])
    assert_states(replay, diary.states)


def test_trainings_in_a_row_make_one_run(tmp_path):
    examples, model = causal_examples(), gpt2()
    recorder = Recorder(tmp_path / "run", probe=examples)
    train(model, examples, recorder, folder=tmp_path)
    train(model, examples, recorder, folder=tmp_path, epochs=1)
    np.testing.assert_array_equal(netlapse.open(tmp_path / "run").epochs, [0, 1, 2, 3])
    with pytest.raises(RunError):
        train(model, examples, Recorder(tmp_path / "run", probe=examples), folder=tmp_path)


def test_the_last_frame_is_the_last_state_where_the_best_is_loaded(tmp_path):
    diary, examples, model = Diary(), causal_examples(), gpt2()
    best = {"save_strategy": "epoch", "eval_strategy": "epoch", "load_best_model_at_end": True, "learning_rate": 1.0}
    train(model, examples, Recorder(tmp_path / "run", probe=examples, every=[1]), diary, folder=tmp_path, **best)
    replay = netlapse.open(tmp_path / "run")
    np.testing.assert_array_equal(replay.steps, [0, 6, 12])
    assert_states(replay, diary.states)


MODELS = {
    "gpt2": (gpt2, causal_examples),
    "gpt2 eager": (lambda: gpt2(attn_implementation="eager"), causal_examples),
    "bert": (bert, masked_examples),
    "bert eager": (lambda: bert(attention="eager"), masked_examples),
    "tokens": (lambda: bert(transformers.BertForTokenClassification, num_labels=VOCABULARY), masked_examples),
}


@pytest.mark.parametrize("name", MODELS)
def test_tokens_are_replayed(tmp_path, name):
    make, make_examples = MODELS[name]
    model, examples = make(), make_examples()
    train(model, examples, Recorder(tmp_path / "run", probe=examples), folder=tmp_path)
    replay = netlapse.open(tmp_path / "run")
    logits, loss = own(model, examples)
    np.testing.assert_allclose(replay.outputs(epoch=2), logits, atol=1e-5)
    labels = torch.tensor(examples["labels"])
    if "gpt2" in name:
        labels = torch.cat([labels[:, 1:], torch.full((len(labels), 1), -100)], 1)
    wanted = F.cross_entropy(logits.movedim(-1, 1), labels, reduction="none")
    counts = (labels != -100).numpy()
    found = replay.token_losses(epoch=2)
    assert found.shape == examples["input_ids"].shape
    np.testing.assert_array_equal(np.isfinite(found), counts)
    np.testing.assert_allclose(found[counts], wanted[counts], atol=1e-5)
    np.testing.assert_allclose(replay.losses(epoch=2), np.nanmean(found, axis=1), atol=1e-5)
    # As many tokens count in each example.
    np.testing.assert_allclose(replay.losses(epoch=2).mean(), loss, atol=1e-5)
    model.zero_grad()
    model(**{name: torch.tensor(array) for name, array in examples.items()}).loss.backward()
    gradients = replay.gradients(epoch=2)
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            np.testing.assert_allclose(gradients[name], parameter.grad, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("problem", ["single_label_classification", "multi_label_classification", "regression"])
def test_sequence_classification(tmp_path, problem):
    examples = class_examples()
    if problem == "multi_label_classification":
        examples["labels"] = (examples["input_ids"][:, :3] % 2).astype(np.float32)
    elif problem == "regression":
        examples["labels"] = examples["input_ids"][:, 0].astype(np.float32) / VOCABULARY
    model = bert(transformers.BertForSequenceClassification, num_labels=1 if problem == "regression" else 3)
    probe = ({name: array for name, array in examples.items() if name != "labels"}, examples["labels"])
    train(model, examples, Recorder(tmp_path / "run", probe=probe), folder=tmp_path)
    assert model.config.problem_type == problem
    replay = netlapse.open(tmp_path / "run")
    logits, loss = own(model, examples)
    np.testing.assert_allclose(replay.outputs(epoch=2), logits, atol=1e-5)
    np.testing.assert_allclose(replay.losses(epoch=2).mean(), loss, atol=1e-5)
    assert replay.losses(epoch=2).shape == (24,)
    hidden = model.bert(*map(torch.tensor, (examples["input_ids"], examples["attention_mask"]))).last_hidden_state
    found = replay.activations("bert.encoder.layer.1.output.LayerNorm", epoch=2)
    np.testing.assert_allclose(found, hidden.detach(), atol=1e-5)


def test_of_a_large_model_a_stated_part_is_recorded(tmp_path, monkeypatch):
    monkeypatch.setattr(door, "LARGE", 1000)
    examples, model = causal_examples(), gpt2(n_layer=5)
    train(model, examples, Recorder(tmp_path / "run", probe=examples), folder=tmp_path, epochs=1)
    run = netlapse.open(tmp_path / "run").run
    kept = {parameter.name for parameter in run.manifest.parameters}
    everything = {name for name, _ in model.named_parameters()}
    left_out = {name for name in everything if name.startswith(("transformer.h.1.", "transformer.h.3."))}
    assert kept == everything - left_out - {"transformer.wte.weight", "transformer.wpe.weight"}
    assert run.manifest.storage["subset"]["parameters"] == len(kept)
    assert "transformer.h.2.*" in run.manifest.storage["subset"]["layers"]
    for layers, count in (("all", len(everything)), (["transformer.ln_f"], 2)):
        path = tmp_path / f"{count}"
        train(model, examples, Recorder(path, probe=examples, layers=layers), folder=tmp_path, epochs=1)
        assert len(netlapse.open(path).parameters) == count


def test_what_cannot_be_recorded_is_said(tmp_path):
    examples = causal_examples()
    with pytest.raises(BadProbe, match='holds input_ids but no "labels"'):
        Recorder(tmp_path / "run", probe={"input_ids": ids()})
    model = bert(transformers.BertForNextSentencePrediction)
    examples = class_examples()
    examples["labels"] %= 2
    with pytest.raises(Unsupported, match="loss of BertForNextSentencePrediction"):
        train(model, examples, Recorder(tmp_path / "run", probe=examples), folder=tmp_path)
    loss = torch.nn.CrossEntropyLoss()
    train(model, examples, Recorder(tmp_path / "run", probe=examples, loss=loss), folder=tmp_path)
    _, mean = own(model, examples)
    np.testing.assert_allclose(netlapse.open(tmp_path / "run").losses(epoch=2).mean(), mean, atol=1e-5)


def test_a_training_that_fails_can_be_done_again(tmp_path):
    class Failing(transformers.TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 8:
                raise RuntimeError("no more")

    examples = causal_examples()
    recorder = Recorder(tmp_path / "run", probe=examples)
    with pytest.raises(RuntimeError, match="no more"):
        train(gpt2(), examples, recorder, Failing(), folder=tmp_path)
    train(gpt2(), examples, recorder, folder=tmp_path)
    replay = netlapse.open(tmp_path / "run")
    assert replay.status == "complete"
    np.testing.assert_array_equal(replay.epochs, [0, 1, 2, 3])


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("", 'netlapse.transformers needs Transformers: pip install "netlapse[transformers]"'),
        ("4.45.2", "needs Transformers 4.46 or newer, and found 4.45.2"),
    ],
)
def test_transformers_missing_or_too_old(found, said):
    code = f"""
    import sys, types
    old = types.ModuleType("transformers")
    old.__version__, old.TrainerCallback = {found!r}, object
    sys.modules["transformers"] = old if {found!r} else None
    import netlapse.transformers
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]
