"""What a piece of a message may be instead of what it should be: by kind of piece, each a class of mutations.

`NOISE` goes before or after any piece. A generator that draws from these covers what the issue lists; a test
sees to it that each entry really occurs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

WHITE = (
    b" ",
    b"  ",
    b"\t",
    b" \t",
    b"\x0b",
    b"\x0c",
    b"\x1c",
    b"\x1d",
    b"\x1e",
    b"\x1f",
    b"\x85",
    b"\xa0",
    b"\xc2\xa0",
)
CONTROLS = (b"\0", b"\x01", b"\x08", b"\x0e", b"\x1b", b"\x7f", b"\r", b"\n", b"\xff", b"\xef\xbb\xbf")
NOISE = WHITE + CONTROLS + (b"\r\n", b",", b";", b":", b'"', b"_", b"#", b"@", b"0", b"\\")

BASE = b"/api/multicloud/v0/vmware_fake"

METHODS = (
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"M-SEARCH", b"PROPFIND", b"QUERY", b"SOURCE",
    b"CONNECT", b"TRACE", b"get", b"GeT", b"FROB", b"", b"G", b"PRI", b"DESCRIBE", b"FLUSH", b"GET\x85", b'"GET"', b"G-ET",
    b"G_ET", b"GET:", b"X" * 40,
)  # fmt: skip

TARGETS = (
    BASE + b"/x?y=1", BASE + b"/a%2Fb//c", BASE + b"?name=multicloud-x", BASE + b"/%FF%00", BASE + b'/"<>^`{|}\\',
    BASE + b"/../x", BASE + b"/%2e%2E/x", BASE + b"/..;/x", BASE + b"/a?b?c", b"/api/multicloud/v0/vim_types", b"/",
    b"//evil/api/multicloud/v0/vmware_fake", b"*", b"**", b"/*", b"x", b"", b"?", b"broker:80",
    b"http://broker" + BASE + b"/abs", b"HTTP://other:81" + BASE + b"/abs?q", b"https://o" + BASE, b"http://o", b"http://o?q",
    b"http://u@o" + BASE, b"http://u:p@o/", b"http://o:0/", b"http://o:65536/", b"http://o:/", b"http://[::1]:80/",
    b"http://[::1%25e]/", b"http://o,p/", b"http:///x", b"http:/x", b"http:x", b"ftp://o/x", b"http://o#f", b"http://o\\@p/",
    BASE + b"/\x01", BASE + b"/\x7f", BASE + b"/\x80", BASE + b"/a#b", BASE + b"/a b", BASE + b"/\ta",
    BASE + b"/" + b"l" * 300,
)  # fmt: skip

VERSIONS = (
    b"HTTP/1.0", b"HTTP/1.1", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/1.9", b"HTTP/2.0", b"HTTP/2", b"HTTP/3.0", b"HTTP/11.1",
    b"HTTP/1.10", b"HTTP/01.1", b"HTTP/1,1", b"HTTP/1", b"HTTP/", b"HTTP/1.", b"HTTP/.1", b"http/1.1", b"Http/1.1", b"HTTPS/1.1",
    b"RTSP/1.0", b"ICE/1.0", b"HTTP /1.1", b"HTTP/ 1.1", b"HTTP/1.1x", b"HTTP/-1.1", b"", b"HTTP/1.1 HTTP/1.1", b"HTTP/\xb9.1",
)  # fmt: skip

LINE_ENDS = (
    b"\n", b"\r", b"\n\r", b"\r\r\n", b"\r\n\n", b"\r\n\r", b"\r\n ", b"\r\n\t", b"\r\n\r\n", b"", b" \r\n", b"\t\r\n", b"\x0b\r\n",
    b"\x0b", b"\x0c", b"\x85", b"\xe2\x80\xa8", b"\0\r\n", b"\r \n", b"\x1e", b"\\r\\n",
)  # fmt: skip

NAMES = (
    b"X-A", b"", b" X-A", b"\tX-A", b"X A", b"X\x0bA", b"X-A\0", b"X\x80", b"X\x7f", b"(X)", b"X@", b"X/A", b"X[", b'"X"', b"X,Y", b"X_A",
    b"Content_Length", b"CONTENT_LENGTH", b"content-length", b"Content-Length", b"cONTENT-lENGTH", b"Content\xadLength",
    b"Transfer-Encoding", b"transfer-encoding", b"Transfer_Encoding", b"TRANSFER-ENCODING", b"Transfer-Encod\xcb\xa8ng",
    b"Host", b"hOST", b"Connection", b"Proxy-Connection", b"Upgrade", b"Expect", b"Trailer", b"TE", b"Content-Length\xa0",
)  # fmt: skip

COLONS = (
    b" :",
    b"\t:",
    b"\x0b:",
    b"\x0c:",
    b"\x85:",
    b"\xa0:",
    b"::",
    b": :",
    b"",
    b"=",
    b"\r\n:",
    b":\r\n ",
    b":\r\n\t",
    b"\0:",
    b";",
)

PADS = (
    b"",
    b"  ",
    b"\t",
    b" \t ",
    b"\x0b",
    b"\x0c",
    b"\x85",
    b"\xa0",
    b"\x1c",
    b"\x1d",
    b"\x1e",
    b"\x1f",
    b"\r\n ",
    b"\r\n\t",
    b"\r",
    b"\n",
    b"\0",
    b"\x08",
)

VALUES = (
    b"", b"v", b"caf\xe9", b"\x80\xff", b"a\tb", b"a  b", b"a\x0bb", b"a\x0cb", b"a\0b", b"a\x01b", b"a\x7fb", b"a\rb", b"a\nb", b"a\r\n b",
    b'"q,\\""', b"a: b", b"chunked", b"0", b"\xa0", b"\x85v", b"v" * 300,
)  # fmt: skip

LENGTHS = (
    b"3", b"0", b"00", b"03", b"+3", b"-3", b"-0", b"0x3", b"3.0", b"3e0", b"3,3", b"3, 3", b"3 3", b"3;", b"0_3", b"\xb3", b"\xd9\xa3", b"",
    b"3\x0b", b"3\0", b"3\xa0", b"1000", b"18446744073709551615", b"18446744073709551616", b"18446744073709551619",
    b"9223372036854775808", b"99999999999999999999999", b"000000000000000003", b"0000000000000000000000000000003", b"2", b"4", b'"3"', b"3\r\n 3", b"three",
)  # fmt: skip

CODINGS = (
    b"chunked", b"Chunked", b"CHUNKED", b"chunKed", b"chunked,", b",chunked", b", chunked", b"chunked, chunked", b"chunked,identity",
    b"identity", b"identity, chunked", b"gzip", b"gzip, chunked", b"chunked, gzip", b"chunked;q=1", b"chunked ;", b'"chunked"', b"'chunked'",
    b"xchunked", b"chunkedx", b"chunke", b"chunked\0", b"chunked\x0b", b"\x0bchunked", b"chunked\x85", b"\xa0chunked", b"chunk\xe9d", b"", b"x\r\n chunked",
    b"chunked chunked", b"chun\tked", b"\xef\xbd\x83hunked",
)  # fmt: skip

HOSTS = (
    b"broker", b"broker:9001", b"[::1]", b"[::1]:80", b"", b"a,b", b"a b", b"a\tb", b"u@a", b"u:p@a", b"a/b", b"a?b", b"a#b", b"a\\b", b"a:0", b"a:65535", b"a:65536",
    b"a:99999", b"a:", b"a:00080", b"a:8a", b"a:+80", b"a:-1", b"a:1:2", b"::1", b"[::1", b"[]", b"[:]", b"[1:2]", b"[::1%25eth0]", b"[::1%eth0]", b"[v1.a]", b"[::1]a",
    b"[::ffff:1.2.3.4]", b"1.2.3.4", b"a%41", b"a%4", b"%00", b"a\0", b"a\x7f", b"\xe9", b"a_b", b"..", b"http://a", b"<a>", b'"a"', b"a;b", b"a\x0b",
)  # fmt: skip

CONNECTIONS = (
    b"close", b"Close", b"keep-alive", b"Keep-Alive", b"close, keep-alive", b"keep-alive, close", b"keep-alive,close", b"x, close", b"close,", b",close", b"close x",
    b"xclose", b"close;", b'"close"', b"\tclose", b"upgrade", b"Upgrade, HTTP2-Settings", b"keep-alive, Upgrade", b"content-length", b"transfer-encoding", b"host", b"te", b"", b"x-a",
)  # fmt: skip

EXPECTS = (
    b"100-continue",
    b"100-Continue",
    b"100-continue,",
    b"100-continue, 100-continue",
    b"100-continue;q=1",
    b"101",
    b"",
    b"nothing",
    b"100",
)

SIZES = (
    b"3", b"03", b"0003", b"0x3", b"0X3", b"x3", b"+3", b"-3", b"-0", b"3_", b"0_3", b"3 ", b"3\t", b" 3", b"\t3", b"3\x0b", b"3\x0c", b"3\x85", b"3\xa0", b"3\0", b"3h", b"g", b"",
    b"3.", b"3,", b"2", b"4", b"1000", b"\xd9\xa3", b"\xb3", b"000000000000003", b"0000000000000003", b"00000000000000003", b"000000000000000000000000003",
    b"ffffffffffffffff", b"10000000000000003", b"100000000000000000000003", b"fffffffffffffffd", b"7fffffff", b"80000003", b"100000003", b"0",
)  # fmt: skip

EXTENSIONS = (
    b";a", b";a=b", b';a="b"', b';a="b;c"', b';a="b\\"c"', b';a="\xff"', b";a;b=c;d", b" ;a", b"; a", b";a =b", b";a= b", b";a\t=\tb", b";", b";;", b";=", b";=b", b";a=", b';a="', b';a="b',
    b';a=b"c"', b';"a"=b', b";a=b c", b";a\x80", b";a=\x80", b";a\0", b";a\x0b", b';a="\0"', b';a="\x7f"', b';a="\r\n"', b';a="\n"', b";a\n", b";a\r", b";\r", b";\n0\r\n\r\n", b";a\r\n ",
    b',a', b" a", b"=a", b";" + b"a" * 400, b";" + b"e" * 17000,
)  # fmt: skip

TRAILERS = (
    b"X-T: 1\r\n", b"X-T:\r\n", b"x-t:1\r\nX-T: 2\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n", b"Host: evil\r\n", b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: x\r\n", b"Authorization: Basic x\r\n", b"Expect: nothing\r\n", b"X-T : 1\r\n", b" X-T: 1\r\n", b"X-T: 1\r\n 2\r\n", b"X-T\r\n", b": 1\r\n", b"X-T: 1\n", b"X-T: 1\r",
    b"X-T: \0\r\n", b"X-T: \x0b\r\n", b"X-T: \xe9\r\n", b"X T: 1\r\n", b"X_T: 1\r\n", b"X-T: a\rb\r\n", b"GET / HTTP/1.1\r\n", b"\n", b"\r", b"0\r\n", b"Content_Length: 3\r\n", b"X-T: " + b"t" * 17000 + b"\r\n",
)  # fmt: skip

LINES = (
    b"Content-Length: 3", b"Content-Length: 0", b"Content-Length: 3, 3", b"content-length:3", b"CONTENT-LENGTH:\t3\t", b"Content-Length:\r\n 3", b"Content-Length : 3", b"Content-Length: 3\r\nContent-Length: 3",
    b"Content-Length: 3\r\nContent-Length: 4", b"Content_Length: 3", b"\tContent-Length: 3", b"Transfer-Encoding: chunked", b"transfer-ENCODING:chunked", b"Transfer-Encoding:\tchunked\t", b"Transfer-Encoding:\r\n chunked",
    b"Transfer-Encoding : chunked", b"Transfer-Encoding: identity", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked", b"Transfer-Encoding:", b"Transfer_Encoding: chunked", b"Transfer-Encoding\0: chunked", b"\x0bTransfer-Encoding: chunked", b"X: y\rTransfer-Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked", b"X: y\nContent-Length: 3", b"X: y\r\n\tTransfer-Encoding: chunked", b"Host: other", b"hOST: broker", b"Host: broker\r\nHost: broker", b" Host: other", b"Host:\r\n other", b"X:\r\n Host: other",
    b"Connection: close", b"Connection: keep-alive", b"Connection: Upgrade\r\nUpgrade: h2c", b"Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM", b"Connection: upgrade\r\nUpgrade: websocket", b"Upgrade: h2c",
    b"Connection: content-length", b"Connection: transfer-encoding", b"Connection: host", b"Connection: close\r\nConnection: keep-alive", b"Proxy-Connection: close", b"Keep-Alive: timeout=1", b"TE: trailers", b"Trailer: X-T",
    b"Expect: 100-continue", b"Expect: 100-continue\r\nExpect: 100-continue", b"Expect: nothing", b"X-HTTP-Method-Override: PUT", b"no colon at all", b"", b"X", b":", b"X: " + b"x" * 300, b"GET /smuggled HTTP/1.1",
)  # fmt: skip

STATUSES = (
    b"200", b"201", b"204", b"205", b"206", b"300", b"304", b"404", b"500", b"599", b"600", b"999", b"100", b"101", b"102", b"103", b"199", b"000", b"099", b"099", b"20", b"2000", b"+200", b"-200", b"0x200", b"2xx",
    b"", b" 200", b"200 ", b"\t200", b"200\t", b"200\x0b", b"2 00", b"\xb200", b"\xd9\xa200", b"200.1", b"101 Switching", b"204\0",
)  # fmt: skip

REASONS = (
    b"OK",
    b"",
    b" ",
    b"I'm a \xe9",
    b"a\tb",
    b"O\rK",
    b"O\nK",
    b"O\0K",
    b"O\x0bK",
    b"O\x7fK",
    b"OK\r\n x",
    b"OK\r\nX: y",
    b"OK\r\r\n",
    b"\x85",
    b"r" * 300,
)

ALTERNATIVES: Mapping[str, Sequence[bytes]] = {
    "method": METHODS,
    "target": TARGETS,
    "version": VERSIONS,
    "line end": LINE_ENDS,
    "name": NAMES,
    "colon": COLONS,
    "pad": PADS,
    "value": VALUES,
    "length": LENGTHS,
    "coding": CODINGS,
    "host": HOSTS,
    "connection": CONNECTIONS,
    "expect": EXPECTS,
    "size": SIZES,
    "extension": EXTENSIONS,
    "trailer": TRAILERS,
    "line": LINES,
    "status": STATUSES,
    "reason": REASONS,
    "space": WHITE + CONTROLS + (b"",),
    "noise": NOISE,
}
