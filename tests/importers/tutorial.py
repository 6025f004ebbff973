"""A small Transformer as bentrevett's tutorial writes it, with random weights, in the files that its projects have."""

import pickle

import torch
from torch import nn

SPECIAL = ["<unk>", "<pad>", "<sos>", "<eos>"]
ATOMS = [*SPECIAL, "c", "C", "(", ")", "1", "O", "=", "N", "Cl", "[C@H]", "Br", "%12", "[nH]", "/", "2"]


class Attention(nn.Module):
    def __init__(self, units, heads):
        super().__init__()
        self.heads = heads
        for name in ("fc_q", "fc_k", "fc_v", "fc_o"):
            setattr(self, name, nn.Linear(units, units))

    def forward(self, query, value, mask):
        def divided(tensor):
            return tensor.reshape(*tensor.shape[:2], self.heads, -1).transpose(1, 2)

        query, key, value = divided(self.fc_q(query)), divided(self.fc_k(value)), divided(self.fc_v(value))
        scores = (query @ key.transpose(2, 3)) / query.shape[-1] ** 0.5
        context = torch.softmax(scores.masked_fill(~mask, -1e10), -1) @ value
        return self.fc_o(context.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    def __init__(self, units, hidden):
        super().__init__()
        self.fc_1, self.fc_2 = nn.Linear(units, hidden), nn.Linear(hidden, units)

    def forward(self, inputs):
        return self.fc_2(torch.relu(self.fc_1(inputs)))


class Block(nn.Module):
    def __init__(self, units, heads, hidden, has_source):
        super().__init__()
        self.self_attn_layer_norm, self.ff_layer_norm = nn.LayerNorm(units), nn.LayerNorm(units)
        self.self_attention = Attention(units, heads)
        if has_source:
            self.enc_attn_layer_norm, self.encoder_attention = nn.LayerNorm(units), Attention(units, heads)
        self.positionwise_feedforward = FeedForward(units, hidden)

    def forward(self, inputs, mask, memory=None, memory_mask=None):
        inputs = self.self_attn_layer_norm(inputs + self.self_attention(inputs, inputs, mask))
        if memory is not None:
            inputs = self.enc_attn_layer_norm(inputs + self.encoder_attention(inputs, memory, memory_mask))
        return self.ff_layer_norm(inputs + self.positionwise_feedforward(inputs))


class Stack(nn.Module):
    def __init__(self, size, units, heads, hidden, layers, length, has_source):
        super().__init__()
        self.tok_embedding, self.pos_embedding = nn.Embedding(size, units), nn.Embedding(length, units)
        self.layers = nn.ModuleList(Block(units, heads, hidden, has_source) for _ in range(layers))
        if has_source:
            self.fc_out = nn.Linear(units, size)

    def forward(self, ids, mask, *memory):
        inputs = self.tok_embedding(ids) * self.tok_embedding.embedding_dim**0.5
        inputs = inputs + self.pos_embedding(torch.arange(ids.shape[1]))
        for layer in self.layers:
            inputs = layer(inputs, mask, *memory)
        return self.fc_out(inputs) if memory else inputs


class Transformer(nn.Module):
    """The model, and what makes tokens and texts: `source` and `target` are lists of tokens."""

    def __init__(self, source, target, units=24, heads=8, layers=(2, 1), hidden=(20, 28), length=(19, 17)):
        super().__init__()
        self.encoder = Stack(len(source), units, heads, hidden[0], layers[0], length[0], has_source=False)
        self.decoder = Stack(len(target), units, heads, hidden[1], layers[1], length[1], has_source=True)
        self.source, self.target = source, target
        with torch.no_grad():
            for name, weight in self.named_parameters():
                weight.add_(0.3 * torch.randn_like(weight))
                if "fc_out.weight" in name or "pos_embedding" in name:
                    weight.mul_(4.0)  # so that tokens are as different as learned ones

    def forward(self, source, target):
        source_mask = (source != self.source.index("<pad>"))[:, None, None, :]
        causal = torch.tril(torch.ones(target.shape[1], target.shape[1])).bool()
        return self.decoder(target, causal, self.encoder(source, source_mask), source_mask)

    @torch.no_grad()
    def greedy(self, tokens, longest):
        """The best token at each step; neither padding nor start."""
        tokens = ["<sos>", *tokens, "<eos>"]
        source = torch.tensor([[self.source.index(token if token in self.source else "<unk>") for token in tokens]])
        never = [self.target.index("<pad>"), self.target.index("<sos>")]
        found = [self.target.index("<sos>")]
        for _ in range(longest):
            logits = self(source, torch.tensor([found]))[0, -1]
            logits[never] = -torch.inf
            found.append(int(logits.argmax()))
            if self.target[found[-1]] == "<eos>":
                return [self.target[index] for index in found[1:-1]]
        return [self.target[index] for index in found[1:]]


def saved(folder, source=ATOMS, target=ATOMS, form=".pt", **sizes):
    """A model with random weights in a folder."""
    torch.manual_seed(1)
    model = Transformer(source, target, **sizes).eval()
    if form == ".pt":
        torch.save(model.state_dict(), folder / "best.pt")
    else:
        from safetensors.torch import save_file

        save_file(model.state_dict(), folder / "best.safetensors")
    names = {"vocabulary.pkl": source} if source == target else {"src.pkl": source, "trg.pkl": target}
    for name, tokens in names.items():
        content = {"itos": tokens, "stoi": {token: index for index, token in enumerate(tokens)}}
        (folder / name).write_bytes(pickle.dumps(content))
    return model
