import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(34)
V, L, BOS = 12, 6, 12
src = torch.randint(0, V, (4000, L))
tgt = src.sort(1).values
s_tr, t_tr, s_va, t_va = src[:3600], tgt[:3600], src[3600:], tgt[3600:]


class Seq2Seq(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.emb = nn.Embedding(V + 1, d)
        self.enc = nn.GRU(d, d, batch_first=True)
        self.dec = nn.GRU(d, d, batch_first=True)
        self.attn = nn.Linear(d, d, bias=False)
        self.out = nn.Linear(2 * d, V)

    def step(self, inp, state, memory):
        h, state = self.dec(self.emb(inp), state)
        w = (self.attn(h) @ memory.transpose(1, 2) / h.shape[-1] ** 0.5).softmax(-1)
        return self.out(torch.cat([h, w @ memory], -1)), state

    def forward(self, src, tgt):
        memory, state = self.enc(self.emb(src))
        shifted = torch.cat([torch.full_like(tgt[:, :1], BOS), tgt[:, :-1]], 1)
        return self.step(shifted, state, memory)[0]

    @torch.no_grad()
    def generate(self, src):
        memory, state = self.enc(self.emb(src))
        tok, out = torch.full_like(src[:, :1], BOS), []
        for _ in range(L):
            logits, state = self.step(tok, state, memory)
            tok = logits.argmax(-1)
            out.append(tok)
        return torch.cat(out, 1)


model = Seq2Seq()
opt = torch.optim.Adam(model.parameters(), lr=1e-2)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 5 * 57)
for epoch in range(5):
    model.train()
    for b in torch.randperm(len(s_tr)).split(64):
        loss = F.cross_entropy(model(s_tr[b], t_tr[b]).flatten(0, 1), t_tr[b].flatten())
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        sched.step()
    model.eval()
    with torch.no_grad():
        v = F.cross_entropy(model(s_va, t_va).flatten(0, 1), t_va.flatten())
    exact = (model.generate(s_va) == t_va).all(1).float().mean()
    print(f"epoch {epoch} teacher-forced loss {loss.item():.4f} val {v.item():.4f} free-running exact {exact.item():.4f}")
