"""The conformance checks: what every regularizer must do right, whatever it does.

The checks know no method by name; most of them stand for a defect seen in published code of this field. Importing this
module registers them in the order in which a report shows them.
"""

from regularizers.testing import check_effect, check_noise, check_gradient, check_weights, check_training  # noqa: F401, I001
from regularizers.testing.checks import CHECKS, Finding, Subject, run_check

__all__ = ["CHECKS", "Finding", "Subject", "run_check"]
