# Sends all kinds of requests with Python's http.client to the server on port argv[1]; prints what it observed as JSON.

import hashlib
import http.client
import json
import sys
import urllib.request

port = int(sys.argv[1])
url = f"http://127.0.0.1:{port}"
large = bytes(i * 7 % 251 for i in range(1_000_003))
results = {}
connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
connection.connect()
first = connection.sock


def record(scenario):
    """Records the result of a scenario, or its error."""
    try:
        results[scenario.__name__] = scenario()
    except Exception as error:
        results[scenario.__name__] = repr(error)
        connection.close()


def read_response(to=connection):
    response = to.getresponse()
    return response, response.read()


def is_first():
    """Returns whether the connection is still the first one."""
    return connection.sock is first


def pieces():
    for start in range(0, len(large), 9_999):
        yield large[start : start + 9_999]


def is_hashed(body):
    result = json.loads(body)
    return result["bytes"] == len(large) and result["sha256"] == hashlib.sha256(large).hexdigest()


@record
def several_on_one_connection():
    responses = []
    for target in ["/hello", "/drip?pieces=2", "/nowhere", "/slow?ms=3", "/bytes?bytes=100000", "/hello"]:
        connection.request("GET", target)
        response, body = read_response()
        responses.append([response.status, len(body), is_first()])
    return responses


@record
def head():
    connection.request("HEAD", "/bytes?bytes=100000")
    response, body = read_response()
    return [response.status, response.getheader("Content-Length"), len(body), is_first()]


@record
def upload_by_length():
    connection.request("POST", "/hash", body=large)
    return [is_hashed(read_response()[1]), is_first()]


@record
def upload_by_chunks():
    connection.request("PUT", "/hash", body=pieces(), encode_chunked=True)
    return [is_hashed(read_response()[1]), is_first()]


@record
def chunks_with_an_extension_and_a_trailer():
    connection.putrequest("POST", "/hash")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    connection.send(b"5;name=value\r\nhello\r\n0\r\nTrailer: of no interest\r\n\r\n")
    return [json.loads(read_response()[1])["bytes"], is_first()]


@record
def echo():
    connection.request("POST", "/echo", body=pieces(), headers={"Content-Type": "a/b"}, encode_chunked=True)
    response, body = read_response()
    return [response.getheader("Content-Type"), body == large, is_first()]


@record
def close():
    connection.request("GET", "/hello", headers={"Connection": "close"})
    response, body = read_response()
    return [response.getheader("Connection"), response.will_close, body.decode(), connection.sock is None]


@record
def stream_in_http_1_0():
    old = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    old._http_vsn, old._http_vsn_str = 10, "HTTP/1.0"
    old.request("GET", "/drip?pieces=3")
    response, body = read_response(old)
    old.close()
    return [response.status, response.getheader("Transfer-Encoding"), response.will_close, len(body)]


@record
def urllib_get():
    return urllib.request.urlopen(f"{url}/hello", timeout=30).read().decode()


@record
def urllib_post():
    return is_hashed(urllib.request.urlopen(f"{url}/hash", data=large, timeout=30).read())


connection.close()
print(json.dumps(results))
