"""The pieces of `train.py`: each function returns the lines that one part of a recipe needs, or none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from textwrap import dedent

from thalweg.core import InputError
from thalweg.models import ACTIVATIONS, BATCH_NORM_MOMENTUM, INITS, NORM_EPS
from thalweg.population import empty_module
from thalweg.recipes import Recipe
from thalweg.tasks import LOSSES, Task


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is exported: a recipe on a task, in a precision."""

    task: Task
    recipe: Recipe
    dtype: str

    @property
    def optimizer(self) -> str:
        """The rule that runs: Muon is AdamW where the model has no hidden matrix."""
        if self.recipe.optimizer == "muon" and not self.matrices:
            return "adamw"
        if self.recipe.optimizer in ("momentum", "nesterov") and self.recipe.momentum == 0:
            return "sgd"
        return self.recipe.optimizer

    @property
    def matrices(self) -> bool:
        """Whether the model has a hidden weight matrix."""
        module = empty_module(self.recipe, self.task.input_shape, self.task.output_size)
        hidden = [p for name, p in module.named_parameters() if p.dim() > 1 and not name.startswith("output.")]
        return any(min(len(p), p[0].numel()) > 1 for p in hidden)

    @property
    def l1(self) -> float:
        """Strength of the L1 part of the penalty."""
        return self.recipe.alpha * self.recipe.l1_ratio

    @property
    def l2(self) -> float:
        """Strength of the squared part of the penalty."""
        return self.recipe.alpha * (1 - self.recipe.l1_ratio)

    @property
    def plateau(self) -> bool:
        """Whether the step size falls when the validation loss does not."""
        # a factor of 1 changes nothing, and the first step size is all that random search reads
        return (
            self.recipe.schedule == "plateau"
            and self.recipe.schedule_gamma < 1
            and self.recipe.optimizer != "random_search"
        )

    @property
    def schedule(self) -> bool:
        """Whether the step size follows a formula."""
        return self.recipe.schedule not in ("constant", "plateau")

    @property
    def takes_gradient(self) -> bool:
        """Whether the rule needs a backward pass."""
        return self.recipe.optimizer != "random_search"

    @property
    def hidden(self) -> bool:
        """Whether the model has hidden layers."""
        return self.recipe.model != "linear"

    @property
    def dropout(self) -> bool:
        """Whether the model has dropout layers."""
        return self.hidden and self.recipe.dropout > 0

    @property
    def batch_norm(self) -> bool:
        """Whether the model has batch normalisation."""
        return self.hidden and self.recipe.norm == "batch"


def code(text: str) -> list[str]:
    """Returns the lines of a block of code without its common indent."""
    return dedent(text).strip("\n").split("\n")


# ---- random numbers -------------------------------------------------------------------------------------------------


def random_lines(job: Job) -> list[str]:
    """Returns the counter-based draws that the recipe needs."""
    purposes = {"ORDER": 1, "INIT": 2}
    if job.dropout:
        purposes["DROPOUT"] = 3
    if job.recipe.optimizer == "random_search":
        purposes["PROPOSAL"] = 4
    lines = [
        "# random numbers by counter (SplitMix64): every draw is a function of (seed, purpose, ...) alone",
        f"{', '.join(purposes)} = {', '.join(str(n) for n in purposes.values())}",
        *code("""
        GAMMA, MASK = 0x9E3779B97F4A7C15, (1 << 64) - 1


        def mix(z):
            z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
            return z ^ (z >> 31)


        def derive_key(seed, *words):
            key = mix((seed + GAMMA) & MASK)
            for word in words:
                key = mix((key + (word + 1) * GAMMA) & MASK)
            return key


        def draw_bits(key, num):
            return mix(np.arange(1, num + 1, dtype=np.uint64) * np.uint64(GAMMA) + np.uint64(key))


        def epoch_order(seed, epoch, num_rows):
            return np.argsort(draw_bits(derive_key(seed, ORDER, epoch), num_rows), kind="stable")
        """),
    ]
    if len(purposes) > 2:
        lines += ["", "", *code("""
            def draw_uniform(key, num):
                return (draw_bits(key, num) >> np.uint64(40)).astype(np.float64) * 2.0**-24
            """)]  # fmt: skip
    return lines


# ---- model ----------------------------------------------------------------------------------------------------------


def module_lines(job: Job) -> list[str]:
    """Returns the modules that torch has not, where the model needs them."""
    lines: list[str] = []
    if job.dropout:
        lines += code("""
            class Dropout(nn.Module):
                \"\"\"Dropout whose mask is a function of (seed, step, layer), which the training loop sets.\"\"\"

                seed, step = 0, 0

                def __init__(self, p, layer):
                    super().__init__()
                    self.p, self.layer = p, layer

                def forward(self, x):
                    if not self.training:
                        return x
                    key = derive_key(Dropout.seed, DROPOUT, Dropout.step, self.layer)
                    keep = torch.from_numpy(draw_uniform(key, x.numel()) >= self.p).view_as(x)
                    return x * keep.to(x) / (1 - self.p)
            """)
    if job.hidden and job.recipe.activation == "maxout":
        lines += ["", ""] if lines else []
        lines += code("""
            class Maxout(nn.Module):
                \"\"\"The largest of each `pieces` neighbouring units.\"\"\"

                def __init__(self, pieces):
                    super().__init__()
                    self.pieces = pieces

                def forward(self, x):
                    return x.unflatten(1, (-1, self.pieces)).max(dim=2).values
            """)
    return lines


def activation_code(job: Job) -> str:
    """Returns the expression that makes the recipe's activation."""
    name, activation = job.recipe.activation, ACTIVATIONS[job.recipe.activation]
    p = activation.parameter if job.recipe.activation_parameter is None else job.recipe.activation_parameter
    plain = {"identity": "Identity", "sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "ReLU", "gelu": "GELU"}
    plain |= {"silu": "SiLU"}
    if name in plain:
        return f"nn.{plain[name]}()"
    if name == "maxout":
        return f"Maxout({_pieces(job)})"
    known = {"leaky_relu": f"nn.LeakyReLU({p!r})", "elu": f"nn.ELU({p!r})", "prelu": f"nn.PReLU(init={p!r})"}
    if name not in known:
        raise InputError("activation", "one of the built-in activations, to be exported", name)
    return known[name]


def _pieces(job: Job) -> int:
    activation = ACTIVATIONS[job.recipe.activation]
    given = job.recipe.activation_parameter
    return activation.pieces if activation.pieces == 1 or given is None else int(given)


def model_lines(job: Job) -> list[str]:
    """Returns the function that builds the model, its layers named as in `model.safetensors`."""
    recipe, task = job.recipe, job.task
    layers: dict[str, str] = {}
    cnn = recipe.model == "cnn"
    last = task.input_shape[0] if cnn else math.prod(task.input_shape)
    if not cnn:
        layers["flatten"] = "nn.Flatten()"
    for number, width in enumerate(recipe.widths if job.hidden else (), start=1):
        units = width * _pieces(job)
        if cnn:
            layers[f"conv{number}"] = f"nn.Conv2d({last}, {units}, 3, padding=1)"
        else:
            layers[f"linear{number}"] = f"nn.Linear({last}, {units})"
        if recipe.norm == "batch":
            kind = "BatchNorm2d" if cnn else "BatchNorm1d"
            layers[f"norm{number}"] = f"nn.{kind}({units}, eps={NORM_EPS!r}, momentum={BATCH_NORM_MOMENTUM!r})"
        elif recipe.norm == "layer":
            kind = f"GroupNorm(1, {units}" if cnn else f"LayerNorm({units}"
            layers[f"norm{number}"] = f"nn.{kind}, eps={NORM_EPS!r})"
        layers[f"activation{number}"] = activation_code(job)
        if cnn:
            layers[f"pool{number}"] = "nn.MaxPool2d(2)"
        elif job.dropout:
            layers[f"dropout{number}"] = f"Dropout({recipe.dropout!r}, layer={number - 1})"
        last = width
    if cnn:
        side = [n // 2 ** len(recipe.widths) for n in task.input_shape[1:]]
        last *= math.prod(side)
        layers["flatten"] = "nn.Flatten()"
        if job.dropout:
            layers["dropout"] = f"Dropout({recipe.dropout!r}, layer=0)"
    layers["output"] = f"nn.Linear({last}, {task.output_size})"
    return [
        "def build_model():",
        "    return nn.Sequential(",
        "        OrderedDict(",
        *(f"            {name}={text}," for name, text in layers.items()),
        "        )",
        "    )",
    ]


def init_lines(job: Job) -> list[str]:
    """Returns the function that draws the initial weights."""
    recipe = job.recipe
    scale = INITS[recipe.init].scale if recipe.init_scale is None else recipe.init_scale
    p = recipe.activation_parameter
    activation = ACTIVATIONS[recipe.activation]
    default = activation.parameter if p is None else p
    gain = activation.gain(0.0 if default is None else default) if job.hidden else 1.0
    factor = "gain" if scale == 1 else f"{scale!r} * gain"
    draws = {
        "zeros": "nn.init.zeros_(layer.weight)",
        "constant": f"nn.init.constant_(layer.weight, {scale!r})",
        "normal": f"nn.init.normal_(layer.weight, 0.0, {scale!r}, generator=generator)",
        "xavier": f"nn.init.xavier_uniform_(layer.weight, {scale!r}, generator=generator)",
        "xavier_normal": f"nn.init.xavier_normal_(layer.weight, {scale!r}, generator=generator)",
        "he": f"nn.init.normal_(layer.weight, 0.0, {factor} / math.sqrt(fan_in), generator=generator)",
        "orthogonal": f"nn.init.orthogonal_(layer.weight, {factor}, generator=generator)",
        "lsuv": "nn.init.orthogonal_(layer.weight, generator=generator)",
        "torch": "nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=generator)",
    }
    draw = draws[recipe.init]
    lines = [
        "def init_weights(model, seed):",
        '    """Draws every weight from a generator of its own, keyed by the seed and its place in the model."""',
    ]
    if "generator" in draw:
        lines.append("    place = {id(p): index for index, p in enumerate(model.parameters())}")
    lines.append("    layers = [m for m in model if isinstance(m, (nn.Linear, nn.Conv2d))]")
    if recipe.init == "torch":
        return [*lines, *_torch_init(draw, scale)]
    lines.append("    for layer in layers:")
    if "fan_in" in draw:
        lines.append("        fan_in = layer.weight[0].numel()")
    if "gain" in draw:
        lines.append(f"        gain = 1.0 if layer is layers[-1] else {gain!r}")
    if "generator" in draw:
        key = "derive_key(seed, INIT, place[id(layer.weight)]) >> 1"
        lines.append(f"        generator = torch.Generator().manual_seed({key})")
    lines += [f"        {draw}", "        nn.init.zeros_(layer.bias)"]
    return [*lines, *(["", "", *_lsuv(job, scale)] if recipe.init == "lsuv" else [])]


def _torch_init(draw: str, scale: float) -> list[str]:
    rescale = [] if scale == 1 else [f"            layer.weight.mul_({scale!r})"]
    return [
        "    for layer in layers:",
        "        bound = layer.weight[0].numel() ** -0.5",
        "        generator, other = (",
        "            torch.Generator().manual_seed(derive_key(seed, INIT, place[id(p)]) >> 1)",
        "            for p in (layer.weight, layer.bias)",
        "        )",
        "        with torch.no_grad():",
        f"            {draw}",
        *rescale,
        "            nn.init.uniform_(layer.bias, -bound, bound, generator=other)",
    ]


def _lsuv(job: Job, scale: float) -> list[str]:
    forward = "x if isinstance(layer, Dropout) else layer(x)" if job.dropout else "layer(x)"
    lines = [
        "@torch.no_grad()",
        "def scale_to_unit_variance(model, x):",
        f'    """LSUV (Mishkin and Matas, 2016): scales each layer to outputs of standard deviation {scale:g} on x."""',
        "    for layer in model.train():",
        f"        x = {forward}",
        "        if isinstance(layer, (nn.Linear, nn.Conv2d)):",
        f"            factor = {scale!r} / float(x.double().std(correction=0))",
        "            layer.weight.mul_(factor)",
        "            x = x * factor",
    ]
    if job.batch_norm:
        lines += [
            "    for layer in model:",
            "        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):",
            "            layer.reset_running_stats()",
        ]
    return lines


# ---- loss and score -------------------------------------------------------------------------------------------------


def loss_lines(job: Job) -> list[str]:
    """Returns the training loss; where labels are smoothed, the plain loss stands beside it."""
    task, smoothing = job.task, job.recipe.label_smoothing
    target = "y"
    if task.kind == "multiclass" and task.loss != "cross_entropy":
        target = f"F.one_hot(y, {task.output_size}).to(out)"
    delta = LOSSES[task.loss].parameter
    plain = {
        "cross_entropy": "F.cross_entropy(out, y)",
        "bce": "F.binary_cross_entropy_with_logits(out, y)",
        "mse": f"F.mse_loss(out, {target})",
        "mae": f"F.l1_loss(out, {target})",
        "huber": f"F.huber_loss(out, {target}, delta={delta!r})",
    }
    if task.loss not in plain:
        raise InputError("loss", "one of the built-in losses, to be exported", task.loss)
    lines = ["def loss_of(out, y):", f"    return {plain[task.loss]}"]
    if smoothing:
        smooth = f"F.cross_entropy(out, y, label_smoothing={smoothing!r})"
        if task.loss == "bce":
            smooth = f"loss_of(out, y * (1 - {smoothing!r}) + {smoothing!r} / 2)"
        lines += ["", "", "def training_loss(out, y):", f"    return {smooth}"]
    return lines


def score_lines(job: Job) -> list[str]:
    """Returns the function of the metric."""
    task = job.task
    threshold = "0.5" if LOSSES[task.loss].link == "identity" else "0"
    right = "(out.argmax(1) == y)" if task.kind == "multiclass" else f"((out > {threshold}) == (y > 0.5))"
    std = f"np.array({[float(f'{s:.9g}') for s in task.preparation.target_std]!r})"
    bodies = {
        "accuracy": [f"    return float({right}.mean())"],
        "balanced_accuracy": [
            f"    right, y = {right}.reshape(len(y), -1), y.reshape(len(y), -1)",
            "    columns = range(y.shape[1])",
            "    return float(np.mean([np.mean([right[y[:, k] == c, k].mean() for c in np.unique(y[:, k])]) "
            "for k in columns]))",
        ],
        "log_loss": [
            "    out = torch.from_numpy(out).double()",
            "    return float(loss_of(out, torch.from_numpy(y)))"
            if task.kind == "multiclass"
            else "    return float(loss_of(out, torch.from_numpy(y).double()))",
        ],
        "mse": [f"    error = (out.astype(np.float64) - y) * {std}", "    return float((error**2).mean())"],
        "rmse": [f"    error = (out.astype(np.float64) - y) * {std}", "    return float(np.sqrt((error**2).mean()))"],
        "mae": [f"    error = (out.astype(np.float64) - y) * {std}", "    return float(abs(error).mean())"],
        "r2": [
            "    y = y.astype(np.float64)",
            "    return float(1 - ((out - y) ** 2 / y.var(0)).mean())",
        ],
    }
    if task.metric not in bodies:
        raise InputError("metric", "one of the built-in metrics, to be exported", task.metric)
    return ["def score(out, y):", *bodies[task.metric]]


# ---- schedule and penalty -------------------------------------------------------------------------------------------


def schedule_lines(job: Job) -> list[str]:
    """Returns the factor of the step size as a function of the step."""
    recipe = job.recipe
    warmup, gamma = recipe.warmup, recipe.schedule_gamma
    bodies = {
        "step": [f"    return {gamma!r} ** min(3 * step // total, 2)"],
        "exponential": [f"    return {gamma!r} ** (step / total)"],
        "cosine": ["    return 0.5 * (1 + math.cos(math.pi * min(step / total, 1)))"],
        "warmup": [f"    return min((step + 1) / max(round({warmup!r} * total), 1), 1)"],
        "warmup_cosine": [
            f"    rise = round({warmup!r} * total)",
            "    if step < rise:",
            "        return (step + 1) / rise",
            "    return 0.5 * (1 + math.cos(math.pi * min((step - rise) / max(total - rise, 1), 1)))",
        ],
        "one_cycle": [
            f"    first, last, peak = 1 / 25, 1 / 25 / 1e4, {warmup!r} * total - 1",
            "    if step <= peak:",
            "        return 1 + (first - 1) / 2 * (1 + math.cos(math.pi * (step / peak if peak > 0 else 0)))",
            "    share = min((step - peak) / max(total - 1 - peak, 1e-12), 1)",
            "    return last + (1 - last) / 2 * (1 + math.cos(math.pi * share))",
        ],
    }
    if not job.schedule:
        return []
    return ["def lr_factor(step, total):", *bodies[recipe.schedule]]


def prox_lines(job: Job) -> list[str]:
    """Returns the proximal step of the L1 penalty, by the diagonal metric of the optimizer's step."""
    if job.l1 == 0:
        return []
    recipe, lr = job.recipe, 'group["lr"]'
    m = recipe.momentum
    sizes = {
        "momentum": f"{lr} * (1 - {m!r}**t) / (1 - {m!r})",
        "nesterov": f"{lr} * (1 - {m!r} ** (t + 1)) / (1 - {m!r})",
        "adagrad": f'{lr} / (state["sum"].sqrt() + {recipe.eps!r})',
        "rmsprop": f'{lr} / (state["square_avg"].sqrt() + {recipe.eps!r})',
        "adam": f'{lr} / ((state["exp_avg_sq"] / (1 - {recipe.beta2!r}**t)).sqrt() + {recipe.eps!r})',
    }
    sizes |= {"adamw": sizes["adam"], "sgdw": sizes["momentum"]}
    size = sizes.get(job.optimizer, lr)
    state = ["            state = optimizer.state[w]"] if "state" in size else []
    return [
        "@torch.no_grad()",
        "def shrink(optimizer, t):",
        '    """The L1 penalty: moves weights (not biases) towards 0, and to 0 within the threshold."""',
        "    group = optimizer.param_groups[0]",
        '    for w in group["params"]:',
        "        if w.dim() >= 2:",
        *state,
        f"            threshold = {job.l1!r} * {size}",
        "            w.copy_(w.sign() * (w.abs() - threshold).clamp(min=0))",
    ]
