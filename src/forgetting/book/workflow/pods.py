"""Snakemake whose pods share the folder of the checkout: the plugin for Kubernetes, mended.

The plugin takes for granted that pods share no folder with this machine, and sets no limit of
time. A log that it fails to read ends all jobs, and a job goes lost whose state it fails to read.
"""

import os
import shlex
import sys
from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

import snakemake_executor_plugin_kubernetes as plugin
from kubernetes.client import ApiException, CoreV1Api
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

FAILURES = 60
"""Looks at jobs that may fail one after the other before all jobs are given up."""

ExecutorSettings = plugin.ExecutorSettings
common_settings = replace(
    plugin.common_settings,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    auto_deploy_default_storage_provider=False,
)


class Pods(CoreV1Api):
    """Pods, of which each has a log."""

    def read_namespaced_pod_log(self, name: str, namespace: str, **options: Any) -> str:
        """Return the log of a pod, or why there is none."""
        options.pop("previous", None)  # a pod that never restarts has no previous log
        try:
            return str(super().read_namespaced_pod_log(name, namespace, **options))
        except ApiException as error:
            return f"The log could not be read: {error}"


class Executor(plugin.Executor):
    """Executor of which a job stays under way until its end is known."""

    def __post_init__(self) -> None:
        self.ended: set[str] = set()
        self.failures = 0
        super().__post_init__()

    @property
    def kubeapi(self) -> Pods:
        """Interface to pods; the plugin sets another one, also whenever it logs in again."""
        return Pods()

    @kubeapi.setter
    def kubeapi(self, api: CoreV1Api) -> None:
        pass

    def format_job_exec(self, job: Any) -> str:
        """Return the command of a pod, which ends with the minutes of the job at the latest."""
        seconds = 60 * dict(job.resources)["runtime"]
        command = shlex.quote(super().format_job_exec(job))
        return f"cd {shlex.quote(os.getcwd())} && timeout -s KILL {seconds} sh -c {command}"

    def report_job_success(self, info: Any) -> None:
        """Note that a job has ended, and report it."""
        self.ended.add(info.external_jobid)
        super().report_job_success(info)

    def report_job_error(self, info: Any, **more: Any) -> None:
        """Note that a job has ended, and report it."""
        self.ended.add(info.external_jobid)
        super().report_job_error(info, **more)

    async def check_active_jobs(self, active_jobs: list[Any]) -> AsyncGenerator[Any, None]:
        """Yield the jobs whose end is not known, also because a request failed."""
        for info in active_jobs:
            try:
                async for _ in super().check_active_jobs([info]):
                    pass
                self.failures = 0
            except (WorkflowError, ApiException) as error:
                self.failures += 1
                if self.failures > FAILURES:
                    raise
                self.logger.error(f"{info.external_jobid}: {error}")
            if info.external_jobid not in self.ended:
                yield info


if __name__ == "__main__":
    registry = ExecutorPluginRegistry()
    registry.plugins["kubernetes"] = registry.load_plugin("kubernetes", sys.modules[__name__])
    from snakemake.cli import main

    main()
