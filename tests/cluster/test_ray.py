"""Ray with two raylets on this machine, as two machines would have, each with a CPU for an actor and one for reading."""

import contextlib
import os
import socket
import sys
import time

import pyarrow.parquet
import pytest
from conftest import predict_error
from jobs import Job, ancestor, kill, working_program
from predictions import assert_same
from processes import has_argument, is_program, programs, wait_until

ray = pytest.importorskip("ray", reason="Ray is missing")

import midashi  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402
from ray.exceptions import RayError  # noqa: E402
from ray.job_submission import JobSubmissionClient  # noqa: E402

#: Bytes of a raylet's store of blocks.
STORE = 150_000_000


@pytest.fixture(scope="module")
def cluster():
    """The two raylets, by the address that takes jobs; this process is a driver, too."""
    dashboard = {"include_dashboard": True, "dashboard_port": free_port()}
    cluster = Cluster(initialize_head=True, head_node_args=raylet() | dashboard)
    try:
        cluster.add_node(**raylet())
        context = ray.init(address=cluster.address, log_to_driver=False)
        address = f"http://{context.dashboard_url}"
        wait_until(lambda: takes_jobs(address), "a raylet that takes jobs")
        yield address
    finally:
        ray.shutdown()
        cluster.shutdown()


def raylet() -> dict[str, int]:
    """A machine's settings. Several on one machine cannot have the usual port."""
    return {"num_cpus": 2, "object_store_memory": STORE, "dashboard_agent_listen_port": free_port()}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def takes_jobs(address: str) -> bool:
    """Whether the head's agent has started, which is after its address answers."""
    try:
        JobSubmissionClient(address).submit_job(entrypoint="true")
    except RuntimeError:
        time.sleep(0.5)
        return False
    return True


@pytest.fixture
def submit(cluster, archive, many, tmp_path):
    """Submits the recipe for all titles; the output is in `tmp_path / "predicted"`."""
    jobs = []

    def submit(actors: int = 2) -> Job:
        # The actors of the test before live for some seconds more, and are not those to kill.
        wait_until(lambda: not programs(os.getpid()), "an end of earlier programs")
        command = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--working-dir", archive]
        recipe = ["classify_on_ray.py", many, tmp_path / "predicted", "--text-column", "title", "--all"]
        command += ["--address", cluster, "--", sys.executable]
        jobs.append(Job([*command, *recipe, "--actors", actors], tmp_path, tmp_path / "log"))
        return jobs[-1]

    yield submit
    for job in jobs:
        job.process.kill()
    # A job goes on without the program that submitted it, and would keep its actors' CPUs from the next test.
    client = JobSubmissionClient(cluster)
    wait_until(lambda: not stop_running(client), "an end of the test's jobs")


def stop_running(client: JobSubmissionClient) -> list[str]:
    """Asks the jobs that still run to stop, and returns their ids."""
    jobs = [job for job in client.list_jobs() if job.submission_id and not job.status.is_terminal()]
    for job in jobs:
        # An agent that is busy is asked again.
        with contextlib.suppress(RuntimeError):
            client.stop_job(job.submission_id)
    if jobs:
        time.sleep(0.5)
    return [job.submission_id for job in jobs]


def test_ray_classifies_every_row_once(submit, expected, tmp_path):
    submit().finish()
    assert_same(pyarrow.parquet.read_table(tmp_path / "predicted"), expected)


def test_the_recipe_refuses_actors_that_leave_no_cpu_for_reading(submit):
    job = submit(actors=4)
    assert job.process.wait(timeout=600) != 0
    assert "must leave a CPU for reading; the cluster has 4" in job.log.read_text()


def test_ray_keeps_the_order_of_rows_when_asked(cluster, bundle, few, expected_few):
    options = ray.data.DataContext.get_current().execution_options
    options.preserve_order = True
    try:
        rows = midashi.for_ray(ray.data.read_parquet(few), bundle / "model", concurrency=2, all=True)
        ids = [row["id"] for row in rows.select_columns("id").iter_rows()]
    finally:
        options.preserve_order = False
    assert ids == expected_few["id"].to_pylist()


def test_ray_starts_a_killed_actor_again(submit, expected, tmp_path):
    job = submit()
    program = working_program(os.getpid())
    actor = ancestor(program, os.getpid(), has_argument("ray::"))
    of_the_actor = programs(actor)
    kill(actor)
    assert job.is_running()

    job.finish()
    assert_same(pyarrow.parquet.read_table(tmp_path / "predicted"), expected)
    wait_until(lambda: not any(map(is_program, of_the_actor)), "the killed actor's midashi-predict ends")


def test_ray_repeats_the_batch_of_a_killed_program(submit, expected, tmp_path):
    job = submit()
    kill(working_program(os.getpid()))
    assert job.is_running()

    job.finish()
    assert_same(pyarrow.parquet.read_table(tmp_path / "predicted"), expected)


def test_ray_shows_the_message_about_a_wrong_column(cluster, bundle, few):
    with pytest.raises(RayError) as error:
        midashi.for_ray(ray.data.read_parquet(few), bundle / "model", text_column="headline").materialize()
    assert predict_error(bundle, few, "--text-column", "headline") in str(error.value)


def test_ray_shows_the_message_about_a_corrupt_model(cluster, few, corrupt_bundle):
    with pytest.raises(RayError) as error:
        midashi.for_ray(ray.data.read_parquet(few), corrupt_bundle / "model").materialize()
    assert predict_error(corrupt_bundle, few) in str(error.value)


def test_ray_classifies_a_text_of_ten_megabytes(cluster, bundle, long_text, expected_long, tmp_path):
    rows = midashi.for_ray(ray.data.read_parquet(long_text), bundle / "model", all=True)
    rows.write_parquet(tmp_path / "predicted")
    assert_same(pyarrow.parquet.read_table(tmp_path / "predicted"), expected_long)
