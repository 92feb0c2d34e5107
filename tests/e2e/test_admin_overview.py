"""How things are and what traffic there was, as the admin page shows it; each answer is held against
its OpenAPI description on the way (see admin.call)."""

import pytest

from admin import PASSWORD, Script

HOSTILE = "<img src=x onerror=alert(1)>\"'\u2028"


@pytest.fixture
def admin(start_server, new_upstream):
    """A script with the password, on a program of its own; admin.upstream is its upstream."""
    upstream = new_upstream()
    script = Script(start_server(upstream, ADMIN_PASSWORD=PASSWORD, HEALTH_CHECK_INTERVAL=0))
    script.upstream = upstream
    return script


def test_x(admin):
    print(admin.ok("GET", "/overview"))
    print(admin.ok("GET", "/series?range=1h"))
