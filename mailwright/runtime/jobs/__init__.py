"""Jobs: what runs by schedule beside the live path. `registry` lists them, `worker` runs what is due."""

from mailwright.runtime.jobs.job import Job, JobContext

__all__ = ["Job", "JobContext"]
