"""Takes the next message from a queue of RabbitMQ and prints it as JSON.

receive.py amqp://guest:guest@127.0.0.1:5672/ ORDERS.OUT
"""

import json
import sys

import pika

uri, queue = sys.argv[1:]
connection = pika.BlockingConnection(pika.URLParameters(uri))
channel = connection.channel()
for method, properties, body in channel.consume(queue, inactivity_timeout=30):
    if method is None:
        sys.exit(f"nothing came to {queue} within 30 seconds")
    message = {name: value for name, value in vars(properties).items() if value is not None}
    print(json.dumps({**message, "body": body.decode()}, ensure_ascii=False, indent=2))
    channel.basic_ack(method.delivery_tag)
    break
connection.close()
