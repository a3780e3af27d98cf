"""Draws docs/_static/card.png, the picture that messengers show of a link to the site. Run it again when the words change:

    .venv/bin/python tests/support/social_card.py
"""

from __future__ import annotations

from pathlib import Path

from browser import FLAGS, installed
from playwright.sync_api import sync_playwright

STATIC = Path(__file__).resolve().parents[2] / "docs" / "_static"
CARD = f"""
<style>
  body {{ margin: 0; width: 1200px; height: 630px; box-sizing: border-box; padding: 96px; background: #101411; color: #e8eee8;
         font: 34px/1.5 system-ui, "DejaVu Sans", sans-serif; border-bottom: 14px solid #92d42c; }}
  svg {{ width: 88px; height: 88px; }}
  h1 {{ margin: 36px 0 20px; font-size: 76px; line-height: 1.1; }}
  p {{ margin: 0; color: #b9c4bb; }}
</style>
{(STATIC / "logo.svg").read_text(encoding="utf-8")}
<h1>NeMo Gym Training</h1>
<p>How-to guides and reference: collect rollouts, judge them, turn them into training data.
Each command run against the real package.</p>
"""

with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=installed(), args=FLAGS)
    tab = browser.new_page(viewport={"width": 1200, "height": 630})
    tab.set_content(CARD)
    tab.screenshot(path=STATIC / "card.png")
    browser.close()
