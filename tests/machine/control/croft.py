# SPDX-License-Identifier: BSD-2-Clause
"""croft as the tests run it: an emulator that gets no CPU for seconds is no broken link."""

import os

TIMEOUT_MS = 60000
CROFT = [os.environ["BUILD"] + "/croft", "--timeout", str(TIMEOUT_MS)]
