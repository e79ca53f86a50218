package rabbitmq

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"mqgateway/internal/field"
	"mqgateway/internal/mq"
)

// Config is what one broker needs.
type Config struct {
	// Manager is the id of the broker, for messages and errors. Empty means the
	// [ManagerID] of the first address.
	Manager string
	// Addresses are entries of the configuration that name the same broker. Each
	// connection tries them in a random order.
	Addresses []mq.ConnectionConfig
	// Instance is the name of this process, which the broker's console shows.
	Instance string
	// ConfirmTimeout is how long a publish waits for the broker's answer. 0 means 5s.
	ConfirmTimeout time.Duration
	// HandshakeTimeout is how long the broker may take to let us in. 0 means 10s.
	HandshakeTimeout time.Duration
	// CloseTimeout is how long the broker may take to answer a close. A gateway that
	// stops waits for it twice, when its messages have been settled. 0 means 3s.
	CloseTimeout time.Duration
	// Silence is how long nothing may come from a queue until it is looked up,
	// whether the broker still knows that it is read. 0 means 30s.
	Silence time.Duration
}

const (
	defaultConfirmTimeout   = 5 * time.Second
	defaultHandshakeTimeout = 10 * time.Second
	defaultCloseTimeout     = 3 * time.Second
	defaultSilence          = 30 * time.Second
	defaultHeartbeat        = 10 * time.Second
	defaultPort             = 5672
	defaultUser             = "guest"
	maxHeartbeat            = (1<<16 - 1) * time.Second
)

// ManagerID is the id of the broker that an entry names: its queueManager, else
// host:port/vhost. It holds no user and no password.
func ManagerID(c mq.ConnectionConfig) string {
	if c.QueueManager != "" {
		return c.QueueManager
	}
	addresses, err := addressesOf(c)
	if err != nil || len(addresses) == 0 {
		return ""
	}
	a := addresses[0]
	return a.String() + "/" + a.vhost
}

// User is whom the gateway logs in as by an entry.
func User(c mq.ConnectionConfig) string {
	addresses, err := addressesOf(c)
	if err != nil || len(addresses) == 0 {
		return ""
	}
	return addresses[0].username
}

// ValidateConnection reports everything that is wrong with an entry, as problems
// of package field.
func ValidateConnection(c mq.ConnectionConfig) error {
	var p problems
	if c.URI != "" {
		p.uri(c)
	} else {
		p.hosts(c)
	}
	if c.Token != "" {
		p.add("token", "is for NATS; RabbitMQ takes username and password")
	}
	if h := c.Heartbeat; h != 0 && (h < time.Second || h > maxHeartbeat || h%time.Second != 0) {
		p.add("heartbeat", "%s is not a whole number of seconds from 1s to %s", h, maxHeartbeat)
	}
	return p.err()
}

// problems collects what is wrong with an entry.
type problems struct{ all []error }

func (p *problems) add(path, format string, args ...any) {
	p.all = append(p.all, field.Errorf(path, format, args...))
}

func (p *problems) err() error { return errors.Join(p.all...) }

func (p *problems) uri(c mq.ConnectionConfig) {
	if _, err := parseURI(c.URI); err != nil {
		p.add("uri", "%w", err)
	}
	for _, other := range []struct {
		key string
		set bool
	}{
		{"hostname", len(c.Hostname) > 0},
		{"port", c.Port != 0},
		{"virtualHost", c.VirtualHost != ""},
		{"username", c.Username != ""},
		{"password", c.Password != ""},
	} {
		if other.set {
			p.add(other.key, "is not allowed beside uri, which names it already")
		}
	}
}

func (p *problems) hosts(c mq.ConnectionConfig) {
	if len(c.Hostname) == 0 {
		p.add("", "neither uri nor hostname is given")
	}
	for i, host := range c.Hostname {
		path := "hostname[" + strconv.Itoa(i) + "]"
		switch {
		case host == "":
			p.add(path, "is empty")
		case strings.Contains(host, "/"):
			p.add(path, "%q is not the name of a host; an address with a scheme is given as uri", host)
		case strings.Contains(host, ":") && net.ParseIP(host) == nil:
			p.add(path, "%q names a port, which is given as port", host)
		}
	}
	if c.Port < 0 || c.Port > 1<<16-1 {
		p.add("port", "%d is not a port from 1 to 65535", c.Port)
	}
}
