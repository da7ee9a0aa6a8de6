"""Markov chains in continuous time, for tests that solve one to know what to expect."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import poisson

Floats = NDArray[np.float64]
State = tuple[int, ...]


def generator(rates: Any) -> Floats:
    """The generator with these rates from row to column."""
    off = np.array(rates, dtype=float)
    np.fill_diagonal(off, 0.0)
    return off - np.diag(off.sum(axis=1))


def birth_and_death(up: float, down: float, most: int) -> Floats:
    """Generator of a number that goes up and down one at a time, between 0 and `most`."""
    return generator(np.diag(np.full(most, up), 1) + np.diag(np.full(most, down), -1))


def at_rest(up: Any, down: Any) -> Floats:
    """The stationary law of a number that goes up from n at rate `up[n]` and down from n + 1 at rate `down[n]`."""
    odds = np.cumprod(np.concatenate([[1.0], np.asarray(up) / np.asarray(down)]))
    return np.asarray(odds / odds.sum())


def uniformised(law: Floats, rates: Floats, length: float) -> tuple[Floats, Floats]:
    """The law (or several, as rows) at the end of a stretch of time, and integrated over it (Jensen 1953).

    `rates`: the generator.
    """
    pace = max(float(-rates.diagonal().min()), 1e-12)
    step, most = np.eye(len(rates)) + rates / pace, pace * length
    end, integral = np.zeros_like(law), np.zeros_like(law)
    for k in range(int(most + 12 * np.sqrt(most) + 20)):
        end = end + poisson.pmf(k, most) * law
        integral = integral + poisson.sf(k, most) / pace * law
        law = law @ step
    return end, integral


def stationary(moves: Floats) -> Floats:
    """The stationary law of a chain in discrete time."""
    size = len(moves)
    equations = np.vstack([moves.T - np.eye(size), np.ones(size)])
    return np.asarray(np.linalg.lstsq(equations, np.eye(1, size + 1, size)[0], rcond=None)[0])


def explored(start: State, moves: Callable[[State], Iterable[tuple[State, float]]]) -> tuple[list[State], Floats]:
    """All states that can be reached, and the law of the chain at rest over them; `moves`: next states and rates."""
    number, queue, found = {start: 0}, [start], []
    while queue:
        state = queue.pop()
        for after, rate in moves(state):
            if rate > 0 and after not in number:
                number[after] = len(number)
                queue.append(after)
            if rate > 0:
                found.append((number[state], number[after], rate))
    rates = np.zeros((len(number), len(number)))
    rows, columns, weights = zip(*found, strict=True)
    np.add.at(rates, (rows, columns), weights)
    equations = generator(rates).T
    equations[-1] = 1.0
    return list(number), np.asarray(np.linalg.solve(equations, np.eye(len(number))[-1]))
