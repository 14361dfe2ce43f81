import torch
import torch.nn as nn

torch.manual_seed(9)
K, L, DIM = 8, 5, 10
protos = torch.randn(K + 1, DIM)


def make(n):
    labels = torch.randint(1, K + 1, (n, L))
    frames = torch.zeros(n, 30, DIM)
    for r in range(n):
        pos = 1
        for c in labels[r].tolist():
            dur = int(torch.randint(2, 5, (1,)))
            frames[r, pos:pos + dur] = protos[c]
            pos += dur + int(torch.randint(1, 3, (1,)))
    return frames + 0.35 * torch.randn_like(frames), labels


x_train, y_train = make(600)
x_val, y_val = make(150)


class Recogniser(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(DIM, 48, 5, padding=2)
        self.rnn = nn.GRU(48, 32, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(64, K + 1)

    def forward(self, x):
        h = torch.relu(self.conv(x.transpose(1, 2))).transpose(1, 2)
        return self.fc(self.rnn(h)[0]).log_softmax(-1)


def decode(lp):
    out = []
    for row in lp.argmax(-1):
        row = torch.unique_consecutive(row)
        out.append([int(v) for v in row if v != 0])
    return out


model = Recogniser()
ctc = nn.CTCLoss(blank=0, zero_infinity=True)
opt = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(8):
    model.train()
    for b in torch.randperm(len(x_train)).split(30):
        lp = model(x_train[b])
        n = len(b)
        loss = ctc(lp.transpose(0, 1), y_train[b], torch.full((n,), lp.shape[1]), torch.full((n,), L))
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        opt.step()
    model.eval()
    with torch.no_grad():
        lp = model(x_val)
        vl = ctc(lp.transpose(0, 1), y_val, torch.full((150,), 30), torch.full((150,), L)).item()
        exact = sum(d == t.tolist() for d, t in zip(decode(lp), y_val)) / len(y_val)
    print(f"epoch {epoch} ctc {loss.item():.3f} val ctc {vl:.3f} exact sequences {exact:.3f}")
