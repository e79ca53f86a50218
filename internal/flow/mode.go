package flow

// Role is the side of the external system that the gateway stands on
// (mq.systemType).
type Role string

// The roles.
const (
	// Consumer reads an external system's requests and calls microservices.
	Consumer Role = "sc"
	// Provider is called by microservices and sends to an external system.
	Provider Role = "sp"
)

// Mode is how requests and replies belong together (mq.workMode).
type Mode string

// The modes.
const (
	Async Mode = "async"
	Sync  Mode = "sync"
	All   Mode = "all"
)
