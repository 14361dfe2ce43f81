"""The optimizers of `train.py`: torch's own where it has the rule, a few lines where it has not."""

from __future__ import annotations

from thalweg.core import InputError
from thalweg.report._script_pieces import Job, code


def optimizer_code(job: Job) -> str:
    """Returns the expression that makes the optimizer of `model`."""
    r, params = job.recipe, "model.parameters()"
    decay = f", weight_decay={r.weight_decay!r}" if r.weight_decay or job.optimizer == "adamw" else ""
    betas = f"betas=({r.beta1!r}, {r.beta2!r})"
    known = {
        "sgd": f"torch.optim.SGD({params}, lr=LR{decay})",
        "momentum": f"torch.optim.SGD({params}, lr=LR, momentum={r.momentum!r}{decay})",
        "nesterov": f"torch.optim.SGD({params}, lr=LR, momentum={r.momentum!r}, nesterov=True{decay})",
        "adagrad": f"torch.optim.Adagrad({params}, lr=LR, eps={r.eps!r}{decay})",
        "rmsprop": f"torch.optim.RMSprop({params}, lr=LR, alpha={r.rho!r}, eps={r.eps!r}{decay})",
        "adam": f"torch.optim.Adam({params}, lr=LR, {betas}, eps={r.eps!r}{decay})",
        "adamw": f"torch.optim.AdamW({params}, lr=LR, {betas}, eps={r.eps!r}{decay})",
        "heavy_ball": f"HeavyBall({params}, lr=LR, momentum={r.momentum!r}, weight_decay={r.weight_decay!r})",
        "sgdw": f"SGDW({params}, lr=LR, momentum={r.momentum!r}, weight_decay={r.weight_decay!r})",
        "lion": f"Lion({params}, lr=LR, {betas}, weight_decay={r.weight_decay!r})",
        "schedule_free_adamw": f"ScheduleFreeAdamW({params}, lr=LR, {betas}, eps={r.eps!r}, "
        f"weight_decay={r.weight_decay!r})",
        "muon": f"Muon(model, lr=LR, momentum={r.momentum!r}, {betas}, eps={r.eps!r}, weight_decay={r.weight_decay!r})",
        "random_search": f"RandomSearch({params}, lr=LR, proposals={r.proposals!r}, seed=seed)",
    }
    if job.optimizer not in known:
        raise InputError("optimizer", "one of the built-in rules, to be exported", job.optimizer)
    return known[job.optimizer]


def optimizer_lines(job: Job) -> list[str]:
    """Returns the class of a rule that torch has not; none where it has."""
    return code(_CLASSES[job.optimizer]) if job.optimizer in _CLASSES else []


_CLASSES = {
    "heavy_ball": """
        class HeavyBall(torch.optim.Optimizer):
            \"\"\"w(t+1) = w(t) - lr * grad + momentum * (w(t) - w(t-1)) (Polyak, 1964).\"\"\"

            def __init__(self, params, lr, momentum, weight_decay):
                super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

            @torch.no_grad()
            def step(self):
                for group in self.param_groups:
                    for w in group["params"]:
                        state = self.state[w]
                        before = w.clone()
                        moved = group["momentum"] * (w - state.get("previous", before))
                        w.add_(moved - group["lr"] * (w.grad + group["weight_decay"] * w))
                        state["previous"] = before
        """,
    "sgdw": """
        class SGDW(torch.optim.SGD):
            \"\"\"Momentum with decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 1).\"\"\"

            def __init__(self, params, lr, momentum, weight_decay):
                super().__init__(params, lr=lr, momentum=momentum)
                self.decay = weight_decay

            @torch.no_grad()
            def step(self):
                for group in self.param_groups:
                    for w in group["params"]:
                        w.mul_(1 - group["lr"] * self.decay)
                super().step()
        """,
    "lion": """
        class Lion(torch.optim.Optimizer):
            \"\"\"The sign of an interpolated momentum (Chen et al., 2023, algorithm 2).\"\"\"

            def __init__(self, params, lr, betas, weight_decay):
                super().__init__(params, {"lr": lr, "betas": betas, "weight_decay": weight_decay})

            @torch.no_grad()
            def step(self):
                for group in self.param_groups:
                    lr, (beta1, beta2) = group["lr"], group["betas"]
                    for w in group["params"]:
                        m = self.state[w].setdefault("exp_avg", torch.zeros_like(w))
                        direction = (beta1 * m + (1 - beta1) * w.grad).sign()
                        w.mul_(1 - lr * group["weight_decay"]).sub_(lr * direction)
                        m.mul_(beta2).add_((1 - beta2) * w.grad)
        """,
    "schedule_free_adamw": """
        class ScheduleFreeAdamW(torch.optim.Optimizer):
            \"\"\"AdamW that predicts with the running mean x of its points z (Defazio et al., 2024, algorithm 1).

            The parameters are y = (1 - beta1) z + beta1 x, where the gradient is taken.
            \"\"\"

            def __init__(self, params, lr, betas, eps, weight_decay):
                super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
                self.t = 0

            @torch.no_grad()
            def step(self):
                self.t += 1
                for group in self.param_groups:
                    beta1, beta2 = group["betas"]
                    for y in group["params"]:
                        state = self.state[y]
                        z = state.setdefault("z", y.clone())
                        v = state.setdefault("exp_avg_sq", torch.zeros_like(y))
                        v.mul_(beta2).add_((1 - beta2) * y.grad**2)
                        denominator = (v / (1 - beta2**self.t)).sqrt() + group["eps"]
                        move = group["lr"] * (y.grad / denominator + group["weight_decay"] * y)
                        y.add_((z - y) / self.t - (1 - beta1 * (1 - 1 / self.t)) * move)
                        z.sub_(move)

            @torch.no_grad()
            def averaged(self, model):
                \"\"\"Returns a copy of the model at x.\"\"\"
                mean = copy.deepcopy(model)
                beta1 = self.param_groups[0]["betas"][0]
                for y, x in zip(model.parameters(), mean.parameters(), strict=True):
                    x.add_((1 - 1 / beta1) * (self.state[y]["z"] - y))
                return mean
        """,
    "muon": """
        class Muon(torch.optim.Optimizer):
            \"\"\"Orthogonalised momentum for hidden weight matrices, AdamW for the rest (Jordan et al., 2024).\"\"\"

            def __init__(self, model, lr, momentum, betas, eps, weight_decay):
                groups = [{"params": [], "matrix": True}, {"params": [], "matrix": False}]
                for name, w in model.named_parameters():
                    hidden = w.dim() > 1 and not name.startswith("output.")
                    groups[0 if hidden and min(len(w), w[0].numel()) > 1 else 1]["params"].append(w)
                defaults = {"lr": lr, "momentum": momentum, "betas": betas, "eps": eps, "weight_decay": weight_decay}
                super().__init__(groups, defaults)
                self.t = 0

            @torch.no_grad()
            def step(self):
                self.t += 1
                for group in self.param_groups:
                    lr = group["lr"]
                    for w in group["params"]:
                        direction = self.matrix(w, group) if group["matrix"] else self.adam(w, group)
                        w.mul_(1 - lr * group["weight_decay"]).sub_(lr * direction)

            def matrix(self, w, group):
                momentum, m = group["momentum"], self.state[w].setdefault("momentum", torch.zeros_like(w))
                m.mul_(momentum).add_((1 - momentum) * w.grad)
                update = ((1 - momentum) * w.grad + momentum * m).flatten(1)
                return (0.2 * max(update.shape) ** 0.5 * orthogonalize(update)).view_as(w)

            def adam(self, w, group):
                state, (beta1, beta2) = self.state[w], group["betas"]
                m = state.setdefault("exp_avg", torch.zeros_like(w))
                v = state.setdefault("exp_avg_sq", torch.zeros_like(w))
                m.mul_(beta1).add_((1 - beta1) * w.grad)
                v.mul_(beta2).add_((1 - beta2) * w.grad**2)
                return m / (1 - beta1**self.t) / ((v / (1 - beta2**self.t)).sqrt() + group["eps"])


        def orthogonalize(matrix):
            \"\"\"Five Newton-Schulz iterations, which bring the singular values near 1.\"\"\"
            x = matrix.mT if matrix.shape[0] > matrix.shape[1] else matrix
            x = x / x.square().sum().sqrt().clamp(min=1e-7)
            for _ in range(5):
                gram = x @ x.mT
                x = 3.4445 * x + (-4.7750 * gram + 2.0315 * (gram @ gram)) @ x
            return x.mT if matrix.shape[0] > matrix.shape[1] else x
        """,
    "random_search": """
        class RandomSearch(torch.optim.Optimizer):
            \"\"\"Moves to the best of some normal proposals if it is better (the 1/5 success rule).\"\"\"

            def __init__(self, params, lr, proposals, seed):
                super().__init__(params, {"lr": lr})
                self.proposals, self.seed, self.t, self.scale = proposals, seed, 0, None

            @torch.no_grad()
            def step(self, model, objective):
                self.t += 1
                self.scale = self.param_groups[0]["lr"] if self.scale is None else self.scale
                here = nn.utils.parameters_to_vector(model.parameters())
                uniform = draw_uniform(derive_key(self.seed, PROPOSAL, self.t), 2 * self.proposals * len(here))
                normal = np.sqrt(-2 * np.log1p(-uniform[0::2])) * np.cos(2 * math.pi * uniform[1::2])
                moves = torch.as_tensor(self.scale * normal.reshape(self.proposals, len(here)), dtype=here.dtype)
                points = torch.cat([here[None], here + moves])
                trial, losses = copy.deepcopy(model), torch.empty(len(points), dtype=here.dtype)
                for k, point in enumerate(points):
                    nn.utils.vector_to_parameters(point, trial.parameters())
                    losses[k] = objective(trial)
                losses = losses.nan_to_num(nan=math.inf)
                num_better = int((losses[1:] < losses[0]).sum())
                if num_better:
                    nn.utils.vector_to_parameters(points[losses.argmin()], model.parameters())
                damping = 1 + len(here) / (2 * self.proposals)
                self.scale *= math.exp((num_better / self.proposals - 0.2) / 0.8 / damping)
        """,
}
