"""Known-good and known-bad answers of short_answer. Copy it to resources_servers/short_answer/tests/."""

import asyncio

import pytest
from nemo_gym import NeMoGymResponse

from ..app import ShortAnswerRequest, offline


def verify(answer: str, expected: object = "Paris", cut_off: bool = False, aliases: tuple[str, ...] = (), **settings: object):
    """The verdict on one answer."""
    content = [{"type": "output_text", "text": answer, "annotations": []}]
    response = NeMoGymResponse.model_validate({
        "id": "r", "created_at": 0, "model": "m", "object": "response", "parallel_tool_calls": False,
        "tool_choice": "none", "tools": [], "incomplete_details": {"reason": "max_output_tokens"} if cut_off else None,
        "output": [{"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": content}],
    })
    request = ShortAnswerRequest(
        responses_create_params={"input": "Capital of France?"}, response=response, expected_answer=expected,
        aliases=list(aliases),
    )
    return asyncio.run(offline(**settings).verify(request))


@pytest.mark.parametrize(
    ("answer", "reward"),
    [
        ("Paris", 1.0),
        ("  paris. ", 1.0),
        ("**Paris**", 1.0),
        ("The capital is Paris.", 0.6),  # correct, but not alone: partial credit
        ("Lyon", 0.0),
        ("Parisian", 0.0),  # contains the letters, not the word
        ("", 0.0),
        ("I do not know", 0.0),
    ],
)
def test_known_answers(answer: str, reward: float) -> None:
    assert verify(answer).reward == pytest.approx(reward)


def test_an_alias_is_as_good() -> None:
    assert verify("USA", "United States", aliases=("USA", "US")).reward == 1.0


def test_quality_counts_only_for_a_right_answer() -> None:
    long = "Paris is the capital of France and " + "has much to see and " * 10
    assert verify("Paris", cut_off=True).reward == pytest.approx(0.9)
    assert verify(long).reward < verify("It is Paris").reward
    assert verify("Lyon").concise == 1.0 and verify("Lyon").reward == 0.0


def test_listing_every_candidate_earns_less_than_an_answer() -> None:
    """Reward hacking: name all capitals, and one of them is right."""
    every = ", ".join(["London", "Rome", "Madrid", "Paris", "Berlin", "Oslo", "Vienna", "Prague"] * 4)
    assert verify(every).reward < 0.6 < verify("Paris").reward


def test_weights_scale_and_clip_come_from_the_configuration() -> None:
    assert verify("The capital is Paris.", partial_credit=0.0).reward == 0.0
    assert verify("Paris", scale=2.0, offset=-1.0, clip=(-1.0, 1.0)).reward == 1.0
    assert verify("Lyon", scale=2.0, offset=-1.0, clip=(-1.0, 1.0)).reward == -1.0
    assert verify("Paris", scale=10.0).reward == 1.0


def test_a_broken_task_is_masked_not_scored() -> None:
    for expected in ("", None, [], " . "):
        broken = verify("Paris", expected=expected)
        assert broken.mask_sample and broken.instance_config["mask_sample"] and broken.failure_kind == "verifier_error" and broken.reward == 0.0
    assert verify("42", expected=42).reward == 1.0
    assert not verify("Lyon").mask_sample and verify("Lyon").failure_kind is None
