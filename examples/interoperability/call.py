"""Hands its standard input as a message to a gateway, without generated code.

call.py 127.0.0.1:5454 [sync] [NAME=VALUE ...] [@SYSTEM=VALUE ...] < order.xml

NAME is a user header, @SYSTEM a system header, such as @Priority=5; @MsgId and
@CorrelId are the ids. With sync the message is a request, whose reply is printed.
"""

import sys

import grpc
from google.protobuf import descriptor_pb2, json_format, message_factory

PACKAGE = "com.sbt.synapse.gateway"


def field(name, number, kind="TYPE_STRING", **more):
    return {"name": name, "number": number, "type": kind, "label": "LABEL_OPTIONAL", **more}


def map_field(name, number, entry):
    kind = {"label": "LABEL_REPEATED", "typeName": f".{PACKAGE}.ProtoMessage.{entry}"}
    return field(name, number, "TYPE_MESSAGE", **kind)


def map_entry(name):
    return {"name": name, "field": [field("key", 1), field("value", 2)], "options": {"mapEntry": True}}


# The parts of api/proto/Message.proto and Heartbeat.proto that are used here.
WIRE_API = {
    "name": "wire-api",
    "package": PACKAGE,
    "syntax": "proto3",
    "messageType": [
        {
            "name": "ProtoMessage",
            "field": [
                field("messageId", 1),
                field("correlationId", 2),
                map_field("systemHeaders", 3, "SystemHeadersEntry"),
                map_field("userHeaders", 4, "UserHeadersEntry"),
                field("body", 14),
            ],
            "nestedType": [map_entry("SystemHeadersEntry"), map_entry("UserHeadersEntry")],
        },
        {"name": "Heartbeat", "field": [field("timestamp", 1, "TYPE_INT64"), field("messageId", 2)]},
    ],
}
classes = message_factory.GetMessages([json_format.ParseDict(WIRE_API, descriptor_pb2.FileDescriptorProto())])

address, *headers = sys.argv[1:]
channel_name, answer = "MessageAsyncChannel", "Heartbeat"
if headers[:1] == ["sync"]:
    channel_name, answer = "MessageSyncChannel", "ProtoMessage"
    del headers[0]
message = classes[f"{PACKAGE}.ProtoMessage"](body=sys.stdin.read())
for header in headers:
    name, value = header.split("=", 1)
    if name.startswith("@"):
        message.systemHeaders[name[1:]] = value
    else:
        message.userHeaders[name] = value
message.messageId = message.systemHeaders.pop("MsgId", "")
message.correlationId = message.systemHeaders.pop("CorrelId", "")

with grpc.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)]) as channel:
    process_message = channel.unary_unary(
        f"/{PACKAGE}.{channel_name}/processMessage",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=classes[f"{PACKAGE}.{answer}"].FromString,
    )
    try:
        print(json_format.MessageToJson(process_message(message, timeout=30), ensure_ascii=False))
    except grpc.RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
