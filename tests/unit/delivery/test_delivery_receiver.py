"""The receiving server on a socket that is handed over: between choosing a port and listening nobody can take it."""

import smtplib
import subprocess
import sys
from pathlib import Path

import pytest

from mailwright.delivery.receiver import read_ledger
from mailwright.runtime.supervisor import listen

pytest.importorskip("aiosmtpd", reason="the receiving server is not installed (group demo)")


def test_it_receives_on_a_socket_that_is_handed_over(tmp_path: Path) -> None:
    with listen("127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        fd = listener.fileno()
        command = [sys.executable, "-m", "mailwright.delivery.receiver", "--folder", str(tmp_path), "--fd", str(fd)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=(fd,)) as process:
            try:
                assert int(process.stdout.readline()) == port
                with smtplib.SMTP(host, port, timeout=120) as mail:
                    mail.sendmail("a@maple.example", ["b@maple.example"], "Message-ID: <m1@maple.example>\n\nHello")
            finally:
                process.terminate()
    assert [one.message_id for one in read_ledger(tmp_path)] == ["<m1@maple.example>"]
