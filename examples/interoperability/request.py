"""Sends each line of its standard input as a request and prints the replies.

request.py amqp://guest:guest@127.0.0.1:5672/ ORDERS.REQUESTS [amq.rabbitmq.reply-to] < orders.txt

Replies come by a queue that the broker names and that only this program reads;
with amq.rabbitmq.reply-to they come without a queue
(https://www.rabbitmq.com/docs/direct-reply-to).
"""

import sys
import uuid

import pika

uri, queue, *reply_to = sys.argv[1:]
connection = pika.BlockingConnection(pika.URLParameters(uri))
channel = connection.channel()
if reply_to:
    reply_queue = reply_to[0]
else:
    reply_queue = channel.queue_declare("", exclusive=True).method.queue

waiting = {str(uuid.uuid4()): line.rstrip("\n") for line in sys.stdin}


def print_reply(channel, method, properties, body):
    request = waiting.pop(properties.correlation_id, None)
    if request is not None:
        print(f"{request}\t{body.decode()}")
    if not waiting:
        channel.stop_consuming()


# Reading begins before the first request is sent: direct replies need that.
channel.basic_consume(reply_queue, print_reply, auto_ack=True)
for correlation_id, line in waiting.items():
    properties = pika.BasicProperties(reply_to=reply_queue, correlation_id=correlation_id, expiration="30000")
    channel.basic_publish("", queue, line.encode(), properties)
connection.call_later(30, channel.stop_consuming)
channel.start_consuming()
connection.close()
if waiting:
    sys.exit(f"no reply within 30 seconds to: {', '.join(waiting.values())}")
