"""BPE-dropout: words cut into pieces by merges some of which are left out at random, many words at once.

The `sentencepiece` package has it, too, but what it draws with a seed is another
thing in every process, so that a training which goes on in a new one would not
go on with what it would have had.
"""

import collections

import numpy as np

_NONE = np.iinfo(np.int64).max  # the rank of a pair that makes no piece


class BpeDropout:
    """Draws the pieces of words.

    The best merge of a word is made or left out, one after the other, until
    there is none. One that was left out stays so until one of the two is
    merged with something else. This is how SentencePiece does it, where the
    paper draws anew for each merge of a word whenever one has been made: at the
    same dropout a text has more pieces here.

    Args:
        pieces: dict of the pieces that merges make or begin with: their ranks,
            the lowest is merged first, whose ids they are.
        bytes_of: ids of the pieces of the 256 bytes, for characters without a
            piece.

    Reference: Provilkov et al. 2020, "BPE-Dropout: Simple and Effective Subword
        Regularization", 3, algorithm 1.
    """

    def __init__(self, pieces, bytes_of):
        self._pieces = pieces
        self._bytes_of = bytes_of
        self._size = max([*pieces.values(), *bytes_of]) + 1
        merges = {}
        for piece, rank in pieces.items():
            for cut in range(1, len(piece)):
                left, right = pieces.get(piece[:cut]), pieces.get(piece[cut:])
                if left is not None and right is not None:
                    merges[left * self._size + right] = rank
        self._keys = np.array(sorted(merges), np.int64)
        self._ranks = np.array([merges[key] for key in self._keys], np.int64)

    def draw(self, words, dropout, seed):
        """The ids of the pieces of each word.

        Args:
            words: list of strings.
            dropout: probability that a merge is left out, each time it could be
                made.
            seed: random seed of the draws.

        Returns:
            `(ids, lengths)`: those of all words behind each other, and how many
            there are of each.
        """
        symbols, lengths = self._characters(words)
        left_out = np.zeros((len(symbols), max(symbols.shape[1] - 1, 0)), bool)  # of each pair of neighbours
        generator = np.random.default_rng(seed)
        live = np.flatnonzero(lengths > 1)
        while len(live):
            width = int(lengths[live].max())
            ranks = np.where(left_out[live, : width - 1], _NONE, self._ranks_of(symbols[live, :width], lengths[live]))
            places = ranks.argmin(axis=1)
            best = ranks[np.arange(len(live)), places]
            live, places, best = live[best < _NONE], places[best < _NONE], best[best < _NONE]
            out = generator.random(len(live)) < dropout
            left_out[live[out], places[out]] = True
            self._merge(symbols, left_out, live[~out], places[~out], best[~out], width)
            lengths[live[~out]] -= 1
            live = live[lengths[live] > 1]
        return self._with_bytes(symbols[np.arange(symbols.shape[1]) < lengths[:, None]], lengths)

    @staticmethod
    def _merge(symbols, left_out, rows, places, merged, width):
        """Puts one symbol in the place of two; with its neighbours it makes new pairs, of which none is left out."""
        columns, each = np.arange(width), np.arange(len(rows))
        behind = np.minimum(columns + (columns > places[:, None]), width - 1)
        moved = np.take_along_axis(symbols[rows, :width], behind, axis=1)
        moved[each, places] = merged
        symbols[rows, :width] = moved
        pairs = np.take_along_axis(left_out[rows, : width - 1], np.minimum(behind[:, :-1], width - 2), axis=1)
        pairs[each, np.minimum(places, width - 2)] = pairs[each, np.maximum(places - 1, 0)] = False
        left_out[rows, : width - 1] = pairs

    def _ranks_of(self, rows, lengths):
        """The rank of each pair of neighbours, `(words, longest - 1)`."""
        pairs = rows[:, :-1] * self._size + rows[:, 1:]
        found = np.minimum(np.searchsorted(self._keys, pairs), len(self._keys) - 1)
        known = (self._keys[found] == pairs) & (rows[:, :-1] < self._size) & (rows[:, 1:] < self._size)
        known &= np.arange(1, rows.shape[1]) < lengths[:, None]
        return np.where(known, self._ranks[found], _NONE)

    def _characters(self, words):
        """The words as ids of characters, those without a piece above all pieces."""
        counts = collections.Counter(words)
        rows = {word: index for index, word in enumerate(counts)}
        table = np.zeros((len(rows), max(map(len, rows), default=0)), np.int64)
        for word, index in rows.items():
            table[index, : len(word)] = [self._pieces.get(each, self._size + ord(each)) for each in word]
        places = np.array([rows[word] for word in words], np.int64)
        return table[places], np.array([len(word) for word in words], np.int64)

    def _with_bytes(self, ids, lengths):
        """Characters without a piece as their bytes."""
        if not (ids >= self._size).any():
            return ids, lengths
        encoded = [
            [self._bytes_of[byte] for byte in chr(id - self._size).encode("utf-8")] if id >= self._size else [id]
            for id in ids.tolist()
        ]
        of_words = np.repeat(np.arange(len(lengths)), lengths)
        more = np.bincount(of_words, [len(each) for each in encoded], len(lengths)).astype(np.int64)
        return np.array([id for each in encoded for id in each], np.int64), more
