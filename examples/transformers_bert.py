"""A tiny BERT learns which words were hidden: one more callback records it, with a loss for every word."""

import torch
import transformers

import netlapse
from netlapse.transformers import Recorder

words = ["the", "cat", "sat", "on", "the", "mat", "and", "the", "dog", "sat", "on", "the", "log"]
vocabulary = ["[MASK]", *dict.fromkeys(words)]
tokens = torch.tensor([vocabulary.index(word) for word in words]).unfold(0, 6, 1).repeat(20, 1)
hidden = torch.nn.functional.one_hot(torch.randint(6, (len(tokens),)), 6).bool()
examples = {"input_ids": tokens.masked_fill(hidden, 0), "labels": tokens.masked_fill(~hidden, -100)}

sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
model = transformers.BertForMaskedLM(transformers.BertConfig(vocab_size=len(vocabulary), **sizes))
trainer = transformers.Trainer(
    model,
    transformers.TrainingArguments(num_train_epochs=20, learning_rate=3e-3, report_to="none", save_strategy="no"),
    train_dataset=[dict(zip(examples, row, strict=True)) for row in zip(*examples.values(), strict=True)],
    callbacks=[Recorder("runs/bert", probe=examples, exist="replace")],
)
trainer.train()

replay = netlapse.open("runs/bert")
print(replay, "mean loss:", replay.losses().mean(axis=1))
print("losses of the words of the first example:", replay.token_losses(epoch=20)[0])
