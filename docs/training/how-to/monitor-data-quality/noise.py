"""How sure a number is: standard errors, intervals and quantiles, shared by the scripts of this folder.

Rewards are numbers without a unit, shares lie between 0 and 1; a metric is {"value", "se", "n"}, se being one standard error.
"""

from __future__ import annotations

import math
import random
from statistics import NormalDist

ENOUGH_TASKS = 20  # below, an interval for other tasks promises more than it keeps: false_alarms.py measures it


def share(count: int, of: int) -> dict | None:
    """A share with its binomial standard error; None of nothing."""
    p = count / of if of else 0.0
    return {"value": p, "se": math.sqrt(p * (1 - p) / of), "n": of, "count": count} if of else None


def smoothed(metric: dict) -> float:
    """The standard error, never zero for a share: no event in n rollouts does not mean that there is none in the next n."""
    value, n = metric["value"], metric["n"]
    if metric["se"] or not 0 <= value <= 1:
        return metric["se"]
    p = (value * n + 1) / (n + 2)
    return math.sqrt(p * (1 - p) / n)


def surprising(count: int, times: float, alarm: float) -> int:
    """The fewest events that would surprise in a run, after ``count`` events in ``times`` as many rollouts.

    Exact for rare events: if nothing has changed, each event falls into the new run with the chance 1 / (1 + times).
    """
    new, log_p, log_q = int(count / times), math.log(1 / (1 + times)), math.log(times / (1 + times))
    while True:
        new += 1
        whole = count + new
        tail = sum(math.exp(math.lgamma(whole + 1) - math.lgamma(k + 1) - math.lgamma(whole - k + 1) + k * log_p + (whole - k) * log_q)
                   for k in range(new, whole + 1))
        if tail <= alarm:
            return new


def wilson(count: float, total: int, z: float) -> tuple[float, float]:
    """The interval that a share of ``count`` in ``total`` leaves open."""
    p, z2 = count / total, z * z
    centre, half = p + z2 / (2 * total), z * math.sqrt(p * (1 - p) / total + z2 / (4 * total**2))
    return (centre - half) / (1 + z2 / total), (centre + half) / (1 + z2 / total)


def t_quantile(p: float, freedom: int) -> float:
    """Student's t by its expansion around the normal quantile; off by less than 0.002 from 15 degrees of freedom on."""
    z = NormalDist().inv_cdf(p)
    terms = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96, (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def variance_within(sums: list[tuple[int, float]], squares: float) -> float | None:
    """Variance of values around the mean of their task, pooled; None without repeats.

    ``sums`` holds (how many, their sum) of each task, ``squares`` the sum of all squared values.
    """
    freedom = sum(n - 1 for n, _ in sums)
    if freedom < 1:
        return None
    within = squares - sum(total * total / n for n, total in sums)
    return within / freedom if within > 1e-12 * squares else 0.0


def mean(sums: list[tuple[int, float]], squares: float) -> dict | None:
    """The mean over all values, and how much it would move if the same tasks ran again."""
    n = sum(count for count, _ in sums)
    if not n:
        return None
    centre = sum(total for _, total in sums) / n
    variance = variance_within(sums, squares)
    if variance is None:  # no repeats: the differences between tasks count too, so this is too wide rather than too narrow
        variance = max(0.0, squares - n * centre * centre) / max(1, n - 1)
    return {"value": centre, "se": math.sqrt(variance / n), "n": n}


def intervals(sums: list[tuple[int, float]], squares: float) -> dict[str, dict] | None:
    """95 % intervals of the mean, each rollout counting once and each task counting once: for these tasks, and for others like them.

    An interval is None where the run cannot tell: ``same`` needs repeats, ``other`` 20 tasks.
    """
    n, tasks = sum(count for count, _ in sums), len(sums)
    if not n:
        return None
    variance = variance_within(sums, squares)
    by_rollout, by_task = sum(total for _, total in sums) / n, sum(total / count for count, total in sums) / tasks
    same = other = (None, None)
    if variance is not None:
        same = math.sqrt(variance / n), math.sqrt(variance * sum(1 / count for count, _ in sums)) / tasks
    if tasks >= ENOUGH_TASKS:
        spread = math.sqrt(tasks / (tasks - 1) * sum((total - count * by_rollout) ** 2 for count, total in sums)) / n
        other = spread, math.sqrt(sum((total / count - by_task) ** 2 for count, total in sums) / (tasks - 1) / tasks)
    z, t = t_quantile(0.975, max(1, n - tasks)), t_quantile(0.975, max(1, tasks - 1))
    around = lambda centre, error, factor: None if error is None else [centre - factor * error, centre + factor * error]  # noqa: E731
    return {
        name: {"value": centre, "same": around(centre, same[at], z), "other": around(centre, other[at], t), "n": count}
        for at, (name, centre, count) in enumerate((("per rollout", by_rollout, n), ("per task", by_task, tasks)))
    }


def bootstrap(differences: list[float], draws: int, seed: int) -> tuple[float, float] | None:
    """The 95 % interval of the mean of ``differences``, one a task, for other tasks; None for fewer than 20.

    Percentiles of the means of tasks drawn again, widened for the few tasks that they are (Hesterberg's expanded percentiles).
    """
    n = len(differences)
    if n < ENOUGH_TASKS:
        return None
    chance = random.Random(seed)
    drawn = sorted(sum(chance.choices(differences, k=n)) / n for _ in range(draws))
    tail = NormalDist().cdf(-math.sqrt(n / (n - 1)) * t_quantile(0.975, n - 1))
    last = max(0, math.ceil(tail * draws) - 1)
    return drawn[last], drawn[draws - 1 - last]
