"""Puts its standard input as a message on a queue of RabbitMQ.

publish.py amqp://guest:guest@127.0.0.1:5672/ ORDERS.IN [HEADER=VALUE ...] < order.xml
"""

import sys
import uuid

import pika

uri, queue, *headers = sys.argv[1:]
properties = pika.BasicProperties(
    message_id=str(uuid.uuid4()),
    headers=dict(header.split("=", 1) for header in headers),
    delivery_mode=2,  # persistent
)
connection = pika.BlockingConnection(pika.URLParameters(uri))
channel = connection.channel()
channel.confirm_delivery()  # basic_publish raises unless the queue has the message
channel.basic_publish("", queue, sys.stdin.buffer.read(), properties, mandatory=True)
connection.close()
print(properties.message_id)
