import torch
import torch.nn as nn
from sklearn.datasets import load_digits

# contextual bandit: the agent sees a digit, picks a class, gets reward 1 if right and 0 if not
torch.manual_seed(11)
d = load_digits()
x = torch.tensor((d.data - 4.88) / 6.02, dtype=torch.float32)
y = torch.tensor(d.target)
perm = torch.randperm(len(x))
tr, te = perm[:1400], perm[1400:]

policy = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 10))
opt = torch.optim.Adam(policy.parameters(), lr=4e-3)
baseline = 0.1
entropy_coef = 0.01
steps = 1200

for step in range(1, steps + 1):
    i = tr[torch.randint(len(tr), (64,))]
    dist = torch.distributions.Categorical(logits=policy(x[i]))
    action = dist.sample()
    reward = (action == y[i]).float()
    advantage = reward - baseline
    loss = -(dist.log_prob(action) * advantage).mean() - entropy_coef * dist.entropy().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    baseline = 0.95 * baseline + 0.05 * reward.mean().item()
    if step % 100 == 0:
        with torch.no_grad():
            greedy = (policy(x[te]).argmax(1) == y[te]).float().mean().item()
        print(f"step {step}: loss {loss.item():+.4f} avg reward {baseline:.3f} held-out greedy reward {greedy:.3f}")
