"""Recurrent models of tokens: a tagger of two levels, and two towers that are compared."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class BiLstmTagger(nn.Module):
    def __init__(self, vocab: int = 40, emb_dim: int = 12, hidden: int = 10, tags: int = 5):
        super().__init__()
        self.embedding = nn.Embedding(vocab, emb_dim)
        self.lstm = nn.LSTM(emb_dim, hidden, num_layers=2, bidirectional=True, batch_first=True, dropout=0.3)
        self.hidden2tag = nn.Linear(2 * hidden, tags)

    def forward(self, tokens: Tensor) -> Tensor:
        out, _ = self.lstm(self.embedding(tokens))
        return self.hidden2tag(out)


class TowerEncoder(nn.Module):
    def __init__(self, vocab: int, dim: int):
        super().__init__()
        self.embedding = nn.Embedding(vocab, dim)
        self.gru = nn.GRU(dim, dim, batch_first=True)
        self.proj = nn.Linear(dim, dim)

    def forward(self, tokens: Tensor) -> Tensor:
        _, h = self.gru(self.embedding(tokens))
        return nn.functional.normalize(self.proj(h[-1]), dim=-1)


class TwoTowers(nn.Module):
    def __init__(self, dim: int = 16):
        super().__init__()
        self.query, self.document = TowerEncoder(30, dim), TowerEncoder(50, dim)
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, query: Tensor, document: Tensor) -> Tensor:
        return (self.query(query) * self.document(document)).sum(-1) * self.scale.exp()
