"""Messages: one printable line each, whatever the names in them."""

import logging

import pytest
import torch

from zerosum.commands.messages import errors_as_sentences
from zerosum.errors import UserError, check_has, make_record_printable, one_line, printable

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


def test_memory_that_cannot_be_had_is_a_sentence_and_other_errors_of_torch_stay(capsys):
    with pytest.raises(SystemExit) as ended, errors_as_sentences():
        torch.empty(10**16)
    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("error: there is not enough memory: choose a smaller training.batch_size")
    with pytest.raises(RuntimeError, match="shape"), errors_as_sentences():
        torch.zeros(3).view(2)


def test_a_missing_part_of_a_contract_is_named_without_evaluating_properties():
    class Lazy:
        @property
        def read(self) -> None:
            pytest.fail("read")

    check_has(Lazy(), "dataset", "read")
    with pytest.raises(UserError, match=r"dataset: Lazy has no `draw`: docs/extending\.md"):
        check_has(Lazy(), "dataset", "read", "draw")
