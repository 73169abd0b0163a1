"""From a job's operations to cells, and from their times to the job's."""
