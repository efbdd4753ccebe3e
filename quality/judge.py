"""Great Expectations as the judge, and the only place that knows it.

It is imported inside the functions: its import takes seconds, and only checking pays for it. Each
judgement has a context of its own, in memory; nothing is kept between two of them but the pages
that are written when a folder is given.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from quality.demands import Demand, Evidence
from quality.promise import Severity

SITE: Final = "contracts"

_GRAVITY: Final[Mapping[Severity, str]] = {"error": "critical", "warning": "warning"}

# A context is made current for the whole process: one judgement at a time.
_ONE_AT_A_TIME: Final = threading.Lock()


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a demand is met. `unexpected` counts the values that are not as demanded."""

    met: bool
    unexpected: int
    problem: str | None = None


def judge(evidence: Sequence[Evidence], *, now: datetime, pages: Path | None) -> dict[str, Verdict]:
    """Return the verdict on each demand by its key; write the pages when a folder is given.

    A demand that could not be judged is not met: its verdict says what the problem was.
    """
    with _ONE_AT_A_TIME:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"
        import great_expectations as gx  # noqa: PLC0415  seconds: only what checks pays for it
        from great_expectations.core.run_identifier import RunIdentifier  # noqa: PLC0415

        context = _open_context(gx, pages)
        source = context.data_sources.add_pandas("gold")
        run = RunIdentifier(run_name="gate", run_time=now)
        verdicts: dict[str, Verdict] = {}
        for item in evidence:
            batches = source.add_dataframe_asset(item.name).add_batch_definition_whole_dataframe(
                "all"
            )
            # All at once: a suite that is already kept is kept anew for each further one.
            expectations = [_expect(gx, demand) for demand in item.demands]
            suite = context.suites.add(
                gx.ExpectationSuite(name=item.name, expectations=expectations)
            )
            definition = context.validation_definitions.add(
                gx.ValidationDefinition(name=item.name, data=batches, suite=suite)
            )
            result = definition.run(
                batch_parameters={"dataframe": item.frame},
                result_format={"result_format": "SUMMARY", "partial_unexpected_count": 20},
                run_id=run,
            )
            verdicts |= {_key(one): _read_verdict(one) for one in result.results}
        if pages is not None:
            context.build_data_docs()
        return verdicts


def _open_context(gx: Any, pages: Path | None) -> Any:
    from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: PLC0415

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    for site in list(context.list_data_docs_sites()):
        context.delete_data_docs_site(site)
    if pages is not None:
        store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(pages)}
        context.add_data_docs_site(
            SITE,
            {
                "class_name": "SiteBuilder",
                "show_how_to_buttons": False,
                "store_backend": store,
                "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
            },
        )
    return context


def _expect(gx: Any, demand: Demand) -> Any:
    return getattr(gx.expectations, demand.expectation)(
        **demand.arguments,
        severity=_GRAVITY[demand.severity],
        notes=demand.description,
        meta={"ducat": demand.key},
    )


def _key(result: Any) -> str:
    return str(result.expectation_config.meta["ducat"])


def _read_verdict(result: Any) -> Verdict:
    problem = result.exception_info.get("exception_message")
    if problem is None:
        # One of several metrics may have failed; then there is a mapping for each.
        parts = [part for part in result.exception_info.values() if isinstance(part, dict)]
        problem = next((part["exception_message"] for part in parts), None)
    met = bool(result.success) and problem is None
    unexpected = result.result.get("unexpected_count") or 0
    return Verdict(met, int(unexpected), problem)
