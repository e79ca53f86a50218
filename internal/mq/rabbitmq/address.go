package rabbitmq

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"mqgateway/internal/mq"
	"mqgateway/internal/secret"
)

// address is one host of a broker and how to log in there.
type address struct {
	host               string
	port               int
	vhost              string
	username, password string
	tls                bool
	heartbeat          time.Duration
	// name is what the configuration calls the connection; empty is the instance.
	name string
}

// String is host:port, never with a password.
func (a address) String() string { return net.JoinHostPort(a.host, strconv.Itoa(a.port)) }

// addressesOf expands an entry of the configuration.
func addressesOf(c mq.ConnectionConfig) ([]address, error) {
	base := address{
		port: c.Port, vhost: c.VirtualHost, username: c.Username, password: c.Password.Reveal(),
		heartbeat: c.Heartbeat, name: c.ConnectionName,
	}
	hosts := c.Hostname
	if c.URI != "" {
		uri, err := parseURI(c.URI)
		if err != nil {
			return nil, err
		}
		hosts = []string{uri.Host}
		base.port, base.vhost, base.tls = uri.Port, uri.Vhost, uri.Scheme == "amqps"
		base.username, base.password = uri.Username, uri.Password
	}
	base.setDefaults()
	all := make([]address, len(hosts))
	for i, host := range hosts {
		all[i] = base
		all[i].host = host
	}
	return all, nil
}

func (a *address) setDefaults() {
	a.port = cmp.Or(a.port, defaultPort)
	a.vhost = cmp.Or(a.vhost, "/")
	a.username = cmp.Or(a.username, defaultUser)
	if a.username == defaultUser {
		a.password = cmp.Or(a.password, defaultUser)
	}
	a.heartbeat = cmp.Or(a.heartbeat, defaultHeartbeat)
}

// errURI does not wrap the parser's error, which would show a part of the password.
var errURI = errors.New("is not of the form amqp://user:password@host:port/vhost, or amqps://…; " +
	"special characters in user, password and vhost are percent-encoded")

// parseURI reads an address. Parameters behind a question mark are refused
// sooner than ignored.
func parseURI(text secret.URI) (amqp.URI, error) {
	raw, err := url.Parse(text.Reveal())
	if err != nil {
		return amqp.URI{}, errURI
	}
	if raw.Scheme != "amqp" && raw.Scheme != "amqps" {
		return amqp.URI{}, fmt.Errorf("scheme %q is not one of amqp and amqps", raw.Scheme)
	}
	for name := range raw.Query() {
		return amqp.URI{}, fmt.Errorf("parameter %q is not supported: the entry has keys of its own for settings", name)
	}
	uri, err := amqp.ParseURI(text.Reveal())
	if err != nil || raw.Hostname() == "" {
		return amqp.URI{}, errURI
	}
	if uri.Port < 1 || uri.Port > 1<<16-1 {
		return amqp.URI{}, fmt.Errorf("port %d is not a port from 1 to 65535", uri.Port)
	}
	return uri, nil
}
