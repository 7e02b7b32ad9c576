"""moto's S3 on a port of 127.0.0.1, given as argument, one request at a time.

moto checks the condition of a conditional write and stores the object in two steps without a lock
between them, so two racing creations of one key can both succeed. Requests are served one by one
here, which makes conditional writes what they are on real stores: atomic.
"""

import logging
import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

application = DomainDispatcherApplication(create_backend_app)
one_by_one = threading.Lock()


def serialised(environ, start_response):
    with one_by_one:
        return application(environ, start_response)


logging.getLogger("werkzeug").setLevel(logging.ERROR)
make_server("127.0.0.1", int(sys.argv[1]), serialised, threaded=True).serve_forever()
