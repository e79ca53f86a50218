package jetstream

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"mqgateway/internal/field"
	"mqgateway/internal/mq"
	"mqgateway/internal/secret"
)

const defaultPort = 4222

// ManagerID is the id of the manager that an address belongs to: queueManager,
// else host:port of the address.
func ManagerID(c mq.ConnectionConfig) string {
	if c.QueueManager != "" {
		return c.QueueManager
	}
	if u, err := parseURI(c.URI); err == nil {
		return u.Host
	}
	if len(c.Hostname) > 0 {
		return hostPort(c.Hostname[0], c.Port)
	}
	return ""
}

// ValidateConnection reports every problem of one entry of mq.connection.connections,
// by key.
func ValidateConnection(c mq.ConnectionConfig) error {
	var problems []error
	report := func(key, format string, args ...any) {
		problems = append(problems, field.Errorf(key, format, args...))
	}
	if c.URI != "" {
		if _, err := parseURI(c.URI); err != nil {
			report("uri", "%w", err)
		}
		for _, key := range besideURI(c) {
			report(key, "can't stand beside uri, which says it already")
		}
	} else if len(c.Hostname) == 0 {
		report("hostname", "missing, and there is no uri")
	}
	for i, host := range c.Hostname {
		if host == "" {
			report(fmt.Sprintf("hostname[%d]", i), "empty")
		}
	}
	if c.Port < 0 || c.Port > 65535 {
		report("port", "%d is not a number from 1 to 65535", c.Port)
	}
	if c.VirtualHost != "" {
		report("virtualHost", "NATS has no virtual hosts: remove it")
	}
	if c.Token != "" && c.Username != "" {
		report("token", "can't stand beside username: NATS takes one of them")
	}
	if c.Password != "" && c.Username == "" && c.URI == "" {
		report("password", "has no username beside it")
	}
	if c.Heartbeat < 0 {
		report("heartbeat", "%v is negative", c.Heartbeat)
	}
	return errors.Join(problems...)
}

// Connection is how another process of this machine reaches the embedded broker
// that runs with this configuration. It is an error when the broker does not
// listen, or has made no token yet.
func (c EmbeddedConfig) Connection() (mq.ConnectionConfig, error) {
	host, port, err := parseListen(c.Listen)
	if err != nil {
		return mq.ConnectionConfig{}, field.Errorf("listen", "%w", err)
	}
	if port == 0 {
		return mq.ConnectionConfig{}, field.Errorf("listen", "not set, so that nothing outside of the gateway reaches the broker")
	}
	token := c.Token
	if token == "" {
		directory := cmp.Or(c.Directory, defaultDirectory)
		if token, err = keptToken(directory); err != nil {
			return mq.ConnectionConfig{}, err
		}
		if token == "" {
			return mq.ConnectionConfig{}, fmt.Errorf("there is no token in %q: the embedded broker has not run there yet", directory)
		}
	}
	return mq.ConnectionConfig{Hostname: []string{host}, Port: port, Token: token}, nil
}

// besideURI lists the keys that are set although the URI holds what they say.
func besideURI(c mq.ConnectionConfig) []string {
	var keys []string
	for _, k := range []struct {
		name string
		set  bool
	}{
		{"hostname", len(c.Hostname) > 0},
		{"port", c.Port != 0},
		{"username", c.Username != ""},
		{"password", c.Password != ""},
	} {
		if k.set {
			keys = append(keys, k.name)
		}
	}
	return keys
}

// parseURI never quotes the address: it may hold a password.
func parseURI(uri secret.URI) (*url.URL, error) {
	u, err := url.Parse(uri.Reveal())
	switch {
	case err != nil:
		return nil, errors.New("not of the form nats://host:port")
	case u.Scheme != "nats" && u.Scheme != "tls":
		return nil, fmt.Errorf("scheme %q is neither nats nor tls", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("names no host")
	case u.Path != "" && u.Path != "/":
		return nil, fmt.Errorf("path %q means nothing to NATS: remove it", u.Path)
	}
	port := defaultPort
	if u.Port() != "" {
		if port, err = parsePort(u.Port()); err != nil {
			return nil, err
		}
	}
	u.Host = hostPort(u.Hostname(), port)
	return u, nil
}

// serverURLs are the addresses as nats.go takes them, each with its credentials.
func serverURLs(addresses []mq.ConnectionConfig) ([]string, error) {
	var urls []string
	for _, c := range addresses {
		if c.URI != "" {
			u, err := parseURI(c.URI)
			if err != nil {
				return nil, fmt.Errorf("address of NATS: %w", err)
			}
			if u.User == nil {
				u.User = userinfo(c)
			}
			urls = append(urls, u.String())
			continue
		}
		for _, host := range c.Hostname {
			u := url.URL{Scheme: "nats", Host: hostPort(host, c.Port), User: userinfo(c)}
			urls = append(urls, u.String())
		}
	}
	if len(urls) == 0 {
		return nil, errors.New("no address of NATS is given")
	}
	return urls, nil
}

// userinfo is nil without credentials. A token stands in place of the user.
func userinfo(c mq.ConnectionConfig) *url.Userinfo {
	switch {
	case c.Token != "":
		return url.User(c.Token.Reveal())
	case c.Username != "":
		return url.UserPassword(c.Username, c.Password.Reveal())
	default:
		return nil
	}
}

func hostPort(host string, port int) string {
	return net.JoinHostPort(host, strconv.Itoa(cmp.Or(port, defaultPort)))
}
