package config

import (
	"errors"
	"net"
	"strconv"

	"mqgateway/internal/field"
)

// port is a TCP port that this process listens on.
type port struct {
	path   string
	number int
}

// validatePorts checks numbers that no package owns, and that no two listeners want
// one port.
func (c Config) validatePorts() error {
	var errs []error
	for _, p := range []port{{"server.port", c.Server.Port}, {"management.server.port", c.Management.Server.Port}} {
		if p.number < 0 || p.number > 65535 {
			errs = append(errs, field.Errorf(p.path, "%d is not from 0 to 65535", p.number))
		}
	}
	ports := c.ports()
	for i, p := range ports {
		for _, other := range ports[:i] {
			if p.number == other.number && p.number != 0 {
				errs = append(errs, twin(p.path, other.path, "port %d is that of %s, too", p.number, other.path))
			}
		}
	}
	return errors.Join(errs...)
}

// ports are all that this process listens on.
func (c Config) ports() []port {
	ports := []port{{"server.port", c.Server.Port}, {"grpc.server.serverPort", c.GRPC.Server.ServerPort}}
	if management := c.Management.Server.Port; management != c.Server.Port {
		ports = append(ports, port{"management.server.port", management})
	}
	if c.MQ.Provider == Embedded {
		ports = append(ports, port{"mq.embedded.listen", portOf(c.MQ.Embedded.Listen)})
	}
	return ports
}

// portOf is the port of an address, or of a bare number; 0 when there is none.
func portOf(address string) int {
	if _, digits, err := net.SplitHostPort(address); err == nil {
		address = digits
	}
	number, err := strconv.Atoi(address)
	if err != nil || number > 65535 {
		return 0
	}
	return number
}
