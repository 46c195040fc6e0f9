"""The losses' equations in float64, written as nested loops: what the tests hold ours against."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass
class Anchor:
    """A row with its similarities to its positives and to its negatives."""

    positives: list
    negatives: list


def unit(rows):
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)


def anchors_of(rows, labels, references=None, *, normalise=True, batch_too=True):
    """Each row with the batch's other rows and the valid references."""
    prepare = unit if normalise else np.asarray
    rows = prepare(np.asarray(rows, np.float64))
    others = [(rows[j], labels[j], j) for j in range(len(rows))] if batch_too else []
    if references is not None:
        more, more_labels, valid = references
        more = prepare(np.asarray(more, np.float64))
        others += [(more[j], more_labels[j], None) for j in range(len(more)) if valid[j]]
    anchors = []
    for i in range(len(rows)):
        anchor = Anchor([], [])
        for row, label, index in others:
            if index != i:
                (anchor.positives if label == labels[i] else anchor.negatives).append(rows[i] @ row)
        anchors.append(anchor)
    return anchors


def mean(values):
    return sum(values) / len(values) if values else 0.0


def distance(similarity):
    return math.sqrt(max(2 - 2 * similarity, 0))


def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def multi_similarity(anchors, alpha, beta, base, epsilon):
    total = 0.0
    for anchor in anchors:
        positives, negatives = anchor.positives, anchor.negatives
        if epsilon is not None:
            lowest, highest = min(positives, default=np.inf), max(negatives, default=-np.inf)
            positives = [s for s in positives if s - epsilon < highest]
            negatives = [s for s in negatives if s + epsilon > lowest]
        total += math.log(1 + sum(math.exp(-alpha * (s - base)) for s in positives)) / alpha
        total += math.log(1 + sum(math.exp(beta * (s - base)) for s in negatives)) / beta
    return total / len(anchors)


def contrastive(anchors, margin, positive_margin, power):
    pull = [distance(s) - positive_margin for a in anchors for s in a.positives]
    push = [margin - distance(s) for a in anchors for s in a.negatives]
    return sum(mean([x**power / power for x in kind if x > 0]) for kind in (pull, push))


def triplet_batch_hard(anchors, margin):
    costs = []
    for anchor in anchors:
        if anchor.positives and anchor.negatives:
            farthest = max(distance(s) for s in anchor.positives)
            nearest = min(distance(s) for s in anchor.negatives)
            difference = farthest - nearest
            soft = math.log(1 + math.exp(difference))
            costs.append(soft if margin is None else max(0, margin + difference))
    return mean(costs)


def triplet_semi_hard(anchors, margin):
    costs = []
    for anchor in anchors:
        for positive in anchor.positives:
            own = 2 - 2 * positive
            farther = [2 - 2 * s for s in anchor.negatives if own < 2 - 2 * s < own + margin]
            if farther:
                costs.append(own - min(farther) + margin)
    return mean(costs)


def nt_xent(anchors, temperature):
    costs = []
    for anchor in anchors:
        for positive in anchor.positives:
            own = math.exp(positive / temperature)
            others = sum(math.exp(s / temperature) for s in anchor.negatives)
            costs.append(-math.log(own / (own + others)))
    return mean(costs)


def n_pair(anchors, temperature, regularisation):
    assert not regularisation  # has a test of its own
    return nt_xent(anchors, temperature)


def supcon(anchors, temperature):
    costs = []
    for anchor in anchors:
        everything = anchor.positives + anchor.negatives
        total = sum(math.exp(s / temperature) for s in everything)
        if anchor.positives:
            shares = [math.exp(s / temperature) / total for s in anchor.positives]
            costs.append(-mean([math.log(share) for share in shares]))
    return mean(costs)


def circle(anchors, margin, gamma, fixed=None):
    """`fixed`: anchors whose similarities give the weights, which carry no gradient."""
    costs = []
    for anchor, weights in zip(anchors, fixed or anchors, strict=True):
        if anchor.positives and anchor.negatives:
            repulsion = sum(
                math.exp(gamma * max(0, w + margin) * (s - margin))
                for s, w in zip(anchor.negatives, weights.negatives, strict=True)
            )
            attraction = sum(
                math.exp(-gamma * max(0, 1 + margin - w) * (s - 1 + margin))
                for s, w in zip(anchor.positives, weights.positives, strict=True)
            )
            costs.append(math.log(1 + repulsion * attraction))
    return mean(costs)


def soft_rank(index, among, temperature):
    """The rank of `among[index]` in `among`, from 1 on."""
    others = [s for j, s in enumerate(among) if j != index]
    return 1 + sum(sigmoid((s - among[index]) / temperature) for s in others)


def smooth_ap(anchors, temperature):
    costs = []
    for anchor in anchors:
        everything = anchor.positives + anchor.negatives
        precisions = [
            soft_rank(p, anchor.positives, temperature) / soft_rank(p, everything, temperature)
            for p in range(len(anchor.positives))
        ]
        if precisions:
            costs.append(1 - mean(precisions))
    return mean(costs)


def recall_at_k(anchors, largest_k, recall_temperature, rank_temperature):
    ks = [k for k in (1, 2, 4, 8, 16, 32, 64) if k <= largest_k]
    costs = []
    for anchor in anchors:
        everything, count = anchor.positives + anchor.negatives, len(anchor.positives)
        ranks = [soft_rank(p, everything, rank_temperature) for p in range(count)]
        for k in ks if count else ():
            found = sum(sigmoid((k - rank) / recall_temperature) for rank in ranks)
            costs.append(1 - found / min(k, count))
    return mean(costs)


PAIR_LOSSES = {
    f.__name__: f
    for f in (
        multi_similarity,
        contrastive,
        triplet_batch_hard,
        triplet_semi_hard,
        n_pair,
        nt_xent,
        supcon,
        circle,
        smooth_ap,
        recall_at_k,
    )
}


def proxy_anchor(rows, labels, proxies, proxy_labels, alpha, delta):
    attraction, repulsion = [], []
    for proxy, label in zip(proxies, proxy_labels, strict=True):
        positives = [x @ proxy for x, y in zip(rows, labels, strict=True) if y == label]
        negatives = [x @ proxy for x, y in zip(rows, labels, strict=True) if y != label]
        repulsion.append(math.log(1 + sum(math.exp(alpha * (s + delta)) for s in negatives)))
        if positives:
            pulls = [math.exp(-alpha * (s - delta)) for s in positives]
            attraction.append(math.log(1 + sum(pulls)))
    return mean(attraction) + mean(repulsion)


def proxy_nca(rows, labels, proxies, proxy_labels, temperature):
    costs = []
    for row, label in zip(rows, labels, strict=True):
        squared = [((row - proxy) ** 2).sum() for proxy in proxies]
        shares = [math.exp(-d / temperature) for d in squared]
        own = [s for s, y in zip(shares, proxy_labels, strict=True) if y == label]
        if own:
            costs.append(-math.log(sum(own) / sum(shares)))
    return mean(costs)


def arcface(rows, labels, proxies, proxy_labels, margin, scale):
    costs = []
    for row, label in zip(rows, labels, strict=True):
        cosines = {}
        for proxy, y in zip(proxies, proxy_labels, strict=True):
            cosines[y] = max(cosines.get(y, -np.inf), row @ proxy)
        if label not in cosines:
            continue
        own = cosines.pop(label)
        angle = math.acos(np.clip(own, -1, 1))
        moved = math.cos(angle + margin)
        if angle > math.pi - margin:
            moved = own - margin * math.sin(margin)
        rest = sum(math.exp(scale * c) for c in cosines.values())
        costs.append(-math.log(math.exp(scale * moved) / (math.exp(scale * moved) + rest)))
    return mean(costs)


PROXY_LOSSES = {f.__name__: f for f in (proxy_anchor, proxy_nca, arcface)}


def loss_by_formula(name, rows, labels, references, options, weights_at=None):
    """The named loss of a batch; `references` are (rows, labels, valid) or None.

    `weights_at` are the rows whose similarities give circle loss's weights; `rows` if None.
    """
    if name in PROXY_LOSSES:
        proxies, proxy_labels, valid = references
        valid = np.asarray(valid)
        rows, proxies = (unit(np.asarray(values, np.float64)) for values in (rows, proxies))
        kept = proxies[valid], np.asarray(proxy_labels)[valid].tolist()
        return PROXY_LOSSES[name](rows, list(labels), *kept, **options)
    anchors = anchors_of(rows, labels, references, normalise=name != "n_pair")
    if name == "circle" and weights_at is not None:
        options = options | {"fixed": anchors_of(*weights_at)}
    return PAIR_LOSSES[name](anchors, **options)
