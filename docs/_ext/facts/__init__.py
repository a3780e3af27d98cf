"""The ``gym`` domain: entries of the reference, whose facts come from the package and whose prose is ours.

``facts.json`` holds what ``python -m gym_facts`` read from the package. An author writes ``{gym:setting} rollout.limit`` with
the meaning as its body; the entry shows type, default, accepted values, flag and place as well. Roles of the same names
link to an entry from any page. What does not exist, has no prose, or is described twice is a build warning, and
``{gym:covers}`` makes a page answer for being complete.
"""

from __future__ import annotations

from pathlib import Path

from facts import finder
from facts.domain import GymDomain, ListEntries
from facts.known import Facts, anchor_of
from facts.writer import Rendered, write_rendered

__all__ = ["Facts", "anchor_of"]


def setup(app) -> dict:
    app.add_config_value("gym_facts", str(Path(__file__).parent.with_suffix(".json")), "env", str)
    app.add_config_value("gym_changes", str(Path(__file__).parent.with_name("changes.json")), "env", str)
    app.add_node(Rendered, html=(write_rendered, None))
    app.add_post_transform(ListEntries)
    app.add_domain(GymDomain)
    finder.connect(app)
    app.connect("env-before-read-docs", lambda app, env, docnames: Facts.of(env))  # once, before the processes that read pages part
    return {"parallel_read_safe": True, "parallel_write_safe": True, "env_version": 1}
