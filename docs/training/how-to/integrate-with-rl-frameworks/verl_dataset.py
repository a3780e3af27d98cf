"""verl's SFT dataset for rows whose messages and tools are JSON text. A message with "train": false is not in the loss.

Name it to verl's SFT trainer: data.custom_cls.path=verl_dataset.py data.custom_cls.name=GymSFTDataset
"""

from __future__ import annotations

import json

from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset


class GymSFTDataset(MultiTurnSFTDataset):
    def _read_files_and_process(self) -> None:
        super()._read_files_and_process()
        self.messages = [json.loads(messages) for messages in self.messages]
        self.tools = [json.loads(tools) or None for tools in self.tools]

    def _process_single_message(self, index: int, message: dict, *args: object, **more: object) -> tuple:
        """(ids, loss mask, attention mask, other inputs) of one message."""
        ids, loss, *rest = super()._process_single_message(index, message, *args, **more)
        return ids, loss * message.get("train", True), *rest

    def _build_messages(self, example: dict) -> list[dict]:
        return json.loads(example[self.messages_key])
