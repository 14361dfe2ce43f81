import json
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset, DataLoader

torch.manual_seed(42)
records = [json.loads(l) for l in open("data/instruct/reasoning_gym_sft.jsonl")]
records = [r for r in records if r["task"] in ("syllogism", "spell_backward", "count_bits", "leg_counting", "gcd", "calendar_arithmetic")]
records = [r for r in records if len(r["response"]) <= 10]
alphabet = sorted({c for r in records for c in r["instruction"] + r["response"]})
stoi = {c: i + 3 for i, c in enumerate(alphabet)}
PAD, SEP, EOS, V, MAX = 0, 1, 2, len(alphabet) + 3, 64


class SFTData(Dataset):
    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        prompt = [stoi[c] for c in self.rows[i]["instruction"]][-50:] + [SEP]
        answer = [stoi[c] for c in self.rows[i]["response"]] + [EOS]
        return torch.tensor(prompt), torch.tensor(answer)


def collate(batch):
    x = torch.full((len(batch), MAX), PAD)
    y = torch.full((len(batch), MAX), -100)
    for r, (prompt, answer) in enumerate(batch):
        seq = torch.cat([prompt, answer])
        x[r, :len(seq) - 1] = seq[:-1]
        y[r, len(prompt):len(seq) - 1] = answer[1:]
    return x, y


class LM(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.tok = nn.Embedding(V, d)
        self.pos = nn.Embedding(MAX, d)
        block = nn.TransformerEncoderLayer(d, 4, 4 * d, dropout=0.0, batch_first=True, norm_first=True)
        self.body = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.head = nn.Linear(d, V)

    def forward(self, x):
        n = x.size(1)
        causal = nn.Transformer.generate_square_subsequent_mask(n)
        return self.head(self.body(self.tok(x) + self.pos(torch.arange(n)), mask=causal))


def pretrain(model, text, steps=70):
    opt = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(steps):
        at = torch.randint(len(text) - MAX - 1, (16,)).tolist()
        b = torch.stack([text[a:a + MAX + 1] for a in at])
        loss = F.cross_entropy(model(b[:, :-1]).transpose(1, 2), b[:, 1:])
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(f"pretrained, loss {loss.item():.3f}")


@torch.no_grad()
def validate(model, loader):
    model.eval()
    loss = right = count = 0
    for prompt_answer, target in loader:
        logits = model(prompt_answer)
        loss += F.cross_entropy(logits.transpose(1, 2), target, ignore_index=-100, reduction="sum").item()
        mask = target != -100
        right += (logits.argmax(-1) == target)[mask].sum().item()
        count += mask.sum().item()
    return loss / count, right / count


perm = torch.randperm(len(records)).tolist()
train_rows = [records[i] for i in perm[:-150]]
val_rows = [records[i] for i in perm[-150:]]
train_loader = DataLoader(SFTData(train_rows), batch_size=8, shuffle=True, collate_fn=collate)
val_loader = DataLoader(SFTData(val_rows), batch_size=50, collate_fn=collate)

model = LM()
pretrain(model, torch.tensor([stoi[c] for r in train_rows for c in r["instruction"]]))
accum = 4
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for epoch in range(3):
    model.train()
    optimizer.zero_grad()
    running = 0.0
    for step, (x, y) in enumerate(train_loader, 1):
        loss = F.cross_entropy(model(x).transpose(1, 2), y, ignore_index=-100)
        (loss / accum).backward()
        running += loss.item()
        if step % accum == 0:
            optimizer.step()
            optimizer.zero_grad()
    vl, va = validate(model, val_loader)
    print(f"epoch {epoch + 1} train loss {running / step:.3f} val loss {vl:.3f} token acc {va:.3f}")
