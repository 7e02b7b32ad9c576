"""An S3 server for tests: moto on a free port of 127.0.0.1, with the bucket given as argument.

moto checks the condition of a conditional write and stores the object in two steps without a lock
between them, so two racing creations of one key can both succeed. Requests are served one by one
here, which makes conditional writes what they are on real stores: atomic.

Prints "ready http://127.0.0.1:PORT" when it answers. Ends when its standard input does, so it never
outlives whoever started it.
"""

import logging
import os
import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import Client

application = DomainDispatcherApplication(create_backend_app)
one_by_one = threading.Lock()


def serialised(environ, start_response):
    with one_by_one:
        return application(environ, start_response)


def end_with_input():
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)


logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = make_server("127.0.0.1", 0, serialised, threaded=True)
address = f"http://127.0.0.1:{server.server_port}"
created = Client(serialised).put(f"/{sys.argv[1]}", base_url=address)
if created.status_code != 200:
    sys.exit(f"cannot create the bucket: {created.status}: {created.text}")
threading.Thread(target=end_with_input, daemon=True).start()
print(f"ready {address}", flush=True)
server.serve_forever()
