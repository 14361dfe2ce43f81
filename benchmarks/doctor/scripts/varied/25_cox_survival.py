import torch
import torch.nn as nn

torch.manual_seed(25)
n = 2400
x = torch.randn(n, 8)
risk = 1.0 * x[:, 0] - 0.8 * x[:, 1] + 0.7 * x[:, 2] * x[:, 3] + 0.6 * x[:, 4].abs()
event_time = -torch.log(torch.rand(n)) * torch.exp(-risk)
censor = -torch.log(torch.rand(n)) * 2.0
time, event = torch.minimum(event_time, censor), (event_time <= censor).float()
tr, va = slice(0, 1920), slice(1920, n)


def cox_loss(score, time, event):
    order = torch.argsort(time, descending=True)
    s, e = score[order], event[order]
    return -((s - torch.logcumsumexp(s, 0)) * e).sum() / e.sum()


def concordance(score, time, event):
    earlier = (time[:, None] < time[None, :]) & (event[:, None] > 0)
    right = (score[:, None] > score[None, :]).float() + 0.5 * (score[:, None] == score[None, :]).float()
    return (right[earlier].sum() / earlier.sum()).item()


net = nn.Sequential(nn.Linear(8, 32), nn.ELU(), nn.Dropout(0.1), nn.Linear(32, 16), nn.ELU(), nn.Linear(16, 1, bias=False))
opt = torch.optim.RAdam(net.parameters(), lr=3e-3, weight_decay=1e-4)
xt, tt, et = x[tr], time[tr], event[tr]
for epoch in range(24):
    net.train()
    total = 0.0
    for b in torch.randperm(1920).split(128):
        loss = cox_loss(net(xt[b]).squeeze(1), tt[b], et[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() / 15
    net.eval()
    with torch.no_grad():
        s = net(x[va]).squeeze(1)
    print(f"epoch {epoch} partial likelihood {total:.4f} val {cox_loss(s, time[va], event[va]):.4f} c-index {concordance(s, time[va], event[va]):.4f} (true risk {concordance(risk[va], time[va], event[va]):.4f})")
