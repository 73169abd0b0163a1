"""Files that a visitor uploads: looked at, never stored.

All text in what these functions return is a stranger's: pages escape it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd
import pyarrow as pa

from collector.dataset.untrusted_run import MAX_BYTES, read_untrusted_run
from collector.errors import CatalogueError, DatasetError
from estimator.catalogue.csv_files import check_size, shown
from estimator.catalogue.importers import import_catalogue
from estimator.catalogue.instances import UNDATED
from estimator.catalogue.local import Catalogue

#: The limit that .streamlit/config.toml sets for any upload is the larger of the two.
MAX_RUN_BYTES = MAX_BYTES
MAX_CATALOGUE_BYTES = 8 * 2**20
MAX_INSTANCES = 5_000  # a table of their costs takes 10 MiB


@dataclass(frozen=True)
class UploadedRun:
    """One run: its file's name, the machine's fingerprint, the run's summary, its rows.

    ``table`` has exactly the columns of ``collector.schema.SCHEMA``.
    """

    name: str
    machine: dict[str, Any]
    run: dict[str, Any]
    table: pa.Table

    def frame(self) -> pd.DataFrame:
        """The rows; ``params`` and ``library_versions`` hold one mapping per row."""
        frame: pd.DataFrame = self.table.to_pandas(maps_as_pydicts="lossy")
        return frame


def read_uploaded_run(data: bytes, name: str) -> UploadedRun:
    """The run in an uploaded Parquet file; nothing of it is written anywhere.

    Raises DatasetError, one line that begins with the file's name.
    """
    title = shown(name, 80)
    try:
        found = read_untrusted_run(data)
    except DatasetError as error:
        raise DatasetError(f"{title}: {error}") from error
    return UploadedRun(title, found.machine, found.run, found.table)


def read_uploaded_catalogue(
    data: bytes, name: str, provider: str = "", as_of: str = UNDATED, source: str = ""
) -> Catalogue:
    """The instances of an uploaded CSV file, and each row that was refused with its reason.

    A file of SkyPilot or gpuhunt needs ``provider``; ``source`` is the file's name where it is
    not given. Raises CatalogueError, one line, for a file that is no catalogue.
    """
    title = shown(name, 80)
    check_size(data, title, MAX_CATALOGUE_BYTES)
    catalogue = import_catalogue(data, title, provider, as_of, source or f"uploaded: {title}")
    if len(catalogue.instances) > MAX_INSTANCES:
        raise CatalogueError(
            f"{title}: {len(catalogue.instances):,} instances; the page takes {MAX_INSTANCES:,}. "
            "Keep the regions and families that matter"
        )
    return catalogue
