"""The admin page comes from the program itself, to whoever may see a login."""

import re

import pytest

import raw
from admin import PASSWORD, check_headers


@pytest.fixture(scope="module")
def page_server(module_server):
    return module_server(ADMIN_PASSWORD=PASSWORD)


@pytest.mark.parametrize("path", ["/admin", "/admin/", "/admin/keys", "/admin/keys/17",
                                  "/admin/settings"])
def test_page_and_its_places(page_server, path):
    response = raw.get(page_server, path)
    assert response.status == 200
    assert response.header("Content-Type").startswith("text/html")
    assert response.header("Cache-Control") == "no-cache"
    check_headers(response)
    head = raw.get(page_server, path, method="HEAD")
    assert head.status == 200 and head.body == b""


def test_assets_of_the_page_are_there(page_server):
    html = raw.get(page_server, "/admin").body.decode()
    assets = re.findall(r'"(/admin/assets/[^"]+)"', html)
    assert assets
    for path in assets:
        response = raw.get(page_server, path)
        assert response.status == 200 and "immutable" in response.header("Cache-Control")
        check_headers(response)


def test_page_of_the_default_password_is_for_this_machine(start_server):
    server = start_server()
    assert raw.get(server, "/admin").status == 200
    response = raw.get(server, "/admin", headers={"X-Forwarded-For": "1.2.3.4"})
    assert response.status == 403 and b"ADMIN_PASSWORD" in response.body


def test_what_is_no_place_asks_who_it_is(page_server):
    for path in ("/admin/nothing", "/admin/assets/nothing.js", "/admin/login", "/admin/api"):
        assert raw.get(page_server, path).status == 401
