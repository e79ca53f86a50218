"""Replies to the requests of a queue, in capital letters, until it is stopped.

reply.py amqp://guest:guest@127.0.0.1:5672/ ORDERS.REQUESTS
"""

import sys

import pika

uri, queue = sys.argv[1:]


def reply(channel, method, request, body):
    properties = pika.BasicProperties(correlation_id=request.correlation_id, headers=request.headers)
    channel.basic_publish("", request.reply_to, body.decode().upper().encode(), properties)
    channel.basic_ack(method.delivery_tag)


connection = pika.BlockingConnection(pika.URLParameters(uri))
channel = connection.channel()
channel.basic_consume(queue, reply)
channel.start_consuming()
