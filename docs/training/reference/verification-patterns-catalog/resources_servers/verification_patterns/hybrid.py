"""Hybrid: rules decide what they can, and only the rest costs a judge call."""

from binary import final_answer, matches, normal
from judge import JudgeRequest, JudgeResponse, JudgeServer


class HybridResponse(JudgeResponse):
    decided_by: str


def by_rule(answer: str, expected: str) -> float | None:
    """1.0 or 0.0 where a rule is sure, None where it is not."""
    if matches(answer, [expected]):
        return 1.0
    # Two plain numbers that differ need no judge.
    if not answer or is_number(answer) and is_number(expected):
        return 0.0
    return None


def is_number(text: str) -> bool:
    return normal(text).removeprefix("-").replace(".", "", 1).isdigit()


class HybridServer(JudgeServer):
    async def verify(self, body: JudgeRequest) -> HybridResponse:
        answer = final_answer(body.response.output_text)
        reward = by_rule(answer, body.expected_answer)
        if reward is None:
            judged = await super().verify(body)
            return HybridResponse(**judged.model_dump(), decided_by="judge")
        nothing = {"judge_calls": 0, "unparsed_votes": 0, "judge_said": []}
        return HybridResponse(
            **body.model_dump(), **nothing, reward=reward, decided_by="rule"
        )


if __name__ == "__main__":
    HybridServer.run_webserver()
