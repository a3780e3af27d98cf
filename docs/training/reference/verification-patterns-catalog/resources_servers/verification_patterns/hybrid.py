"""Hybrid: rules decide what they can, and only the rest costs a judge call."""

from binary import final_answer, matches, normal
from judge import JudgeRequest, JudgeResponse, JudgeServer


class HybridResponse(JudgeResponse):
    decided_by: str


def by_rule(answer: str, expected: str) -> float | None:
    """1.0 or 0.0 where a rule is sure, None where it is not."""
    if matches(answer, [expected]):
        return 1.0
    numbers = [normal(text).removeprefix("-").replace(".", "", 1).isdigit() for text in (answer, expected)]
    if not answer or all(numbers):  # two plain numbers that differ need no judge
        return 0.0
    return None


class HybridServer(JudgeServer):
    async def verify(self, body: JudgeRequest) -> HybridResponse:
        reward = by_rule(final_answer(body.response.output_text), body.expected_answer)
        if reward is None:
            return HybridResponse(**(await super().verify(body)).model_dump(), decided_by="judge")
        nothing = {"judge_calls": 0, "unparsed_votes": 0, "judge_said": []}
        return HybridResponse(**body.model_dump(), **nothing, reward=reward, decided_by="rule")


if __name__ == "__main__":
    HybridServer.run_webserver()
