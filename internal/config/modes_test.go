package config_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mqgateway/internal/config"
)

// TestModes holds what a configuration says it reads, serves and calls.
func TestModes(t *testing.T) {
	t.Parallel()
	type does struct {
		AsyncQueues, SyncQueues                []string
		ServesAsync, ServesSync, CallsServices bool
	}
	async, sync := []string{"MESSAGES"}, []string{"REQUESTS"}
	for _, tt := range []struct {
		mq   string
		want does
	}{
		{"{systemType: sc, workMode: async, connection: {receiveQueue: MESSAGES}}", does{async, nil, true, false, true}},
		{"{systemType: sc, workMode: sync, connection: {receiveQueueSync: REQUESTS}}", does{nil, sync, false, false, true}},
		{"{systemType: sc, workMode: sync, connection: {receiveQueue: REQUESTS}}", does{nil, sync, false, false, true}},
		{"{systemType: sc, workMode: all, connection: {receiveQueue: MESSAGES, receiveQueueSync: REQUESTS}}", does{async, sync, true, false, true}},
		{"{systemType: sc, workMode: all, connection: {receiveQueue: MESSAGES}}", does{async, nil, true, false, true}},
		{"{systemType: sc, workMode: all, connection: {receiveQueueSync: REQUESTS}}", does{nil, sync, true, false, true}},
		{"{systemType: sc, connection: {receiveQueue: MESSAGES}, syncReceiver: {replyToMode: SHARED, defaultReceiveQueue: R}}", does{async, nil, true, false, true}},

		{"{systemType: sp, workMode: async, connection: {receiveQueue: MESSAGES}}", does{async, nil, true, false, true}},
		{"{systemType: sp, workMode: async, syncReceiver: {replyToMode: SHARED, defaultReceiveQueue: R}}", does{nil, nil, true, false, false}},
		{"{systemType: sp, workMode: sync, syncReceiver: {replyToMode: UNIQUE, defaultReceiveQueue: R}}", does{nil, nil, false, true, false}},
		{"{systemType: sp, workMode: sync, syncReceiver: {replyToMode: DIRECT}}", does{nil, nil, false, true, false}},
		{"{systemType: sp, workMode: all}", does{nil, nil, true, false, false}},
		{"{systemType: sp, workMode: all, connection: {receiveQueue: MESSAGES}}", does{async, nil, true, false, true}},
		{"{systemType: sp, workMode: all, syncReceiver: {replyToMode: UNIQUE}}", does{nil, nil, true, false, false}},
		{"{systemType: sp, workMode: all, syncReceiver: {replyToMode: UNIQUE, defaultReceiveQueue: R}}", does{nil, nil, true, true, false}},
		{"{systemType: sp, workMode: all, connection: {receiveQueue: MESSAGES}, syncReceiver: {replyToMode: DIRECT}}", does{async, nil, true, true, true}},
	} {
		t.Run(tt.mq, func(t *testing.T) {
			t.Parallel()
			c := withMQ(t, tt.mq)
			got := does{c.AsyncQueues(), c.SyncQueues(), c.ServesAsync(), c.ServesSync(), c.CallsServices()}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("what it does (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReplyQueue(t *testing.T) {
	t.Parallel()
	const unique = "systemType: sp, syncReceiver: {replyToMode: UNIQUE, defaultReceiveQueue: RESPONSE}"
	for _, tt := range []struct{ name, mq, want string }{
		{"pod of a Deployment", "instance: go-gateway-5dddcc6455-vd4j9, " + unique, "RESPONSE.DQ.5dddcc6455.vd4j9"},
		{"shortest hash", "instance: gateway-12345678-vd4j9, " + unique, "RESPONSE.DQ.12345678.vd4j9"},
		{"capital letters", "instance: GATEWAY-5DDDCC6455-VD4J9, " + unique, "RESPONSE.DQ.5DDDCC6455.VD4J9"},
		{"hash too short", "instance: gateway-1234567-vd4j9, " + unique, "RESPONSE.DQ.gateway-1234567-vd4j9"},
		{"hash too long", "instance: gateway-5dddcc64551-vd4j9, " + unique, "RESPONSE.DQ.gateway-5dddcc64551-vd4j9"},
		{"end too short", "instance: gateway-5dddcc6455-vd4j, " + unique, "RESPONSE.DQ.gateway-5dddcc6455-vd4j"},
		{"more behind it", "instance: gateway-5dddcc6455-vd4j9.local, " + unique, "RESPONSE.DQ.gateway-5dddcc6455-vd4j9.local"},
		{"hash only", "instance: 5dddcc6455-vd4j9, " + unique, "RESPONSE.DQ.5dddcc6455-vd4j9"},
		{"pod of a StatefulSet", "instance: gateway-0, " + unique, "RESPONSE.DQ.gateway-0"},
		{"host and process", "instance: host.example-4711, " + unique, "RESPONSE.DQ.host.example-4711"},
		{"other separator", "instance: a, systemType: sp, syncReceiver: {replyToMode: UNIQUE, defaultReceiveQueue: R, dynamicQNameSeparator: /}", "R/a"},
		{"no separator", `instance: a, systemType: sp, syncReceiver: {replyToMode: UNIQUE, defaultReceiveQueue: R, dynamicQNameSeparator: ""}`, "Ra"},
		{"mode sync", "instance: a, workMode: sync, " + unique, "RESPONSE.DQ.a"},
		{"mode async", "instance: a, workMode: async, " + unique, ""},
		{"without the beginning", "systemType: sp, syncReceiver: {replyToMode: UNIQUE}", ""},
		{"direct", "systemType: sp, syncReceiver: {replyToMode: DIRECT, defaultReceiveQueue: R}", ""},
		{"consumer", "connection: {receiveQueue: IN}, syncReceiver: {replyToMode: UNIQUE, defaultReceiveQueue: R}", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := withMQ(t, "{"+tt.mq+"}").ReplyQueue(); got != tt.want {
				t.Errorf("reply queue = %q, want %q", got, tt.want)
			}
		})
	}
}

// withMQ loads a block mq over what every gateway needs, whichever its role.
func withMQ(t *testing.T, mq string) config.Config {
	t.Helper()
	loaded, err := config.Load([]string{"mq.yml", "common-config.yml"}, config.Options{ReadFile: inMemory(map[string]string{
		"mq.yml": "mq: " + mq,
		"common-config.yml": `
mq: {connection: {sendQueue: OUT, connections: [{hostname: a}]}}
routing: {routeList: [{destinationExpression: "'service'"}]}
`,
	})})
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Config
}

func ExampleConfig_ReplyQueue() {
	file := `
mq:
  systemType: sp
  connection: {sendQueue: REQUEST, connections: [{hostname: rabbit}]}
  syncReceiver: {replyToMode: UNIQUE, defaultReceiveQueue: RESPONSE}
`
	loaded, err := config.Load([]string{"application.yml"}, config.Options{
		Environ:  []string{"POD_NAME=go-gateway-5dddcc6455-vd4j9"},
		ReadFile: func(string) ([]byte, error) { return []byte(file), nil },
	})
	fmt.Println(loaded.Config.ReplyQueue(), err)
	// Output: RESPONSE.DQ.5dddcc6455.vd4j9 <nil>
}
