import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimator.formula.copies import TransferWork, transfer_log_seconds, transfer_seconds

AMOUNTS = st.floats(0.0, 1e18)


def logs(parameters):
    return np.log([parameters])


def copies(parameters):
    """Log parameters of the transfer formula; no slow path unless given."""
    return logs((*parameters, 1.0, 1e12, 1.0, 1e12) if len(parameters) == 3 else parameters)


@given(
    st.tuples(st.floats(1e-9, 1.0), st.floats(1e3, 1e13), st.floats(1e3, 1e13)),
    st.floats(0.0, 1e3),
    AMOUNTS,
    AMOUNTS,
)
def test_copies_add_to_the_base(parameters, base, up, down):
    work = TransferWork(np.array([base]), np.array([up]), np.array([down]))
    call, h2d, d2h = parameters
    plain = transfer_seconds(copies(parameters), work)
    assert plain == pytest.approx([call + up / h2d + down / d2h])
    theta = copies((*parameters, 3.0, 1e8, 5.0, 3e7))
    slower = transfer_seconds(theta, work)
    assert plain <= slower * (1 + 1e-9)
    assert slower <= 5.0 * plain
    log_seconds, jacobian = transfer_log_seconds(theta, work)
    assert np.exp(log_seconds) == pytest.approx(base + slower)
    for i in range(7):
        step = np.zeros_like(theta)
        step[0, i] = 1e-5
        high, low = (transfer_log_seconds(theta + sign * step, work)[0] for sign in (1, -1))
        assert jacobian[0, i] == pytest.approx((high - low)[0] / 2e-5, abs=1e-3)
