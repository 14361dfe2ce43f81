import torch
from torch.func import functional_call
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import StratifiedKFold

torch.manual_seed(0)
torch.set_default_dtype(torch.float64)
data = load_breast_cancer()
X, y = torch.tensor(data.data), torch.tensor(data.target, dtype=torch.float64)

net = torch.nn.Sequential(torch.nn.Linear(30, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
for p in net.parameters():
    p.requires_grad_(False)


def fresh_params(gen):
    params = {}
    for name, p in net.named_parameters():
        if p.ndim == 2:
            params[name] = torch.randn(p.shape, generator=gen) / p.shape[1] ** 0.5
        else:
            params[name] = torch.zeros(p.shape)
        params[name].requires_grad_(True)
    return params


def objective(params, x, t, l2):
    logit = functional_call(net, params, (x,)).squeeze(1)
    nll = torch.nn.functional.binary_cross_entropy_with_logits(logit, t)
    reg = sum(p.square().sum() for n, p in params.items() if n.endswith("weight"))
    return nll + l2 * reg, nll


def fit(x, t, l2=3e-3, outer=25, seed=0):
    params = fresh_params(torch.Generator().manual_seed(seed))
    opt = torch.optim.LBFGS(list(params.values()), lr=1.0, max_iter=5, history_size=10,
                            line_search_fn="strong_wolfe")

    def closure():
        opt.zero_grad()
        value, _ = objective(params, x, t, l2)
        value.backward()
        return value

    for _ in range(outer):
        value = opt.step(closure)
    return params, value.item()


results = []
skf = StratifiedKFold(n_splits=5, shuffle=True, random_state=1)
for k, (tr, te) in enumerate(skf.split(data.data, data.target)):
    mean, std = X[tr].mean(0), X[tr].std(0)
    x_tr, x_te = (X[tr] - mean) / std, (X[te] - mean) / std
    params, value = fit(x_tr, y[tr], seed=k)
    with torch.no_grad():
        logit = functional_call(net, params, (x_te,)).squeeze(1)
        nll = torch.nn.functional.binary_cross_entropy_with_logits(logit, y[te]).item()
        acc = ((logit > 0) == (y[te] > 0.5)).double().mean().item()
        train_nll = objective(params, x_tr, y[tr], 0.0)[1].item()
    results.append(acc)
    print(f"fold {k}: objective {value:.4f} train nll {train_nll:.4f} test nll {nll:.4f} acc {acc:.3f}")
print(f"mean accuracy {sum(results) / len(results):.4f}, majority {max(y.mean(), 1 - y.mean()):.3f}")
