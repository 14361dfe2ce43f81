def clip_by_norm(grads, most):
    total = sum((g.double() ** 2).sum() for g in grads.values()) ** 0.5
    factor = float((most / (total + 1e-6)).clamp(max=1.0))
    return {k: g * factor for k, g in grads.items()}
