import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(30)
Q, D, FEAT = 500, 12, 15
w = torch.randn(FEAT) / FEAT ** 0.5
docs = torch.randn(Q, D, FEAT) + 0.5 * torch.randn(Q, 1, FEAT)
gain = docs @ w + 0.5 * docs[..., 0] * docs[..., 1] + 0.4 * torch.randn(Q, D)
rel = torch.bucketize(gain, torch.tensor([-0.4, 0.5, 1.3, 2.2])).float()
train_q, val_q = torch.arange(400), torch.arange(400, Q)


def ndcg(score, rel, k=5):
    disc = 1 / torch.log2(torch.arange(k) + 2.0)
    top = rel.gather(1, score.topk(k, 1).indices)
    best = rel.topk(k, 1).values
    return (((2 ** top - 1) * disc).sum(1) / ((2 ** best - 1) * disc).sum(1).clamp(min=1e-6)).mean().item()


def pairwise(score, rel):
    ds = score[:, :, None] - score[:, None, :]
    better = (rel[:, :, None] > rel[:, None, :]).float()
    return (F.softplus(-ds) * better).sum() / better.sum()


scorer = nn.Sequential(nn.Linear(FEAT, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))
opt = torch.optim.Adam(scorer.parameters(), lr=5e-3, weight_decay=1e-4)
for epoch in range(20):
    scorer.train()
    for q in train_q[torch.randperm(400)].split(20):
        loss = pairwise(scorer(docs[q]).squeeze(-1), rel[q])
        opt.zero_grad()
        loss.backward()
        opt.step()
    scorer.eval()
    with torch.inference_mode():
        s = scorer(docs[val_q]).squeeze(-1)
    print(f"epoch {epoch} pair loss {loss.item():.4f} val {pairwise(s, rel[val_q]).item():.4f} ndcg@5 {ndcg(s, rel[val_q]):.4f} random {ndcg(torch.rand_like(s), rel[val_q]):.3f}")
