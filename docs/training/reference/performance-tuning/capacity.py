"""Predict rollouts per minute, the knee, and the hours of a run, before it starts.

    python capacity.py --call-seconds 2 --calls 3 --slots 256 --concurrency 128 --rollouts 100000
    python capacity.py --tokens 500 --tokens-per-second 40 --slots 64 ...     # a call's seconds from its tokens

Two bounds in closed form. A rollout alone takes R0 = calls x (call seconds + tool seconds) + judge calls x judge seconds + Gym's own
seconds. Each stage i serves at most C_i rollouts per second. With N rollouts in flight the rate is at most min(N / R0, C_1, C_2, ...),
and the knee is N* = R0 x min(C_i). A GPU answers more slowly the more it has in flight: give --busy-seconds, a call's seconds with --busy-at calls in
flight, and a call's seconds grow in a straight line from one to the other. The defaults of --gym-seconds, --gym-cpu and --busiest-cpu are those of servers.json, rounded up, for one
model call per rollout: measure yours with measure_servers.py, or multiply them by the calls. Exit code: 0 done, 2 bad input.
"""

import argparse
import math
import sys
from dataclasses import dataclass, fields


@dataclass
class Workload:
    """What a rollout does, and what serves it. Seconds; 0 as a limit means none."""

    concurrency: int = 64
    calls: float = 1  # model calls per rollout
    call_seconds: float = 1.0  # of one call on an endpoint that is not full
    busy_seconds: float = 0  # of one call with busy_at calls in flight; 0: it takes call_seconds whatever else runs
    busy_at: int = 0
    slots: int = 0  # calls that the endpoint serves at a time without slowing down
    endpoint_tokens: float = 0  # output tokens per second that the endpoint makes in all
    tokens: float = 0  # output tokens per call
    tool_seconds: float = 0  # per call
    judge_calls: float = 0
    judge_seconds: float = 0
    judge_limit: int = 64
    gym_seconds: float = 0.013  # what Gym adds to a rollout that runs alone
    gym_cpu: float = 0.011  # CPU seconds per rollout, all processes
    busiest_cpu: float = 0.0045  # CPU seconds per rollout of the busiest process, which has one core at most
    verify_cpu: float = 0  # CPU seconds of verify() beyond that
    cores: int = 2

    def alone(self) -> float:
        """Seconds of a rollout that has everything to itself."""
        return self.calls * (self.call_seconds + self.tool_seconds) + self.judge_calls * self.judge_seconds + self.gym_seconds + self.verify_cpu

    def growth(self) -> float:
        """Seconds that each further rollout in flight adds to a rollout."""
        return self.calls * (self.busy_seconds - self.call_seconds) / (self.busy_at - 1) if self.busy_seconds and self.busy_at > 1 else 0.0

    def seconds(self) -> float:
        """Of a rollout, with all that are in flight and no queue."""
        return self.alone() + self.growth() * (self.concurrency - 1)

    def capacities(self) -> dict[str, float]:
        """Rollouts per second that each stage can serve."""
        found = {
            "Gym: all processes on these cores": self.cores / (self.gym_cpu + self.verify_cpu),
            "Gym: its busiest process": 1 / (self.busiest_cpu + self.verify_cpu),
        }
        if self.growth() > 0:
            found["endpoint: seconds grow with the load"] = 1 / self.growth()
        if self.slots:
            found["endpoint: slots"] = self.slots / (self.calls * self.call_seconds)
        if self.endpoint_tokens and self.tokens:
            found["endpoint: tokens per second"] = self.endpoint_tokens / (self.calls * self.tokens)
        if self.judge_calls * self.judge_seconds and self.judge_limit:
            found["judge: its limit of calls"] = self.judge_limit / (self.judge_calls * self.judge_seconds)
        return found

    def rate(self) -> float:
        """Rollouts per second: the lower of what is asked for and what the scarcest stage serves."""
        return min(self.concurrency / self.seconds(), *self.capacities().values())

    def knee(self) -> int:
        """The smallest concurrency that keeps the scarcest stage busy."""
        least = min(value for name, value in self.capacities().items() if "grow" not in name)
        # n / (alone + growth x (n - 1)) = least; where seconds grow too fast for that, the last level that was measured.
        room = 1 - self.growth() * least
        return max(1, math.ceil((self.alone() - self.growth()) * least / room - 1e-9)) if room > 0 else self.busy_at


def worksheet(work: Workload, rollouts: int) -> str:
    """Every line of the calculation."""
    stages = sorted(work.capacities().items(), key=lambda item: item[1])
    rate = work.rate()
    binds = "concurrency" if work.concurrency / work.seconds() <= stages[0][1] else stages[0][0]
    lines = [f"one rollout alone                    {work.alone():10.2f} s"]
    lines += [f"{name:36} {60 * value:10.0f} rollouts/min at most" for name, value in stages]
    lines += [
        f"{f'{work.concurrency} in flight would give':36} {60 * work.concurrency / work.seconds():10.0f} rollouts/min",
        f"prediction                           {60 * rate:10.0f} rollouts/min, {work.concurrency / rate:.2f} s per rollout",
        f"bound by                             {binds}",
        f"knee                                 --concurrency {work.knee()}",
        f"{f'{rollouts} rollouts':36} {rollouts / rate / 3600:10.2f} hours",
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    helps = {
        "concurrency": "rollouts in flight", "calls": "model calls per rollout", "call_seconds": "seconds per model call, endpoint not full",
        "busy_seconds": "seconds per call with --busy-at calls in flight (0: the same as alone)", "busy_at": "calls in flight that --busy-seconds was measured with",
        "slots": "calls that the endpoint serves at a time (0: no limit)", "endpoint_tokens": "output tokens per second of the whole endpoint",
        "tokens": "output tokens per call", "tool_seconds": "seconds of tools per model call", "judge_calls": "judge calls per rollout",
        "judge_seconds": "seconds per judge call", "judge_limit": "judge calls at a time", "gym_seconds": "what Gym adds to a rollout alone",
        "gym_cpu": "CPU seconds of Gym per rollout", "busiest_cpu": "of these, those of its busiest process",
        "verify_cpu": "CPU seconds of verify()", "cores": "cores that Gym may use",
    }
    for field in fields(Workload):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=field.type, default=field.default, metavar="N" if field.type is int else "X",
                            help=f"{helps[field.name]} (default: %(default)s)")
    parser.add_argument("--tokens-per-second", type=float, metavar="X", help="of one stream: sets the call seconds to tokens / X")
    parser.add_argument("--rollouts", type=int, default=10_000, metavar="N", help="rollouts of the run (default: %(default)s)")
    args = vars(parser.parse_args())
    rollouts, stream = args.pop("rollouts"), args.pop("tokens_per_second")
    if stream is not None:
        if stream <= 0 or not args["tokens"]:
            parser.error("--tokens-per-second must be above 0, and needs --tokens")
        args["call_seconds"] = args["tokens"] / stream
    if bool(args["busy_seconds"]) != (args["busy_at"] > 1) or 0 < args["busy_seconds"] < args["call_seconds"]:
        parser.error("--busy-seconds needs --busy-at above 1, and must be no less than a call's seconds alone")
    if min(args.values()) < 0 or min(args["concurrency"], args["cores"], args["gym_seconds"], args["gym_cpu"], args["busiest_cpu"], rollouts) <= 0:
        parser.error("no value may be negative; --concurrency, --cores, --rollouts and the --gym and --busiest values must be above 0")
    print(worksheet(Workload(**args), rollouts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
