"""What can go wrong while the demo starts its processes. See `semantic/errors.py` for the root.

DeployError
├─ ProcessFailedError   a process ended or never answered; names its log
├─ PortTakenError       a port that was asked for is in use
├─ ToolMissingError     something that `make setup` installs is not there
└─ AnswersDifferError   a face gave another number than the SQL written by hand
"""

from __future__ import annotations

from semantic.errors import DucatError


class DeployError(DucatError):
    """The root of what goes wrong while processes are started and checked."""

    code = "deploy_error"


class ProcessFailedError(DeployError):
    """A process ended or never answered; the message names its log."""

    code = "process_failed"


class PortTakenError(DeployError):
    """A port that was asked for is in use."""

    code = "port_taken"


class DemoRunningError(DeployError):
    """Another demo runs in the folder."""

    code = "demo_running"


class ToolMissingError(DeployError):
    """Something that `make setup` installs is not there."""

    code = "tool_missing"


class AnswersDifferError(DeployError):
    """A face gave another number than the SQL written by hand."""

    code = "answers_differ"
