import logging
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.metrics import roc_auc_score

logging.basicConfig(level=logging.INFO, format="%(message)s")
log = logging.getLogger("train")


def get_data(seed):
    x, y = load_breast_cancer(return_X_y=True)
    x_tr, x_va, y_tr, y_va = train_test_split(x, y, test_size=0.3, stratify=y, random_state=seed)
    sc = StandardScaler().fit(x_tr)
    f = lambda a: torch.as_tensor(a, dtype=torch.float32)
    return f(sc.transform(x_tr)), f(sc.transform(x_va)), f(y_tr), f(y_va)


class TumourNet(torch.nn.Module):
    def __init__(self, n_features, hidden=4):
        super().__init__()
        self.layer_1 = torch.nn.Linear(n_features, hidden)
        self.layer_2 = torch.nn.Linear(hidden, 1)
        self.act = torch.nn.ELU()

    def forward(self, x):
        return self.layer_2(self.act(self.layer_1(x))).flatten()


def train(seed=13, epochs=20, batch=20, lr=0.02):
    torch.manual_seed(seed)
    x_tr, x_va, y_tr, y_va = get_data(seed)
    net = TumourNet(x_tr.shape[1])
    for name, p in net.named_parameters():
        if not name.startswith('layer_2'):
            p.requires_grad_(False)
    loss_fn = torch.nn.BCEWithLogitsLoss()
    opt = torch.optim.SGD(filter(lambda p: p.requires_grad, net.parameters()), lr=lr, momentum=0.8, weight_decay=1e-3)
    for epoch in range(epochs):
        net.train()
        acc_loss = 0.0
        for idx in torch.randperm(len(x_tr)).split(batch):
            loss = loss_fn(net(x_tr[idx]), y_tr[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            acc_loss += loss.item() * len(idx)
        net.eval()
        with torch.inference_mode():
            p = net(x_va)
            val = loss_fn(p, y_va).item()
        log.info("epoch %2d train %.4f valid %.4f auc %.4f", epoch, acc_loss / len(x_tr), val,
                 roc_auc_score(y_va.numpy(), p.numpy()))


if __name__ == "__main__":
    train()
