"""How a job's value comes back to the launcher: a Hydra callback in the job's own process."""

import json
import os
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from zerosum.files import save_whole

VALUE = ".returned.json"


class Returned(Callback):
    """Writes the task function's value into the job's folder; of several processes the first writes."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Write the value, unless the job failed or returned None."""
        first = os.environ.get("LOCAL_RANK", "0") == "0"
        if first and job_return.status is JobStatus.COMPLETED and job_return.return_value is not None:
            text = json.dumps(job_return.return_value)
            save_whole(Path(config.hydra.runtime.output_dir) / VALUE, lambda partial: partial.write_text(text))
