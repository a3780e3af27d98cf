"""Blocks of ``console``: a line after "> " goes on with the command, also where an open quote and no backslash asks for it.

Pygments takes such a line for output, which the copy button leaves out.
"""

from pygments.lexers.shell import BashSessionLexer


class ConsoleLexer(BashSessionLexer):
    _bare_continuation = True


def setup(app) -> dict:
    app.add_lexer("console", ConsoleLexer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
