# Sends all kinds of requests with Python's http.client to the server on port argv[1]; prints what it observed as JSON.

import hashlib
import http.client
import json
import sys
import urllib.request

port = int(sys.argv[1])
url = f"http://127.0.0.1:{port}"
large = bytes(i * 7 % 251 for i in range(1_000_003))
seen = {}
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
connection.connect()
first = connection.sock


def sees(scenario):
    """What the scenario sees; one that fails says so in its place."""
    try:
        seen[scenario.__name__] = scenario()
    except Exception as error:
        seen[scenario.__name__] = repr(error)
        connection.close()


def reply(to=connection):
    response = to.getresponse()
    return response, response.read()


def is_first():
    """It is still the first connection."""
    return connection.sock is first


def pieces():
    for start in range(0, len(large), 9_999):
        yield large[start : start + 9_999]


def is_hashed(body):
    told = json.loads(body)
    return told["bytes"] == len(large) and told["sha256"] == hashlib.sha256(large).hexdigest()


@sees
def several_on_one_connection():
    replies = []
    for target in ["/hello", "/drip?pieces=2", "/nowhere", "/slow?ms=3", "/bytes?bytes=100000", "/hello"]:
        connection.request("GET", target)
        response, body = reply()
        replies.append([response.status, len(body), is_first()])
    return replies


@sees
def head():
    connection.request("HEAD", "/bytes?bytes=100000")
    response, body = reply()
    return [response.status, response.getheader("Content-Length"), len(body), is_first()]


@sees
def upload_by_length():
    connection.request("POST", "/hash", body=large)
    return [is_hashed(reply()[1]), is_first()]


@sees
def upload_by_chunks():
    connection.request("PUT", "/hash", body=pieces(), encode_chunked=True)
    return [is_hashed(reply()[1]), is_first()]


@sees
def chunks_with_an_extension_and_a_trailer():
    connection.putrequest("POST", "/hash")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    connection.send(b"5;name=value\r\nhello\r\n0\r\nTrailer: of no interest\r\n\r\n")
    return [json.loads(reply()[1])["bytes"], is_first()]


@sees
def echo():
    connection.request("POST", "/echo", body=pieces(), headers={"Content-Type": "a/b"}, encode_chunked=True)
    response, body = reply()
    return [response.getheader("Content-Type"), body == large, is_first()]


@sees
def close():
    connection.request("GET", "/hello", headers={"Connection": "close"})
    response, body = reply()
    return [response.getheader("Connection"), response.will_close, body.decode(), connection.sock is None]


@sees
def stream_in_http_1_0():
    old = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    old._http_vsn, old._http_vsn_str = 10, "HTTP/1.0"
    old.request("GET", "/drip?pieces=3")
    response, body = reply(old)
    old.close()
    return [response.status, response.getheader("Transfer-Encoding"), response.will_close, len(body)]


@sees
def urllib_get():
    return urllib.request.urlopen(f"{url}/hello", timeout=30).read().decode()


@sees
def urllib_post():
    return is_hashed(urllib.request.urlopen(f"{url}/hash", data=large, timeout=30).read())


connection.close()
print(json.dumps(seen))
