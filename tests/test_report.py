"""What does a reader find in the page of a run, where, and in which order?"""

from __future__ import annotations

import msgspec
import pytest
from made_runs import in_order, observation, record, run

from harness.evidence import Outcome, Run, Sabotage
from harness.report import render_run

VERDICTS: tuple[Outcome, ...] = ("failed", "error", "skipped", "passed")


def test_summary_names_host_tools_isolators_and_command() -> None:
    """The reader learns first where and with what the run was made."""
    page = render_run(run(record()))

    for words in (
        "6.1.0-test",
        "Test Linux 12",
        "procps 4.0.2",
        "go1.27.3",
        "2026-11-23 21:40:05 UTC",
        "1 min 02 s",
    ):
        assert words in page
    assert "pytest experiments/ -k &#39;a b&#39;" in page


def test_headline_counts_every_verdict() -> None:
    """The first words tell how the run went."""
    page = render_run(run(*(record(outcome, outcome) for outcome in VERDICTS), record("again", "passed")))

    assert "<h1>1 failed, 1 error among 5 experiments</h1>" in page
    assert "<b>2</b>" in page


def test_failures_and_errors_come_before_what_passed() -> None:
    """What needs the reader stands above the chapters, failures first, with message and details."""
    page = render_run(
        run(
            record("fine", "passed", "uts-1"),
            record("broke", "error", "uts-1"),
            record("refuted", "failed", "uts-1"),
        )
    )

    assert in_order(
        page, 'id="troubles"', "Why refuted", "Trace of refuted", "Why broke", "Trace of broke", "fine"
    )


def test_worst_evidence_of_a_claim_comes_first() -> None:
    """Within a claim the order is failed, error, skipped, passed."""
    made = [record(outcome, outcome, "uts-1") for outcome in reversed(VERDICTS)]

    evidence = render_run(run(*made)).split('<div class="records">')[1]

    assert in_order(evidence, *(f'class="record {outcome}"' for outcome in VERDICTS))


def test_passed_evidence_is_closed_and_failed_evidence_open() -> None:
    """A reader of many records sees the details of those alone that went wrong."""
    page = render_run(run(record("fine", "passed", "uts-1"), record("refuted", "failed", "uts-1")))

    assert '<details class="record passed">' in page
    assert '<details class="record failed" open>' in page


def test_claims_are_in_the_documents_order() -> None:
    """Chapters come as in the document, claims by number."""
    page = render_run(run(claims=("mnt-1", "pid-1", "ipc-1", "uts-10", "uts-9")))

    chapters = page[page.index('class="chapter"') :]
    assert in_order(chapters, "UTS", "uts-9", "uts-10", "IPC", "ipc-1", "PID", "pid-1", "Mount", "mnt-1")


def test_document_stands_beside_what_was_seen() -> None:
    """The document's transcript and the commands that repeat it are held against each other."""
    seen = [
        observation("inside", "touch /x", ""),
        observation("inside", "hostname", "seen-inside\n"),
        observation("outside", "cat /x", "unrelated\n"),
    ]
    made = msgspec.structs.replace(record("t", "passed", "uts-1"), observations=seen)

    beside = render_run(run(made)).split('<div class="beside">')[1].split('<div class="records">')[0]

    assert in_order(beside, "The document saw", "# hostname\ntest", "Seen here", "seen-inside")
    assert "unrelated" not in beside


def test_isolators_with_the_same_result_share_one_block() -> None:
    """Three isolators that agree are read once; one that differs stands apart."""
    same = [record("t", "passed", "uts-1", isolator=name) for name in ("go", "python")]

    beside = render_run(run(*same, record("t", "failed", "uts-1", isolator="unshare"))).split(
        'class="beside"'
    )[1]

    assert beside.count('class="result passed"') == 1
    assert in_order(beside, 'class="result failed"', ">unshare</a>", ">go</a>, ", ">python</a>")


def test_matrix_has_a_column_per_isolator_and_links_to_the_evidence() -> None:
    """Each cell says its verdict in a word and leads to the record."""
    page = render_run(run(record("a", "passed", "uts-1"), record("b", "failed", "uts-1", isolator="python")))

    matrix = page.split('<table class="matrix"')[1].split("</table>")[0]
    assert in_order(matrix, '<th scope="col">go</th>', '<th scope="col">python</th>')
    assert '<td class="failed"><a href="#e2"><span aria-hidden="true">✗</span> failed</a></td>' in matrix
    assert 'id="e2"' in page


def test_several_hosts_are_told_apart() -> None:
    """With more than one host every verdict names its host."""
    guest = msgspec.structs.replace(record("t", "passed", "uts-1"), host="guest-5.10")

    page = render_run(run(record("t", "passed", "uts-1"), guest))

    assert "go on stage" in page
    assert "go on guest-5.10" in page


def test_record_of_two_claims_is_told_once_and_linked_from_the_other() -> None:
    """Evidence is never printed twice, and never missing under a claim that it concerns."""
    page = render_run(run(record("both", "passed", "uts-1", "uts-2"), claims=("uts-1", "uts-2")))

    assert page.count('id="e1"') == 1
    assert in_order(
        page.split('class="chapter"')[1], 'id="c1"', 'id="e1"', 'id="c2"', "Told under another claim"
    )


def test_both_sides_are_in_one_timeline() -> None:
    """Inside and outside are in the order of time, with command, exit status and standard error."""
    seen = [
        observation("outside", "first", "one\n"),
        observation("inside", "second", "two\n"),
        observation("outside", "third", "", status=3, stderr="complaint\n"),
    ]
    page = render_run(run(msgspec.structs.replace(record(), observations=seen)))

    timeline = page.split('<ol class="timeline">')[1].split("</ol>")[0]
    assert in_order(
        timeline, '<li class="outside">', "first", '<li class="inside">', "second", "exit 3", "third"
    )
    assert in_order(timeline, "stderr</i>", "complaint")


def test_skipped_experiment_names_its_reason() -> None:
    """A reader sees what to provide, once for all experiments that lack the same."""
    page = render_run(
        run(record("t", "skipped", "uts-1"), record("t", "skipped", "uts-1", isolator="python"))
    )

    assert page.split('id="skipped"')[1].split("</section>")[0].count("<dt>Why t</dt>") == 1


def test_experiments_without_a_claim_come_last() -> None:
    """What the document doesn't claim has a chapter of its own, as has a claim unknown to the run."""
    page = render_run(
        run(record("extra"), record("strange", "passed", "net-1"), record("fine", "passed", "uts-1"))
    )

    assert in_order(page.split('class="chapter"')[-1], "More", "extra", "strange", "net-1")


@pytest.mark.parametrize(("finished", "banner"), [(None, True), ("2026-11-23T21:41:07Z", False)])
def test_unfinished_run_says_so(finished: str | None, banner: bool) -> None:
    """A session that died is never taken for a complete one."""
    page = render_run(run(record(), record(), finished=finished))

    assert ("This session ended before it was finished;" in page) is banner
    assert ("2 experiments are here" in page) is banner


def test_empty_run_is_a_page() -> None:
    """A session that ended before its first experiment has a report."""
    page = render_run(Run(schema=1, id="x", nslab="0", command=[], started="never"))

    assert "No experiment was run" in page
    assert page.rstrip().endswith("</html>")


def test_page_needs_nothing_else() -> None:
    """The page forbids scripts and fetches nothing."""
    page = render_run(run(record()))

    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page
    assert "<script" not in page
    assert "src=" not in page
    assert "url(" not in page


def test_same_run_gives_the_same_page() -> None:
    """Rendering again changes nothing."""
    made = run(*(record(outcome, outcome, "uts-1") for outcome in VERDICTS))

    assert render_run(made) == render_run(msgspec.json.decode(msgspec.json.encode(made), type=Run))


def test_ten_thousand_records_are_one_bounded_page() -> None:
    """A long run stays one page: every record there, none open, and few bytes for each."""
    page = render_run(run(*(record(f"t{i}", "passed", "uts-1") for i in range(10_000))))

    assert page.count('<details class="record passed">') == 10_000
    assert len(page) < 10_000 * 1_000


def test_below_a_claim_stands_what_refutes_it() -> None:
    """A reader sees under each claim which sabotages refute it, and no others."""
    sabotages = [
        Sabotage(name="no-newuts", does="NEWUTS is dropped.", refutes=["uts-1"]),
        Sabotage(name="no-newipc", does="NEWIPC is dropped.", refutes=["ipc-1"]),
    ]
    page = render_run(msgspec.structs.replace(run(record("a", "passed", "uts-1")), sabotages=sabotages))

    assert "1 sabotage refutes it" in page
    assert "NEWUTS is dropped." in page
    assert "NEWIPC is dropped." not in page
