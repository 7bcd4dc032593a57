"""Messages: one printable line each, whatever the names in them."""

import logging

from zerosum.errors import UserError, make_record_printable, one_line, printable

HOSTILE = "\x1b]0;owned\x07\nDone: FAKE"


def rendered(name: str, message: str, *arguments: object) -> str:
    record = logging.LogRecord(name, logging.INFO, __file__, 1, message, arguments, None)
    assert make_record_printable(record)
    return logging.Formatter("%(message)s").format(record)


def test_user_errors_escape_control_sequences_and_line_ends_and_leave_text_alone():
    assert str(UserError(HOSTILE)) == r"\x1b]0;owned\x07\nDone: FAKE"
    assert printable("café · 10 µm \\n") == "café · 10 µm \\n"
    assert printable("\udcff\u202e").isascii()


def test_a_log_message_cannot_steer_the_terminal_or_forge_a_line():
    assert rendered("zerosum", "%s: %d images", HOSTILE, 3) == r"\x1b]0;owned\x07\nDone: FAKE: 3 images"
    assert rendered("zerosum", f"{HOSTILE} 100%") == r"\x1b]0;owned\x07\nDone: FAKE 100%"


def test_a_library_may_log_several_lines_but_no_control_sequence():
    assert rendered("lightning.pytorch", "a table\nof \x1b[31m%s", "rows") == "a table\nof \\x1b[31mrows"


def test_one_line_shortens_long_messages_and_names_the_type_of_empty_ones():
    assert one_line(ValueError("a\n  b")) == "a b"
    assert one_line(ValueError()) == "ValueError"
    assert len(one_line(ValueError("x" * 1000))) == 200
