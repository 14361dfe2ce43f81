"""Sequence classification with a small transformer encoder and a Trainer class."""
import json
import math
import re
from dataclasses import dataclass

import torch
import torch.nn as nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset


@dataclass
class TrainingArguments:
    num_train_epochs: int = 3
    train_batch_size: int = 32
    eval_batch_size: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.01
    warmup_ratio: float = 0.1
    max_grad_norm: float = 1.0
    seed: int = 42


class PuzzleDataset(Dataset):
    def __init__(self, rows, vocab, labels, max_len=32):
        self.items = [(torch.tensor([vocab.get(w, 1) for w in words(r["instruction"])[:max_len]]),
                       labels[r["task"]]) for r in rows]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def words(s):
    return re.findall(r"[a-z]+|[0-9]+|[^\sa-z0-9]", s.lower())


def data_collator(features):
    ids = pad_sequence([f[0] for f in features], batch_first=True, padding_value=0)
    return {"input_ids": ids, "labels": torch.tensor([f[1] for f in features])}


class Classifier(nn.Module):
    def __init__(self, vocab_size, num_labels, d=48, heads=4, layers=2, max_len=32):
        super().__init__()
        self.embed = nn.Embedding(vocab_size, d, padding_idx=0)
        self.pos = nn.Parameter(torch.randn(max_len, d) * 0.02)
        layer = nn.TransformerEncoderLayer(d, heads, 2 * d, dropout=0.1, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(d)
        self.classifier = nn.Linear(d, num_labels)

    def forward(self, input_ids, labels=None):
        mask = input_ids == 0
        h = self.encoder(self.embed(input_ids) + self.pos[:input_ids.shape[1]], src_key_padding_mask=mask)
        keep = (~mask).unsqueeze(-1).float()
        pooled = (self.norm(h) * keep).sum(1) / keep.sum(1)
        logits = self.classifier(pooled)
        loss = nn.functional.cross_entropy(logits, labels) if labels is not None else None
        return {"loss": loss, "logits": logits}


class Trainer:
    def __init__(self, model, args, train_dataset, eval_dataset):
        self.model, self.args = model, args
        self.train_loader = DataLoader(train_dataset, args.train_batch_size, shuffle=True, collate_fn=data_collator)
        self.eval_loader = DataLoader(eval_dataset, args.eval_batch_size, collate_fn=data_collator)
        self.max_steps = args.num_train_epochs * len(self.train_loader)
        self.create_optimizer_and_scheduler()

    def create_optimizer_and_scheduler(self):
        decay = [p for p in self.model.parameters() if p.ndim >= 2]
        no_decay = [p for p in self.model.parameters() if p.ndim < 2]
        self.optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": self.args.weight_decay},
                                            {"params": no_decay, "weight_decay": 0.0}], lr=self.args.learning_rate)
        warmup = int(self.args.warmup_ratio * self.max_steps)

        def schedule(step):
            if step < warmup:
                return (step + 1) / warmup
            return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, self.max_steps - warmup)))

        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, schedule)

    def training_step(self, batch):
        self.model.train()
        loss = self.model(**batch)["loss"]
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.args.max_grad_norm)
        self.optimizer.step()
        self.lr_scheduler.step()
        self.optimizer.zero_grad()
        return loss.item()

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        loss = hits = n = 0
        for batch in self.eval_loader:
            out = self.model(**batch)
            k = len(batch["labels"])
            loss += out["loss"].item() * k
            hits += (out["logits"].argmax(-1) == batch["labels"]).sum().item()
            n += k
        return {"eval_loss": round(loss / n, 4), "eval_accuracy": round(hits / n, 4)}

    def train(self):
        for epoch in range(self.args.num_train_epochs):
            losses = [self.training_step(b) for b in self.train_loader]
            print({"epoch": epoch + 1, "loss": round(sum(losses) / len(losses), 4), **self.evaluate()})


if __name__ == "__main__":
    args = TrainingArguments()
    torch.manual_seed(args.seed)
    rows = [json.loads(s) for s in open("data/instruct/reasoning_gym_sft.jsonl", encoding="utf-8")]
    rows = [rows[i] for i in torch.randperm(len(rows)).tolist()]
    train_rows, eval_rows = rows[800:], rows[:800]
    vocab = {"<pad>": 0, "<unk>": 1}
    counts = {}
    for r in train_rows:
        for w in words(r["instruction"])[:32]:
            counts[w] = counts.get(w, 0) + 1
    for w, c in counts.items():
        if c >= 5:
            vocab[w] = len(vocab)
    labels = {t: i for i, t in enumerate(sorted({r["task"] for r in rows}))}
    trainer = Trainer(Classifier(len(vocab), len(labels)), args, PuzzleDataset(train_rows, vocab, labels),
                      PuzzleDataset(eval_rows, vocab, labels))
    trainer.train()
