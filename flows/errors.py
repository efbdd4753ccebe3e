"""What can go wrong while data moves. See `semantic/errors.py` for the root of the tree.

FlowError
├─ PipelineError            a pipeline folder cannot be loaded
├─ SourceError              a source system
│  ├─ SourceMissingError      its address is not set
│  ├─ SourceDownError         it did not answer, after all retries
│  └─ SourceMalformedError    what it answered cannot be read (truncated, not the format)
├─ SchemaChangedError       a column changed its type or went away; the batch is in quarantine
├─ LakeError                a lake table cannot be read or written
│  ├─ LakeConflictError       another writer kept winning
│  └─ DiskFullError           no space left; nothing was half-written
├─ TransformError           a transform's rows break what it promises (key, day, column types)
├─ GateFailedError          a contract does not hold; the last good tables stay in service
├─ BackfillError            the range asked for is not one
├─ RollupError              a pre-aggregation cannot be built, or there is none of that name
├─ AlertError               an alert cannot be judged, or there is none of that name
└─ AlertUndeliveredError    a receiver of alerts did not take a message; it is kept and sent again
"""

from __future__ import annotations

from semantic.errors import DucatError


class FlowError(DucatError):
    """The root of what goes wrong while data moves."""

    code = "flow_error"


class PipelineError(FlowError):
    """A pipeline folder cannot be loaded."""

    code = "invalid_pipeline"


class SourceError(FlowError):
    """A source system failed."""

    code = "source_error"


class SourceMissingError(SourceError):
    """The address of a source is not set."""

    code = "source_missing"


class SourceDownError(SourceError):
    """A source did not answer, after all retries."""

    code = "source_down"


class SourceMalformedError(SourceError):
    """What a source answered cannot be read."""

    code = "source_malformed"


class SchemaChangedError(FlowError):
    """A source column changed its type or went away; the batch is kept in quarantine."""

    code = "schema_changed"


class LakeError(FlowError):
    """A lake table cannot be read or written."""

    code = "lake_error"


class LakeConflictError(LakeError):
    """Another writer kept winning the commit."""

    code = "lake_conflict"


class DiskFullError(LakeError):
    """No space is left; nothing was half-written."""

    code = "disk_full"


class TransformError(FlowError):
    """The rows that a transform computes break what it promises: its key, its day or its types."""

    code = "invalid_transform"


class GateFailedError(FlowError):
    """A contract does not hold; the last good tables stay in service."""

    code = "gate_failed"


class BackfillError(FlowError):
    """The range asked for is not one."""

    code = "invalid_backfill"


class RollupError(FlowError):
    """A pre-aggregation cannot be built, or there is none of that name."""

    code = "rollup_error"


class IngestFailedError(FlowError):
    """Some sources stopped; the others were loaded."""

    code = "ingest_failed"


class FreshnessMissedError(FlowError):
    """A served table is older than its contract allows."""

    code = "sla_missed"


class OrchestratorError(FlowError):
    """The Prefect server did not answer, or a run on it did not succeed."""

    code = "orchestrator_error"


class AlertError(FlowError):
    """An alert cannot be judged, or there is none of that name."""

    code = "alert_error"


class AlertUndeliveredError(FlowError):
    """A receiver of alerts did not take a message; it is kept and sent again by the next check."""

    code = "alert_undelivered"
