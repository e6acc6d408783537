"""What so many workers take, on jobs whose order can be worked out by hand."""

import pytest

from forgetting.book.makespan import Job, all_jobs, makespan

JOBS = {
    "long": Job("a", 6.0),
    "short": Job("a", 2.0),
    "other": Job("a", 4.0),
    "table": Job("b", 1.0, after=("short", "other")),
}


@pytest.mark.parametrize(("workers", "seconds"), [(1, 13.0), (2, 7.0), (3, 6.0), (9, 6.0)])
def test_the_longest_begins_and_a_table_waits_for_its_runs(workers, seconds):
    assert makespan(JOBS, workers) == seconds


def test_no_number_of_workers_is_faster_than_the_longest_job_or_than_all_work_divided():
    jobs = all_jobs()
    assert any(job.after for job in jobs.values())
    times = [makespan(jobs, workers) for workers in (1, 2, 10, 10_000)]
    assert times == sorted(times, reverse=True)
    work = sum(job.seconds for job in jobs.values())
    assert times[0] == pytest.approx(work)
    assert times[1] >= work / 2
    assert times[3] >= max(job.seconds for job in jobs.values())
