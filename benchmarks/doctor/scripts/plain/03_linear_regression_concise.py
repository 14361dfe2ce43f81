import torch
from torch import nn
from torch.utils import data

torch.manual_seed(42)


def synthetic_data(w, b, num_examples):
    """Generate y = Xw + b + noise."""
    X = torch.normal(0, 1, (num_examples, len(w)))
    y = torch.matmul(X, w) + b
    y += torch.normal(0, 0.1, y.shape)
    return X, y.reshape((-1, 1))


def load_array(data_arrays, batch_size, is_train=True):
    dataset = data.TensorDataset(*data_arrays)
    return data.DataLoader(dataset, batch_size, shuffle=is_train)


true_w = torch.tensor([2.0, -3.4, 0.7])
true_b = 4.2
features, labels = synthetic_data(true_w, true_b, 1200)
train_features, test_features = features[:1000], features[1000:]
train_labels, test_labels = labels[:1000], labels[1000:]

batch_size = 10
data_iter = load_array((train_features, train_labels), batch_size)

net = nn.Sequential(nn.Linear(3, 1))
net[0].weight.data.normal_(0, 0.01)
net[0].bias.data.fill_(0)

loss = nn.MSELoss()
trainer = torch.optim.SGD(net.parameters(), lr=0.03)

num_epochs = 6
for epoch in range(num_epochs):
    for X, y in data_iter:
        l = loss(net(X), y)
        trainer.zero_grad()
        l.backward()
        trainer.step()
    with torch.no_grad():
        l = loss(net(train_features), train_labels)
        test_l = loss(net(test_features), test_labels)
    print(f"epoch {epoch + 1}, loss {l:f}, test loss {test_l:f}")

w = net[0].weight.data
print("error in estimating w:", true_w - w.reshape(true_w.shape))
b = net[0].bias.data
print("error in estimating b:", true_b - b)
