package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"mqgateway/api/proto/gateway"
	"mqgateway/api/proto/gateway/mq"
)

// wire is the API that existing microservices are built against. It never
// changes: what stands here was in use before this gateway was.
const wire = `
file Message.proto imports google/protobuf/any.proto
message com.sbt.synapse.gateway.ProtoMessage
  messageId = 1 string
  correlationId = 2 string
  body = 14 string
  systemHeaders = 3 map<string, string>
  userHeaders = 4 map<string, string>
  extension = 15 google.protobuf.Any

file Heartbeat.proto
message com.sbt.synapse.gateway.Heartbeat
  timestamp = 1 int64
  messageId = 2 string

file MessageService.proto imports Message.proto Heartbeat.proto
java_package com.sbt.synapse.gateway.protobuf
java_outer_classname MessageService
java_multiple_files true
objc_class_prefix HLW
rpc /com.sbt.synapse.gateway.MessageAsyncChannel/processMessage (com.sbt.synapse.gateway.ProtoMessage) returns (com.sbt.synapse.gateway.Heartbeat)
rpc /com.sbt.synapse.gateway.MessageSyncChannel/processMessage (com.sbt.synapse.gateway.ProtoMessage) returns (com.sbt.synapse.gateway.ProtoMessage)

file MqMessageInformation.proto
message com.sbt.synapse.gateway.mq.MqMessageInformation
  enum com.sbt.synapse.gateway.mq.MqMessageInformation.DeliveryMode: UNKNOWN_MODE 0, NON_PERSISTENT 1, PERSISTENT 2
  enum com.sbt.synapse.gateway.mq.MqMessageInformation.MessageType: UNKNOWN_TYPE 0, REQUEST 1, REPLY 2, REPORT 4, DATAGRAM 8
  messageType = 1 com.sbt.synapse.gateway.mq.MqMessageInformation.MessageType
  priority = 2 int32
  deliveryMode = 3 com.sbt.synapse.gateway.mq.MqMessageInformation.DeliveryMode
  expiry = 4 int64
  destinationQueue = 5 string
  destinationManager = 6 string
  sourceQueue = 7 string
  sourceManager = 8 string
  jmsType = 9 string
`

func TestTheWireAPINeverChanges(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	for _, file := range []protoreflect.FileDescriptor{
		gateway.File_Message_proto, gateway.File_Heartbeat_proto,
		gateway.File_MessageService_proto, mq.File_MqMessageInformation_proto,
	} {
		got.WriteString("\n")
		describeFile(&got, file)
	}
	if diff := cmp.Diff(strings.Split(wire, "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("the wire API changed (-want +got):\n%s", diff)
	}
}

// TestTheGeneratedNames holds the names that code is written against; the
// method of a client is spelled differently from the method on the wire.
func TestTheGeneratedNames(t *testing.T) {
	t.Parallel()
	for got, want := range map[string]string{
		gateway.MessageAsyncChannel_ProcessMessage_FullMethodName: "/com.sbt.synapse.gateway.MessageAsyncChannel/processMessage",
		gateway.MessageSyncChannel_ProcessMessage_FullMethodName:  "/com.sbt.synapse.gateway.MessageSyncChannel/processMessage",
	} {
		if got != want {
			t.Errorf("full method name = %q, want %q", got, want)
		}
	}
}

func describeFile(out *strings.Builder, file protoreflect.FileDescriptor) {
	fmt.Fprintf(out, "file %s", file.Path())
	for i := range file.Imports().Len() {
		if i == 0 {
			out.WriteString(" imports")
		}
		fmt.Fprintf(out, " %s", file.Imports().Get(i).Path())
	}
	out.WriteString("\n")
	describeOptions(out, file.Options().(*descriptorpb.FileOptions))
	for i := range file.Messages().Len() {
		describeMessage(out, file.Messages().Get(i))
	}
	for i := range file.Services().Len() {
		describeMethods(out, file.Services().Get(i))
	}
}

// describeOptions writes every option but go_package, which is ours.
func describeOptions(out *strings.Builder, options *descriptorpb.FileOptions) {
	set := options.ProtoReflect()
	for i := range set.Descriptor().Fields().Len() {
		field := set.Descriptor().Fields().Get(i)
		if set.Has(field) && field.Name() != "go_package" {
			fmt.Fprintf(out, "%s %v\n", field.Name(), set.Get(field))
		}
	}
}

func describeMessage(out *strings.Builder, message protoreflect.MessageDescriptor) {
	fmt.Fprintf(out, "message %s\n", message.FullName())
	for i := range message.Enums().Len() {
		enum := message.Enums().Get(i)
		var values []string
		for j := range enum.Values().Len() {
			value := enum.Values().Get(j)
			values = append(values, fmt.Sprintf("%s %d", value.Name(), value.Number()))
		}
		fmt.Fprintf(out, "  enum %s: %s\n", enum.FullName(), strings.Join(values, ", "))
	}
	for i := range message.Fields().Len() {
		field := message.Fields().Get(i)
		fmt.Fprintf(out, "  %s = %d %s\n", field.Name(), field.Number(), typeName(field))
	}
}

func typeName(field protoreflect.FieldDescriptor) string {
	switch {
	case field.IsMap():
		return fmt.Sprintf("map<%s, %s>", typeName(field.MapKey()), typeName(field.MapValue()))
	case field.Cardinality() != protoreflect.Optional || field.HasOptionalKeyword():
		return fmt.Sprintf("%s %s", field.Cardinality(), field.Kind())
	case field.Message() != nil:
		return string(field.Message().FullName())
	case field.Enum() != nil:
		return string(field.Enum().FullName())
	default:
		return field.Kind().String()
	}
}

func describeMethods(out *strings.Builder, service protoreflect.ServiceDescriptor) {
	for i := range service.Methods().Len() {
		m := service.Methods().Get(i)
		if m.IsStreamingClient() || m.IsStreamingServer() {
			out.WriteString("streaming ")
		}
		fmt.Fprintf(out, "rpc /%s/%s (%s) returns (%s)\n", service.FullName(), m.Name(), m.Input().FullName(), m.Output().FullName())
	}
}
