package config

import (
	"time"

	"mqgateway/internal/admin"
	"mqgateway/internal/flow"
	"mqgateway/internal/grpcclient"
	"mqgateway/internal/grpcsrv"
	"mqgateway/internal/mapping"
	"mqgateway/internal/mq"
	"mqgateway/internal/mq/jetstream"
	"mqgateway/internal/routing"
)

// Config is the whole configuration of one gateway, in the shape of its YAML. What
// is tagged reload:"yes" applies while the gateway runs, a block as a whole: what
// uses it has to be made anew by each configuration.
type Config struct {
	// Server is the HTTP port for probes and metrics.
	Server admin.Config `yaml:"server"`
	// Management takes probes and metrics to a port of their own.
	Management ManagementConfig `yaml:"management"`
	// MQ is the side of the broker.
	MQ MQConfig `yaml:"mq"`
	// Parser bounds what bodies may look like where rules read them.
	Parser ParserConfig `yaml:"parser"`
	// GRPC is the side of the microservices.
	GRPC GRPCConfig `yaml:"grpc"`
	// Routing finds the service that a message goes to.
	Routing routing.Config `yaml:"routing" reload:"yes"`
	// Logging is the log of the process.
	Logging LoggingConfig `yaml:"logging"`
	// TerminationGracePeriod is how long messages in work may take to finish when
	// the gateway stops, in seconds without a unit. Default 30s.
	TerminationGracePeriod time.Duration `yaml:"terminationGracePeriodSeconds" unit:"s"`
	// Shutdown is the beginning of the stop.
	Shutdown ShutdownConfig `yaml:"shutdown"`
}

// ManagementConfig is the block management.
type ManagementConfig struct {
	// Server is where probes and metrics are served.
	Server ManagementServerConfig `yaml:"server"`
}

// ManagementServerConfig is management.server.
type ManagementServerConfig struct {
	// Port of probes and metrics. Default 0: that of server.port.
	Port int `yaml:"port"`
}

// MQConfig is the block mq.
type MQConfig struct {
	// Provider is the broker: rabbitmq, embedded (inside the process) or nats
	// (JetStream). Default rabbitmq.
	Provider Provider `yaml:"provider" enum:"rabbitmq,embedded,nats"`
	// SystemType is the side of the external system: sc (consumer) reads its
	// requests and calls microservices, sp (provider) sends requests to it. Default sc.
	SystemType flow.Role `yaml:"systemType" enum:"sc|consumer,sp|provider"`
	// WorkMode is async, sync (requests that wait for their reply) or all. Default all.
	WorkMode flow.Mode `yaml:"workMode" enum:"async,sync,all"`
	// Embedded is the broker inside the process.
	Embedded jetstream.EmbeddedConfig `yaml:"embedded"`
	// Connection names brokers and queues.
	Connection ConnectionConfig `yaml:"connection"`
	// ConsumerParams says how queues are read.
	ConsumerParams mq.ConsumerConfig `yaml:"consumerParams"`
	// Instance is the name of this process; two live instances must differ. Default
	// POD_NAME, else HOSTNAME in Kubernetes, else host name and process id.
	Instance string `yaml:"instance"`
	// MaxMsgLength bounds a message read from a broker, in KB without a unit (mq.rejectMaxMessageSize:
	// in bytes). Default 100KB.
	MaxMsgLength int64 `yaml:"maxMsgLength" unit:"KB" alias:"rejectMaxMessageSize/B"`
	// TypeParser reads bodies for routing: SAX streams, DOM builds a tree, auto
	// takes what the rules need. Default auto.
	TypeParser string `yaml:"typeParser" enum:"auto,DOM,SAX"`
	// Outbound are defaults of sent messages.
	Outbound mapping.OutboundConfig `yaml:"outbound" reload:"yes"`
	// Failure says what becomes of messages that can't be handled.
	Failure mq.FailureConfig `yaml:"failure" reload:"yes"`
	// SyncReceiver is how a provider gateway gets the replies of its synchronous requests.
	SyncReceiver mq.SyncReceiverConfig `yaml:"syncReceiver"`
	// Monitoring looks after messages that lie in their queues.
	Monitoring mq.MonitoringConfig `yaml:"monitoring"`
	// ReplyByCorrelID gives the reply of a consumer gateway the CorrelId of its request, where
	// the service names none, instead of the MsgId. Default false.
	ReplyByCorrelID bool `yaml:"replyByCorrelId"`
}

// Provider is the kind of broker.
type Provider string

// The providers.
const (
	RabbitMQ Provider = "rabbitmq"
	Embedded Provider = "embedded"
	NATS     Provider = "nats"
)

// ConnectionConfig is mq.connection.
type ConnectionConfig struct {
	// Connections are the addresses of the managers; none with provider embedded.
	Connections []mq.ConnectionConfig `yaml:"connections"`
	// ReceiveQueue are the queues to read; of synchronous requests in mode sync, when
	// ReceiveQueueSync is not set.
	ReceiveQueue []string `yaml:"receiveQueue"`
	// ReceiveQueueSync are the queues of synchronous requests of a consumer gateway.
	ReceiveQueueSync []string `yaml:"receiveQueueSync"`
	// SendQueue takes the messages that are sent.
	SendQueue string `yaml:"sendQueue" reload:"yes"`
	// SendToCustomDestination lets a message name its queue itself. Default false.
	SendToCustomDestination bool `yaml:"sendToCustomDestination" reload:"yes"`
	// DeclareQueues makes missing receive and send queues, quorum or classic. Default none.
	DeclareQueues string `yaml:"declareQueues" enum:"none,quorum,classic"`
	// ConfirmTimeout is how long a broker may take to confirm a message. Then the message is
	// sent to another manager, with the same id. Default 5s.
	ConfirmTimeout time.Duration `yaml:"confirmTimeout"`
	// Health says how managers are checked, and how messages are shared out among them.
	Health mq.HealthConfig `yaml:"health"`
	// ConnectionCheckPeriod is the old name of health.period, which is stronger.
	ConnectionCheckPeriod time.Duration `yaml:"connectionCheckPeriod"`
}

// ParserConfig is the block parser.
type ParserConfig struct {
	// XML bodies.
	XML XMLConfig `yaml:"xml"`
	// JSON bodies.
	JSON JSONConfig `yaml:"json"`
}

// XMLConfig is parser.xml.
type XMLConfig struct {
	// SkipDeclaration takes the bytes as UTF-8 whatever the declaration says. Default false.
	SkipDeclaration bool `yaml:"skipDeclaration"`
	// MaxDepth of elements. Default 256.
	MaxDepth int `yaml:"maxDepth"`
}

// JSONConfig is parser.json.
type JSONConfig struct {
	// MaxDepth of objects and lists. Default 128.
	MaxDepth int `yaml:"maxDepth"`
}

// GRPCConfig is the block grpc.
type GRPCConfig struct {
	// Server is the API that microservices call. Its maxMessageSizeInMb may stand
	// beside it, too (grpc.maxMessageSizeInMb).
	Server grpcsrv.Config `yaml:"server" lift:"maxMessageSizeInMb"`
	// Client is how microservices are called.
	Client grpcclient.Config `yaml:"client"`
}

// LoggingConfig is the block logging.
type LoggingConfig struct {
	// Level is debug, info, warn or error. Default info.
	Level string `yaml:"level" enum:"debug|trace,info,warn|warning,error"`
}

// ShutdownConfig is the block shutdown.
type ShutdownConfig struct {
	// Delay between the readiness going down and the stop, in which endpoints learn
	// of it. Default 5s.
	Delay time.Duration `yaml:"delay"`
}

// Default is the configuration of empty files: every default is set.
func Default() Config {
	const megabyte = 1 << 20
	return Config{
		Server: admin.Config{Port: 8787},
		MQ: MQConfig{
			Provider:   RabbitMQ,
			SystemType: flow.Consumer,
			WorkMode:   flow.All,
			Embedded:   jetstream.EmbeddedConfig{Directory: "./data", Sync: "always"},
			Connection: ConnectionConfig{
				DeclareQueues: "none", ConfirmTimeout: 5 * time.Second,
				Health: mq.HealthConfig{Type: mq.Common, AttemptsUp: 1, AttemptsDown: 1},
			},
			ConsumerParams: mq.ConsumerConfig{Concurrency: 64, ReadEnabled: true},
			MaxMsgLength:   100 << 10,
			TypeParser:     "auto",
			Outbound:       mapping.OutboundConfig{DeliveryMode: "persistent"},
			Failure: mq.FailureConfig{
				Declare:     "true",
				OnExhausted: mq.DeadLetter, OnPermanent: mq.DeadLetter,
				Retry: mq.RetryConfig{
					For: time.Hour, Initial: 200 * time.Millisecond, Max: 5 * time.Minute, Multiplier: 2, Jitter: 0.2,
					InPlaceMax: 2 * time.Second, MaxInFlightShare: 0.5,
				},
				Brake: mq.BrakeConfig{PermanentShare: 0.9, MinMessages: 20, Window: 30 * time.Second, Pause: 30 * time.Second},
			},
			SyncReceiver: mq.SyncReceiverConfig{
				ReplyToMode: ReplySharedSingle, DynamicQNameSeparator: ".DQ.", SelectorName: "GWResponseSelector",
				MaxProcessingTime: 30 * time.Second,
			},
			Monitoring: mq.MonitoringConfig{Messages: mq.MessagesConfig{
				ExpiryListener: mq.ExpiryConfig{Period: 30 * time.Second, Threshold: 5 * time.Minute},
			}},
		},
		Parser: ParserConfig{XML: XMLConfig{MaxDepth: 256}, JSON: JSONConfig{MaxDepth: 128}},
		GRPC: GRPCConfig{
			Server: grpcsrv.Config{ServerPort: 5454, MaxMessageSize: 4 * megabyte, MaxConcurrentStreams: 1000, Reflection: true},
			Client: grpcclient.Config{
				Routing: "authority",
				Settings: map[string]grpcclient.SettingsConfig{
					"default": {Hostname: "empty-service", Port: 5454, Timeout: 30 * time.Second, MaxMessageSize: 4 * megabyte},
				},
			},
		},
		Logging:                LoggingConfig{Level: "info"},
		TerminationGracePeriod: 30 * time.Second,
		Shutdown:               ShutdownConfig{Delay: 5 * time.Second},
	}
}
