package mapping

import (
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"mqgateway/api/proto/gateway/mq"
	"mqgateway/internal/flow"
)

// The type of ProtoMessage.extension, bare and as Any names it.
const (
	informationName = "com.sbt.synapse.gateway.mq.MqMessageInformation"
	informationURL  = "type.googleapis.com/" + informationName
)

// unpackExtension returns the typed properties of a call; nil when it has none.
func unpackExtension(extension *anypb.Any) (*mq.MqMessageInformation, error) {
	url := extension.GetTypeUrl()
	if url == "" && len(extension.GetValue()) == 0 {
		return nil, nil
	}
	if url[strings.LastIndexByte(url, '/')+1:] != informationName {
		return nil, flow.Errorf(flow.BadMessage, "extension: type %.300q is not %s", url, informationName)
	}
	information := new(mq.MqMessageInformation)
	if err := proto.Unmarshal(extension.GetValue(), information); err != nil {
		return nil, flow.Errorf(flow.BadMessage, "extension: unpacking %s: %w", informationName, err)
	}
	return information, checkInformation(information)
}

// checkInformation refuses what no property can hold.
func checkInformation(i *mq.MqMessageInformation) error {
	switch {
	case i.GetExpiry() < -1 || i.GetExpiry() > flow.MaxExpiry.Milliseconds():
		return flow.Errorf(flow.BadMessage, "extension.expiry: %d is not from -1 to %d", i.GetExpiry(), flow.MaxExpiry.Milliseconds())
	case i.GetPriority() < 0 || i.GetPriority() > 255:
		return flow.Errorf(flow.BadMessage, "extension.priority: %d is not from 0 to 255", i.GetPriority())
	case mq.MqMessageInformation_DeliveryMode_name[int32(i.GetDeliveryMode())] == "":
		return flow.Errorf(flow.BadMessage, "extension.deliveryMode: %d is neither 1 (NON_PERSISTENT) nor 2 (PERSISTENT)", i.GetDeliveryMode())
	case mq.MqMessageInformation_MessageType_name[int32(i.GetMessageType())] == "":
		return flow.Errorf(flow.BadMessage, "extension.messageType: %d is none of 1, 2, 4, 8", i.GetMessageType())
	}
	return checkShort("extension.jmsType", i.GetJmsType())
}

// applyInformation sets what the extension sets: 0 and empty texts are not set.
// It tells whether the expiry is.
func applyInformation(m *flow.Message, i *mq.MqMessageInformation) (expirySet bool) {
	if i.GetMessageType() != 0 {
		m.Type = flow.MessageType(i.GetMessageType())
	}
	if i.GetPriority() != 0 {
		m.Priority = uint8(i.GetPriority())
	}
	if i.GetDeliveryMode() != 0 {
		m.Persistence = flow.Persistence(i.GetDeliveryMode())
	}
	if i.GetJmsType() != "" {
		m.JMSType = i.GetJmsType()
	}
	if i.GetExpiry() != 0 {
		m.Expiry = time.Duration(max(i.GetExpiry(), 0)) * time.Millisecond
	}
	return i.GetExpiry() != 0
}
