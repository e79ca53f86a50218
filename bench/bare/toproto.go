package main

import (
	"strconv"

	amqp "github.com/rabbitmq/amqp091-go"
	"google.golang.org/protobuf/types/known/anypb"

	"mqgateway/api/proto/gateway"
	"mqgateway/api/proto/gateway/mq"
)

// toProto makes what the gateway would make of a delivery of a queue. It knows that
// all headers are texts, and which properties the messages of bench have.
func toProto(d *amqp.Delivery, queue, manager string) (*gateway.ProtoMessage, error) {
	user := make(map[string]string, len(d.Headers))
	for name, value := range d.Headers {
		user[name], _ = value.(string)
	}
	kind := mq.MqMessageInformation_DATAGRAM
	if d.ReplyTo != "" {
		kind = mq.MqMessageInformation_REQUEST
	}
	extension, err := anypb.New(&mq.MqMessageInformation{
		MessageType:  kind,
		DeliveryMode: mq.MqMessageInformation_DeliveryMode(d.DeliveryMode),
		SourceQueue:  queue, SourceManager: manager,
	})
	if err != nil {
		return nil, err
	}
	system := map[string]string{
		"MsgId": d.MessageId, "CorrelId": d.CorrelationId, "ContentType": d.ContentType,
		"Persistence": strconv.Itoa(int(d.DeliveryMode)), "MsgType": strconv.Itoa(int(kind)),
		"BackoutCount": "0", "Redelivered": strconv.FormatBool(d.Redelivered),
		"SourceQueue": queue, "SourceManager": manager, "RoutingKey": d.RoutingKey,
	}
	if d.ReplyTo != "" {
		system["ReplyToQ"], system["ReplyToQMgr"] = d.ReplyTo, manager
	}
	return &gateway.ProtoMessage{
		MessageId: d.MessageId, CorrelationId: d.CorrelationId, Body: string(d.Body),
		SystemHeaders: system, UserHeaders: user, Extension: extension,
	}, nil
}
